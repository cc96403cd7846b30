"""Queries that cost too much are refused before they are executed; those of wandb's releases are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from histscan.server.catalogue import Catalogue
from histscan.server.limits import DEFAULT_LIMITS, ServerLimits, limits_of
from histscan.server.served_run import ServedRun
from tests.support.asgi_client import AsgiClient, client_of
from tests.support.paths import DATA, EXAMPLE

RUN = 'project(name: "examples", entityName: "histscan") { run(name: "lissajous") { %s } }'
RUNS = 'project(name: "fixtures", entityName: "histscan") { runs%s { edges { node { %s } } } }'


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> AsgiClient:
    return client_of(DATA, EXAMPLE, folder=tmp_path_factory.mktemp("exports"))


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test if a run is found or read: a refused query must not be executed."""

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("the query was executed")

    for name in ("run", "runs", "has_project"):
        monkeypatch.setattr(Catalogue, name, fail)


def refusal(client: AsgiClient, query: str, **variables: Any) -> str:
    reply = client.post({"query": query, "variables": variables})
    assert reply.status == 400
    parsed = reply.json()
    assert parsed["data"] is None
    (error,) = parsed["errors"]
    return str(error["message"])


def nested(levels: int) -> str:
    query = "name"
    for _ in range(levels):
        query = "runs{edges{node{project{" + query + "}}}}"
    return "{models{edges{node{" + query + "}}}}"


def fragments(count: int, uses: int) -> str:
    """A query with fragments each of which uses the next one several times."""
    texts = [f"fragment F{number} on Project {{ {f'...F{number + 1} ' * uses} }}" for number in range(count)]
    return f'{{ project(name: "x") {{ ...F0 }} }} {" ".join(texts)} fragment F{count} on Project {{ name }}'


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("{" + " ".join(f'a{i}: project(name: "x") {{ name }}' for i in range(3_000)) + "}", "token"),
        ("{" + " ".join(f"a{i}: viewer {{ id }}" for i in range(101)) + "}", "aliases"),
        ("{" + "viewer { id } " * 151 + "}", "fields"),
        (nested(5), "levels"),
        (nested(300), "nested"),
        ("{" + "[" * 1_000, "Syntax"),
        (fragments(60, 1), "levels"),
        (fragments(500, 1), "levels"),
        ("{ viewer { id } " + "... @skip(if: false) { " * 60 + "viewer { id }" + "}" * 60 + "}", "levels"),
    ],
)
def test_queries_that_are_refused_by_their_text(client: AsgiClient, query: str, limit: str) -> None:
    message = refusal(client, query)
    assert limit in message or (limit == "nested" and "token" in message)


@pytest.mark.usefixtures("unread")
def test_fragments_multiply(client: AsgiClient) -> None:
    query = fragments(35, 2)
    assert "billions of fields" in refusal(client, query)


def test_a_fragment_within_itself_is_reported(client: AsgiClient) -> None:
    message = refusal(client, "{ viewer { ...A } } fragment A on User { id ...A }")
    assert "spread fragment 'A' within itself" in message


def test_a_short_nested_query(client: AsgiClient) -> None:
    """Of 124 bytes: each level multiplies the values by the runs."""
    levels = 3
    query = '{project(name:"fixtures"){' + "runs{edges{node{project{" * levels + "name" + "}}}}" * levels + "}}"
    assert len(query) < 124
    assert refusal_of(client, query, values=30).startswith("the answer has more values")
    assert client.query(query)["project"]["runs"]["edges"]


def refusal_of(client: AsgiClient, query: str, **limits: int) -> str:
    """The refusal of a server with other limits of the same runs."""
    strict = client_of(DATA, EXAMPLE, folder=Path("/nonexistent"), limits=ServerLimits(**limits))
    return refusal(strict, query)


