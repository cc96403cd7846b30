"""The server's GraphQL: valid queries get data, and invalid ones get errors in the form of the specification."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.server import traffic
from histscan.server.schema import make_schema
from tests.support.asgi_client import AsgiClient, client_of
from tests.support.paths import DATA, EXAMPLE

HISTORY = """
query HistoryPage($run: String!, $minStep: Int64, $maxStep: Int64, $samples: Int) {
    project(name: "examples", entityName: "histscan") {
        run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $samples) }
    }
}
"""
SAMPLED = """
query SampledHistoryPage($specs: [JSONString!]!) {
    project(name: "examples", entityName: "histscan") { run(name: "lissajous") { sampledHistory(specs: $specs) } }
}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> AsgiClient:
    return client_of(DATA, EXAMPLE, folder=tmp_path_factory.mktemp("exports"))


def history(client: AsgiClient, **variables: Any) -> list[dict[str, Any]]:
    texts = client.query(HISTORY, run="lissajous", **variables)["project"]["run"]["history"]
    return [json.loads(text) for text in texts]


def sampled(client: AsgiClient, **spec: Any) -> list[dict[str, Any]]:
    (rows,) = client.query(SAMPLED, specs=[json.dumps(spec)])["project"]["run"]["sampledHistory"]
    assert isinstance(rows, list)
    return rows


def steps(rows: list[dict[str, Any]]) -> list[int]:
    return [row["_step"] for row in rows]


def test_every_field_has_a_resolver() -> None:
    for name in ("Query", "Project", "Run", "File"):
        fields = make_schema().type_map[name].fields  # type: ignore[attr-defined]
        assert not [field for field, declared in fields.items() if declared.resolve is None]


def test_history_has_an_exclusive_end(client: AsgiClient) -> None:
    assert steps(history(client, minStep=7, maxStep=10, samples=100)) == [7, 8, 9]
    assert history(client, minStep=10, maxStep=10, samples=100) == []
    assert history(client, minStep=11, maxStep=10, samples=100) == []
    assert history(client, minStep=10**6, maxStep=10**7, samples=100) == []
    assert len(history(client)) == 5000


def test_history_is_sampled(client: AsgiClient) -> None:
    assert steps(history(client, minStep=0, maxStep=10, samples=10)) == list(range(10))
    assert steps(history(client, minStep=0, maxStep=10, samples=9)) == [0, 1, 2, 3, 4, 5, 6, 7, 9]
    assert steps(history(client, minStep=0, maxStep=10, samples=2)) == [0, 9]
    assert steps(history(client, minStep=5, maxStep=10, samples=1)) == [5]
    assert history(client, minStep=0, maxStep=10, samples=0) == []


def test_steps_beyond_64_bits_are_no_error(client: AsgiClient) -> None:
    assert len(history(client, minStep=-(10**30), maxStep=10**30)) == 5000


def test_sampled_history_has_an_inclusive_end(client: AsgiClient) -> None:
    assert steps(sampled(client, keys=["_step", "loss"], minStep=7, maxStep=10, samples=100)) == [7, 8, 9, 10]
    assert len(sampled(client, keys=["_step", "loss"], minStep=0, maxStep=4999, samples=17)) == 17


def test_sampled_history_has_rows_with_all_keys_and_only_those(client: AsgiClient) -> None:
    log = histscan.open(EXAMPLE)
    assert sampled(client, keys=["validation.r2.x"]) == list(log.scan_history(["validation.r2.x"]))
    assert sampled(client, keys=["loss", "nobody has this"]) == []
    assert sampled(client, keys=["loss", "loss"], maxStep=0) == [{"loss": next(log.scan_history())["loss"]}]


def test_sampled_history_of_several_specs(client: AsgiClient) -> None:
    specs = [json.dumps({"keys": ["_step"], "minStep": first, "maxStep": first + 1}) for first in (5, 3)]
    lists = client.query(SAMPLED, specs=specs)["project"]["run"]["sampledHistory"]
    assert lists == [[{"_step": 5}, {"_step": 6}], [{"_step": 3}, {"_step": 4}]]
    assert client.query(SAMPLED, specs=[])["project"]["run"]["sampledHistory"] == []


