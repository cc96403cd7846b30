"""Small runs need few requests and no thread, and have the rows that wandb's own client reads."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from wandb.apis import public
from wandb.apis.public.api import Client as WandbGqlClient
from wandb.apis.public.api import RetryingClient
from wandb.sdk.lib.gql_request import GraphQLSession

import histscan
from tests.support import wire
from tests.support.graphql_server import Answer, GraphQLServer, Received, data_answer, json_answer
from tests.support.server_process import ServerProcess, serving
from tests.support.wandb_client import Question, ask_wandb

EXIT = 18
"""Number of a field in wandb's `Record`: a run that has it is finished."""

RUNS = {
    "dense": range(100),
    "page": range(1_000),
    "pages": range(2_500),
    "single": [0],
    "sparse": range(0, 50_000, 500),
    "late": range(61_010, 61_050),
    "very-late": [*range(10**8, 10**8 + 900), 10**8 + 5_000],
    "repeating": [0, 1, 1, 1, 2, 7, 7],
    "rewound": [5, 6, 7, 3, 4, 5, 6, 900, 2],
}


def write_run(folder: Path, run_id: str, steps: Sequence[int]) -> None:
    records = [wire.run_record(run_id, entity="team", project="small")]
    for place, step in enumerate(steps):
        items = {"_step": step, "place": place, "loss": 1 / (place + 1), "note": f"row {place} ✓", "whole": 1.0}
        records.append(wire.history_record([(key, json.dumps(value)) for key, value in items.items()], step))
    records.append(wire.field(EXIT, wire.varint_field(1, 0)))
    (folder / run_id).mkdir()
    (folder / run_id / f"run-{run_id}.wandb").write_bytes(wire.write_log(records))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("small")
    for run_id, steps in RUNS.items():
        write_run(folder, run_id, steps)
    with serving(folder) as running:
        yield running


@pytest.fixture(scope="module")
def wandbs(server: ServerProcess) -> dict[str, Any]:
    """The rows that wandb's own client reads; it would need an hour to reach a step of 10^8."""
    asked = {run_id: Question("scan_history", f"team/small/{run_id}", {}) for run_id in RUNS if run_id != "very-late"}
    begin = {"min_step": 10**8}
    asked["very-late"] = Question("scan_history", "team/small/very-late", begin)
    asked |= {
        f"{run_id} keys": Question("scan_history", f"team/small/{run_id}", {"keys": ["loss", "_step"]})
        for run_id in ("dense", "repeating", "rewound")
    }
    return dict(zip(asked, ask_wandb(server.url, list(asked.values())), strict=True))


@pytest.fixture
def api(server: ServerProcess) -> histscan.Api:
    return histscan.Api(server.url, "a" * 40)


def operations(server: ServerProcess) -> dict[str, int]:
    found: dict[str, int] = server.traffic()["operations"]
    return found


@pytest.mark.parametrize("source", ["auto", "pages"])
@pytest.mark.parametrize("run_id", RUNS)
def test_rows_are_wandbs(api: histscan.Api, wandbs: dict[str, Any], run_id: str, source: Any) -> None:
    run = api.run(f"team/small/{run_id}")
    assert len(wandbs[run_id]) == len(RUNS[run_id])
    scan = run.scan_history(source=source)
    if source == "auto" and run_id in ("pages", "very-late"):
        # From files, where some numbers have another type.
        assert [row["_step"] for row in scan] == [row["_step"] for row in wandbs[run_id]]
        return
    for _ in range(2):
        assert [repr(row) for row in scan] == [repr(row) for row in wandbs[run_id]]
    assert run.to_arrow().to_pylist() == wandbs[run_id]


@pytest.mark.parametrize("run_id", ["dense", "repeating", "rewound"])
def test_rows_of_keys_are_wandbs(api: histscan.Api, wandbs: dict[str, Any], run_id: str) -> None:
    run = api.run(f"team/small/{run_id}")
    assert list(run.scan_history(["loss", "_step"])) == wandbs[f"{run_id} keys"]
    assert list(run.scan_history(["loss"])) == [{"loss": row["loss"]} for row in wandbs[f"{run_id} keys"]]
    places = run.scan_history(["place", "no such key"], any_key=True)
    assert [row["place"] for row in places] == [row["place"] for row in wandbs[run_id]]