@pytest.mark.parametrize(
    ("query", "limits", "message"),
    [
        (RUN % "history", {"rows": 100}, "rows"),
        (RUN % "history(samples: 100)", {"rows": 99}, "about 100 rows"),
        (RUN % "history(minStep: 50, maxStep: 150)", {"rows": 99}, "about 100 rows"),
        (RUN % "history", {"answer": 1_000}, "bytes"),
        (RUN % "events", {"rows": 100}, "rows"),
        (RUN % " ".join(f"a{i}: history" for i in range(50)), {"answer": 8 << 20}, "bytes"),
        (RUN % 'sampledHistory(specs: ["{\\"keys\\": [\\"loss\\"]}"])', {"rows": 100}, "rows"),
        (RUN % 'sampledHistory(specs: "{\\"keys\\": [\\"loss\\"], \\"samples\\": 10}")', {"rows": 9}, "about 10 rows"),
        (RUN % 'sampledHistory(specs: ["{}", "{}"]) state', {"aliases": 1}, "specs"),
        (RUN % 'files(names: ["a", "b"]) { totalCount }', {"values": 4}, "values"),
        (RUN % 'parquetHistory(liveKeys: ["_step"]) { liveData }', {"rows": 100}, "rows"),
        (RUNS % ("", "history"), {"rows": 50}, "rows"),
        (RUNS % ("", "name"), {"values": 6}, "values"),
        (RUNS % ("(first: 1)", "name config"), {"values": 4}, "values"),
        ("{ models { edges { node { name } } } }", {"values": 4}, "values"),
    ],
)
def test_estimates(client: AsgiClient, query: str, limits: dict[str, int], message: str) -> None:
    text = query if query.startswith("{") else "{" + query + "}"
    refused = refusal_of(client, text, **limits)
    assert message in refused
    assert f"--limit {next(iter(limits))}=" in refused
    assert "--limit" not in client.post({"query": text}).body.decode()


def test_estimates_of_variables_and_defaults(client: AsgiClient) -> None:
    query = "query Q($n: Int = 300) {" + RUN % "history(samples: $n)" + "}"
    assert "about 300 rows" in refusal_of(client, query, rows=200)
    strict = client_of(EXAMPLE, folder=Path("/nonexistent"), limits=ServerLimits(rows=200))
    assert len(strict.query(query, n=200)["project"]["run"]["history"]) == 200
    assert "about 201 rows" in refusal(strict, query, n=201)


def test_pages_within_the_limits_are_answered(tmp_path: Path) -> None:
    strict = client_of(EXAMPLE, folder=tmp_path, limits=ServerLimits(rows=1_000, answer=2 << 20))
    query = "query Q($n: Int64!, $m: Int64!) {" + RUN % "history(minStep: $n, maxStep: $m, samples: 1000)" + "}"
    rows = [
        json.loads(row)["_step"]
        for first in range(0, 5_000, 1_000)
        for row in strict.query(query, n=first, m=first + 1_000)["project"]["run"]["history"]
    ]
    assert rows == list(range(5_000))


@pytest.mark.parametrize("filters", ['{"$not":' * 200 + "{}" + "}" * 200, "[" * 100_000])
def test_filters_that_are_nested_too_deeply(client: AsgiClient, filters: str) -> None:
    query = 'query Q($f: JSONString) { project(name: "fixtures") { runCount(filters: $f) } }'
    assert "nested too deeply" in refusal(client, query, f=filters)


def test_variables_that_are_nested_too_deeply(client: AsgiClient) -> None:
    body = b'{"query": "{ viewer { id } }", "variables": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    reply = client.request("POST", "/graphql", headers={"content-type": "application/json"}, body=body)
    assert reply.status == 400
    assert "nested too deeply" in reply.json()["errors"][0]["message"]


def test_estimates_read_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = client_of(EXAMPLE, folder=tmp_path, limits=ServerLimits(rows=10))

    def fail(*_: Any) -> Any:
        raise AssertionError("a run was read")

    for cls in ServedRun.__subclasses__():
        for name in ("rows", "details", "description", "system_rows"):
            monkeypatch.setattr(cls, name, fail)
    assert "rows" in refusal(strict, "{" + RUN % "history" + "}")


def test_options() -> None:
    assert limits_of([]) == ServerLimits()
    assert limits_of(DEFAULT_LIMITS.split()) == ServerLimits()
    assert limits_of(["rows=7", "answer=2G", "body=3K"]) == ServerLimits(rows=7, answer=2 << 30, body=3 << 10)
    for text in ("rows", "rows=", "rows=0", "rows=-1", "rows=x", "nothing=1", "rows=1T", "rows=" + "9" * 100):
        with pytest.raises(ValueError, match=r"is not a limit: use NAME=N .* names are tokens, depth"):
            limits_of([text])