def test_rows_are_json_texts_with_every_kind_of_value(client: AsgiClient) -> None:
    query = """{ project(name: "fixtures", entityName: "histscan") { run(name: "typed-encoding") { history } } }"""
    rows = [json.loads(text) for text in client.query(query)["project"]["run"]["history"]]
    assert repr(rows) == repr(list(histscan.open(DATA / "typed-encoding.wandb").scan_history()))
    assert any(math.isnan(row["not finite"]) for row in rows)


def test_any_shape_of_query(client: AsgiClient) -> None:
    query = """
    query Both($first: String!, $more: Boolean = false, $skip: Boolean!) {
        __typename
        a: project(name: "fixtures", entityName: "histscan") { ...Runs one: run(name: $first) { ...Names } }
        b: project(name: "examples") { ...Runs none: run(name: "nobody") { ...Names } }
        none: project(name: "nobody's") { name }
    }
    fragment Runs on Project { entityName runs(first: 1) { edges { node { ...Names } } pageInfo { hasNextPage } } }
    fragment Names on Run { name displayName @include(if: $more) state @skip(if: $skip) project { name } }
    """
    found = client.query(query, first="typed-encoding", skip=True)
    one = {"name": "typed-encoding", "project": {"name": "fixtures"}}
    assert found["__typename"] == "Query"
    assert found["a"]["one"] == one
    assert found["a"]["runs"]["pageInfo"] == {"hasNextPage": True}
    assert found["b"]["entityName"] == "histscan"
    assert found["b"]["none"] is None
    assert found["none"] is None


def test_introspection_as_old_clients_do_it(client: AsgiClient) -> None:
    query = """
    query Probe {
        ProjectType: __type(name: "Project") { fields { name } }
        RunType: __type(name: "Run") { fields { name } }
        MutationType: __type(name: "Mutation") { fields { name } } __schema { queryType { name } } }
    """
    found = client.query(query)
    assert {"name": "internalId"} in found["ProjectType"]["fields"]
    assert {"name": "projectId"} in found["RunType"]["fields"]
    assert found["MutationType"] is None
    assert found["__schema"] == {"queryType": {"name": "Query"}}


def test_one_of_several_operations(client: AsgiClient) -> None:
    query = "query One { viewer { username } } query Two { serverInfo { latestLocalVersionInfo { outOfDate } } }"
    two = client.post({"query": query, "operationName": "Two"})
    assert two.json() == {"data": {"serverInfo": {"latestLocalVersionInfo": None}}}
    reply = client.post({"query": query, "operationName": ""})
    assert reply.status == 400
    assert "operation name" in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"query": "{ nothing }"}, "Cannot query field 'nothing'"),
        ({"query": "{"}, "Syntax Error"),
        ({"query": "mutation M { deleteRun }"}, "mutation"),
        ({"query": HISTORY}, "Variable '$run'"),
        ({"query": HISTORY, "variables": {"run": "lissajous", "samples": "x"}}, "Variable '$samples'"),
        ({"query": "query Q { " + "viewer { id } " * 9_000 + "}"}, "more than"),
    ],
)
def test_invalid_queries(client: AsgiClient, request_: dict[str, Any], message: str) -> None:
    reply = client.post(request_)
    assert reply.status == 400
    parsed = reply.json()
    assert parsed["data"] is None
    assert message in parsed["errors"][0]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b'{"query": 1}', b'{"query": "{x}", "variables": [1]}', b"\xff", b"[" * 100_000]
)
def test_bodies_that_are_not_requests(client: AsgiClient, body: bytes) -> None:
    reply = client.request("POST", "/graphql", headers={"content-type": "application/json"}, body=body)
    assert reply.status == 400
    assert reply.json()["errors"]


def test_a_resolver_error_leaves_other_fields(client: AsgiClient) -> None:
    query = """{ viewer { username } project(name: "examples") { name run(name: "lissajous") {
        state history(minStep: "x") } } }"""
    reply = client.post({"query": query})
    assert reply.status == 200
    parsed = reply.json()
    assert parsed["data"]["project"]["run"] == {"state": "finished", "history": None}
    (error,) = parsed["errors"]
    assert error["message"] == 'minStep must be a whole number, not "x"'
    assert error["path"] == ["project", "run", "history"]
    assert error["locations"]


@pytest.mark.parametrize(
    "spec", ["", "x", "[]", "{}", '{"keys": "loss"}', '{"keys": [1]}', '{"keys": [], "samples": "x"}']
)
def test_invalid_specs(client: AsgiClient, spec: str) -> None:
    assert client.errors(SAMPLED, specs=[spec])