@pytest.mark.parametrize("run_id", ["dense", "page", "single", "sparse", "repeating", "rewound"])
@pytest.mark.parametrize("arguments", [{}, {"keys": ["loss"]}, {"keys": ["loss", "note"], "any_key": True}], ids=str)
def test_a_small_run_of_a_list_costs_one_request(
    api: histscan.Api, server: ServerProcess, run_id: str, arguments: dict[str, Any]
) -> None:
    (run,) = api.runs("team/small", {"name": run_id})
    server.forget_traffic()
    threads = threading.active_count()
    scan = run.scan_history(**arguments)
    assert next(scan)
    assert threading.active_count() <= threads  # those of earlier scans may end
    assert 1 + len(rest_of(scan)) == len(RUNS[run_id])
    assert sum(operations(server).values()) == 1
    # After starting over, it is requested again.
    assert len(list(scan)) == len(RUNS[run_id])
    assert sum(operations(server).values()) == 2


def rest_of(scan: Any) -> list[Any]:
    """The remaining rows; a loop would start over."""
    return list(iter(lambda: next(scan, None), None))


def test_a_small_run_by_name_costs_two_requests(api: histscan.Api, server: ServerProcess) -> None:
    server.forget_traffic()
    assert api.run("team/small/dense").to_arrow().num_rows == 100
    assert operations(server) == {"DescribeRun": 1, "FirstPage": 1}


@pytest.mark.parametrize("options", [{}, {"window": "fixed", "page_size": 100_000}, {"prefetch": 0}], ids=str)
def test_a_late_first_step_costs_a_handful_of_requests(
    api: histscan.Api, server: ServerProcess, options: dict[str, Any]
) -> None:
    for run_id in ("late", "very-late") if "window" not in options else ("late",):
        run = api.run(f"team/small/{run_id}")
        server.forget_traffic()
        scan = run.scan_history(source="pages", **options)
        assert [row["_step"] for row in scan] == list(RUNS[run_id])
        assert sum(operations(server).values()) <= 12


def test_a_large_run_is_not_asked_for_rows_before_the_first_is_wanted(api: histscan.Api, server: ServerProcess) -> None:
    run = api.run("team/small/pages")
    server.forget_traffic()
    scan = run.scan_history()
    assert operations(server) == {"LastStep": 1}
    assert len(list(scan)) == 2_500
    assert operations(server) == {"LastStep": 1, "ExportedFiles": 1, "files": 1}


def test_installed_scans_find_a_late_first_step(server: ServerProcess, wandbs: dict[str, Any]) -> None:
    transport = GraphQLSession(f"{server.url}/graphql", use_json=True)
    client = RetryingClient(WandbGqlClient(transport=transport))
    run: Any = SimpleNamespace(entity="team", project="small", id="very-late", url=server.url, client=client)
    stop = RUNS["very-late"][-1] + 1
    server.forget_traffic()
    with histscan.installed():
        scan = public.HistoryScan(client=client, run=run, min_step=0, max_step=stop)
        scan_of_keys = public.SampledHistoryScan(client=client, run=run, keys=["loss"], min_step=0, max_step=stop)
    assert list(scan) == wandbs["very-late"]
    assert list(scan_of_keys) == [{"loss": row["loss"]} for row in wandbs["very-late"]]
    # The windows requested before the first turns out to be empty; probes; and five pages.
    assert sum(operations(server).values()) <= 2 * 16


def test_ranges(api: histscan.Api, server: ServerProcess) -> None:
    run = api.run("team/small/dense")
    server.forget_traffic()
    for min_step, max_step in ((0, 0), (7, 7), (8, 7), (3, 40), (99, 100), (99, 10**12), (-5, 3), (100, None)):
        steps = [row["_step"] for row in run.scan_history(min_step=min_step, max_step=max_step)]
        assert steps == list(range(max(0, min_step), 100 if max_step is None else min(max_step, 100)))
    assert sum(operations(server).values()) == 8


def test_negative_steps_are_found_where_they_are_asked_for(tmp_path: Path) -> None:
    write_run(tmp_path, "negative", [-2_000, -1, 0, 3])
    asked = [Question("scan_history", "team/small/negative", {"min_step": -3_000})]
    with serving(tmp_path) as server:
        (wandbs,) = ask_wandb(server.url, asked)
        run = histscan.Api(server.url, "a" * 40).run("team/small/negative")
        for source in ("auto", "pages", "parquet"):
            steps = [row["_step"] for row in run.scan_history(min_step=-3_000, source=source)]
            assert steps == [row["_step"] for row in wandbs] == [-2_000, -1, 0, 3]