def test_history_keys(client: AsgiClient) -> None:
    query = (
        """{ project(name: "examples") { run(name: "lissajous") { historyKeys historyLineCount summaryMetrics } } }"""
    )
    run = client.query(query)["project"]["run"]
    keys = run["historyKeys"]["keys"]
    assert run["historyKeys"]["lastStep"] == 4999
    assert run["historyLineCount"] == 5000
    assert keys["loss"]["typeCounts"] == [{"type": "number"}]
    assert keys["loss"]["previousValue"] == json.loads(run["summaryMetrics"])["loss"]
    assert keys["phase"]["typeCounts"] == [{"type": "string"}]
    assert keys["gradient.clipped"]["typeCounts"] == [{"type": "boolean"}]
    expected = set()
    for row in histscan.open(EXAMPLE).scan_history():
        expected |= dotted(row)
    assert set(keys) == expected


def dotted(row: dict[str, Any], prefix: str = "") -> set[str]:
    names = set()
    for name, value in row.items():
        names |= dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return names


def test_projects(client: AsgiClient) -> None:
    query = """query Projects($after: String) { models(entityName: "histscan", first: 1, after: $after) {
        edges { node { name runCount } cursor } pageInfo { endCursor hasNextPage } } }"""
    first = client.query(query)["models"]
    second = client.query(query, after=first["pageInfo"]["endCursor"])["models"]
    assert [edge["node"] for edge in first["edges"] + second["edges"]] == [
        {"name": "examples", "runCount": 1},
        {"name": "fixtures", "runCount": 2},
    ]
    assert [page["pageInfo"]["hasNextPage"] for page in (first, second)] == [True, False]
    assert client.errors(query, after="x") == ["unknown cursor: pass the endCursor of a page from this server"]


RUNS = """
query Runs($filters: JSONString, $after: String, $first: Int, $order: String) {
    project(name: "fixtures") {
        runCount(filters: $filters)
        runs(filters: $filters, after: $after, first: $first, order: $order) {
            totalCount edges { node { name } cursor } pageInfo { endCursor hasNextPage } } } }
"""


def test_runs_page_by_page(client: AsgiClient) -> None:
    first = client.query(RUNS, first=1, order="-created_at")["project"]
    end = first["runs"]["pageInfo"]["endCursor"]
    second = client.query(RUNS, first=1, order="-created_at", after=end)["project"]
    assert first["runs"]["edges"][0]["node"]["name"] == "typed-encoding"
    assert second["runs"]["edges"][0]["node"]["name"] == "default-encoding"
    assert [page["runs"]["pageInfo"]["hasNextPage"] for page in (first, second)] == [True, False]
    assert [page["runs"]["totalCount"] for page in (first, second)] == [2, 2]
    past = client.query(RUNS, first=1, after=second["runs"]["pageInfo"]["endCursor"], order="-created_at")["project"]
    assert past["runs"]["edges"] == []


def test_runs_filtered(client: AsgiClient) -> None:
    found = client.query(RUNS, filters='{"name": "typed-encoding"}')["project"]
    assert found["runCount"] == 1
    assert [edge["node"]["name"] for edge in found["runs"]["edges"]] == ["typed-encoding"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"filters": "x"}, "the filter is not JSON"),
        ({"filters": "[]"}, "a filter must be an object"),
        ({"filters": {"state": "finished"}}, "filters must be a JSONString"),
        ({"order": "+nothing"}, "runs have no field 'nothing'"),
        ({"after": "x"}, "unknown cursor: pass the endCursor of a page from this server"),
    ],
)
def test_invalid_listings(client: AsgiClient, variables: dict[str, Any], message: str) -> None:
    assert any(message in error for error in client.errors(RUNS, **variables))


@pytest.mark.filterwarnings("ignore::histscan.LogCorruptWarning")
def test_corrupt_history_is_an_error_unless_skipped(tmp_path: Path) -> None:
    damaged = bytearray(EXAMPLE.read_bytes())
    damaged[2_000_000:2_000_100] = b"x" * 100
    path = tmp_path / "damaged.wandb"
    path.write_bytes(damaged)
    client = client_of(path, folder=tmp_path)
    (message,) = client.errors(HISTORY, run="lissajous")
    assert "corrupt" in message or "checksum" in message
    query = """{ project(name: "examples") { runs { edges { node { state historyLineCount } } } } }"""
    (edge,) = client.query(query)["project"]["runs"]["edges"]
    assert edge["node"]["state"] == "finished"
    rows = history(client_of(path, folder=tmp_path, skip_corrupt=True))
    assert 4000 < len(rows) == edge["node"]["historyLineCount"] < 5000


class TestAccess:
    def test_other_host_headers_are_rejected(self, client: AsgiClient) -> None:
        reply = client.post({"query": "{ viewer { id } }"}, host="attacker.example:8090")
        assert reply.status == 421
        for host in ("localhost:1", "[::1]:2", "127.0.0.1", "LOCALHOST"):
            assert client.post({"query": "{ viewer { id } }"}, host=host).status == 200

    def test_cross_origin_browser_requests_are_rejected(self, client: AsgiClient) -> None:
        assert client.post({"query": "{ viewer { id } }"}, content_type="text/plain").status == 415

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/graphql", 405),
            ("GET", "/", 200),
            ("HEAD", "/", 200),
            ("POST", "/", 405),
            ("POST", "/graphql/", 404),
            ("GET", "/traffic/", 404),
            ("GET", "/etc/passwd", 404),
            ("PUT", "/traffic", 405),
            ("POST", "/graphql/../x", 404),
            ("GET", "/files/../../etc/passwd", 403),
            ("GET", "/files/%2e%2e%2fx", 403),
        ],
    )
    def test_other_paths(self, client: AsgiClient, method: str, path: str, status: int) -> None:
        assert client.request(method, path).status == status

    def test_large_requests_are_rejected(self, client: AsgiClient) -> None:
        assert client.request("POST", "/graphql", body=b" " * (17 << 20)).status == 413

    @pytest.mark.parametrize("name", ["../run-x", "..", "/etc/passwd", "lissajous/../lissajous", "lissajous\0", ""])
    def test_names_are_not_paths(self, client: AsgiClient, name: str) -> None:
        query = """query Q($name: String!) { project(name: "examples") { run(name: $name) { id } } }"""
        assert client.query(query, name=name)["project"]["run"] is None

    def test_key(self, tmp_path: Path) -> None:
        client = client_of(EXAMPLE, folder=tmp_path, api_key="sesame" * 7)
        right = base64.b64encode(b"api:" + b"sesame" * 7).decode()
        wrong = base64.b64encode(b"api:sesame").decode()
        request = {"query": "{ viewer { id } }"}
        assert client.post(request, authorization=f"Basic {right}").status == 200
        assert client.post(request, authorization=f"Bearer {'sesame' * 7}").status == 200
        for header in (f"Basic {wrong}", "Basic !", "Basic ÿ", "Bearer", "Bearer é", right, ""):
            reply = client.post(request, authorization=header)
            assert reply.status == 401
            assert "sesame" not in reply.body.decode()
            assert reply.headers["www-authenticate"].startswith("Basic")
        assert client.request("GET", "/traffic").status == 401
        assert client.request("DELETE", "/traffic").status == 401

    def test_bodies_without_a_key_are_not_read(self, tmp_path: Path) -> None:
        client = client_of(EXAMPLE, folder=tmp_path, api_key="sesame" * 7)
        assert client.request("POST", "/graphql", body=b" " * (17 << 20)).status == 401

    def test_traffic(self, tmp_path: Path) -> None:
        client = client_of(EXAMPLE, folder=tmp_path)
        client.query("query A { viewer { id } }")
        client.post({"query": "query B { nothing }"})
        counted = client.request("GET", "/traffic").json()
        assert counted["operations"] == {"A": 1, "B": 1}
        assert counted["statuses"] == {"200": 1, "400": 1}
        assert counted["requests"] == 2
        assert counted["most_in_flight"] == 1
        assert client.request("DELETE", "/traffic").json()["requests"] == 0

    def test_names_in_counts_are_limited(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(traffic, "MOST_NAMES", 3)
        client = client_of(EXAMPLE, folder=tmp_path)
        for name in "abcde":
            client.query(f"query {name * 1000} {{ viewer {{ id }} }}")
        names = client.request("GET", "/traffic").json()["operations"]
        assert names == {"a" * 100: 1, "b" * 100: 1, "c" * 100: 1, "others": 2}