class Grown:
    """A server whose run has more rows than it reports.

    Args:
        steps: The steps of the rows.
        state: What it says that the run does.
    """

    def __init__(self, steps: range, state: str = "finished") -> None:
        self.steps, self.state = steps, state
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: Received) -> Answer:
        variables = request.payload["variables"]
        run: dict[str, Any] = {"historyKeys": {"lastStep": self.steps[-1]}}
        if request.operation == "DescribeRun":
            run |= {"name": "r", "state": self.state, "config": "{}", "historyLineCount": 10}
        if "minStep" in variables:
            self.asked.append(variables)
            within = range(max(variables["minStep"], self.steps[0]), min(variables["maxStep"], len(self.steps)))
            run["history"] = [json.dumps({"_step": step}) for step in within]
        return data_answer({"project": {"run": run}})


@pytest.mark.parametrize("state", ["finished", "running"])
def test_a_run_that_has_grown_since_is_read_in_pages(server_of_own: GraphQLServer, state: str) -> None:
    server_of_own.respond = grown = Grown(range(5_000), state)
    scan = histscan.Api(server_of_own.url).run("e/p/r").scan_history(source="pages")
    assert [row["_step"] for row in scan] == list(range(5_000))
    widths = [variables["pageSize"] for variables in grown.asked]
    assert widths == [64_000, *[1_000] * 5] if state == "finished" else [1_000] * 5


REFUSAL = {"data": None, "errors": [{"message": 'Cannot query field "historyKeys" beside "history"'}]}


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(REFUSAL),
        json_answer(REFUSAL, status=400),
        json_answer({"data": {"project": {"run": {"historyKeys": "?", "history": []}}}}),
        json_answer({"data": {"project": {"run": {"historyKeys": {"lastStep": 3}}}}}),
    ],
    ids=["refused", "refused with 400", "keys", "no rows"],
)
def test_a_server_that_gives_no_page_with_the_last_step_is_asked_for_both(
    server_of_own: GraphQLServer, answer: Answer
) -> None:
    whole = Grown(range(10))
    server_of_own.respond = lambda request: answer if request.operation == "FirstPage" else whole(request)
    scan = histscan.Api(server_of_own.url).run("e/p/r").scan_history(source="pages")
    assert [row["_step"] for row in scan] == list(range(10))
    asked = [request.operation for request in server_of_own.received]
    assert asked == ["DescribeRun", "FirstPage", "LastStep", "HistoryPage"]


def test_a_run_that_is_gone(server_of_own: GraphQLServer) -> None:
    server_of_own.respond = Grown(range(10))
    run = histscan.Api(server_of_own.url).run("e/p/r")
    server_of_own.respond = lambda _: data_answer({"project": {"run": None}})
    for arguments in ({}, {"keys": ["a"]}):
        with pytest.raises(histscan.RunNotFoundError, match=r"no such run.*\(run e/p/r\)"):
            run.scan_history(**arguments)  # type: ignore[arg-type]
    assert "LastStep" not in [request.operation for request in server_of_own.received]


def test_a_malformed_row_is_an_error_behind_those_before_it(server_of_own: GraphQLServer) -> None:
    def respond(request: Received) -> Answer:
        texts = ['{"_step": 0}', '{"_step": 1, "big": 123456789012345678901234567890}', '{"_step": nonsense}']
        fields: dict[str, Any] = {"name": "r", "config": "{}", "historyLineCount": 3}
        return data_answer({"project": {"run": {**fields, "historyKeys": {"lastStep": 2}, "history": texts}}})

    server_of_own.respond = respond
    scan = histscan.Api(server_of_own.url).run("e/p/r").scan_history()
    assert [next(scan) for _ in range(2)] == [{"_step": 0}, {"_step": 1, "big": 123456789012345678901234567890}]
    with pytest.raises(histscan.HistoryDecodeError, match=r"run e/p/r, page \[0, 3\), row 2"):
        next(scan)


@pytest.mark.parametrize("run_id", ["dense", "sparse", "pages"])
def test_a_pickled_scan_fetches_its_first_page_again(api: histscan.Api, run_id: str) -> None:
    scan = api.run(f"team/small/{run_id}").scan_history()
    copy = pickle.loads(pickle.dumps(scan))
    expected = list(RUNS[run_id])
    assert [row["_step"] for row in copy] == [row["_step"] for row in scan] == expected
