"""Frames, tables and keys of a project on a server: the same as those of its logs, in few requests."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.many.options import RunsProgress
from histscan.sources.transport import Transport
from tests.support.graphql_server import Answer, GraphQLServer, Received, data_answer
from tests.support.many_runs import rows_of, write_log
from tests.support.server_process import serving
from tests.support.wandb_client import Question, ask_wandb

pytest.importorskip("pyarrow")

KEY = "5e" * 20
RUNS = 60
LARGE = 2_500
"""Rows of the one run that does not fit a page."""


def write_project(folder: Path) -> None:
    for place in range(RUNS):
        rows = [
            {"_step": step, "loss": step / (place + 1), **({"note": "é"} if step % 7 == 0 else {})}
            for step in range(LARGE if place == 5 else place % 4)
        ]
        write_log(
            folder,
            f"run{place:02}",
            rows,
            config={"lr": 0.1 * (place % 3), "opt": {"name": "adam"}},
            summary={"loss": 1.5, "_step": len(rows) - 1},
            start=1_700_000_000 + place,
            name=f"name {place}",
            tags=["t"],
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder, "--export", "all") as server:
        yield server.url


@pytest.fixture
def api(address: str) -> histscan.Api:
    return histscan.Api(address, KEY)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the operations that were sent."""
    sent: list[str] = []
    post = Transport.post

    def count(self: Transport, query: Any) -> Any:
        sent.append(query.payload["query"].split("(")[0].split()[-1])
        return post(self, query)

    monkeypatch.setattr(Transport, "post", count)
    return sent


def test_the_frame_is_that_of_the_logs(api: histscan.Api, folder: Path, requests: list[str]) -> None:
    table = api.runs("e/p").to_arrow(config=["lr", "opt.name"])
    local = histscan.open_runs(folder).to_arrow(config=["lr", "opt.name"])
    assert rows_of(table) == rows_of(local)
    assert table.schema.equals(local.schema)
    # A listing for 50 runs, one request for each run, and for the large one more: its files or pages.
    assert len(requests) <= 1.1 * RUNS
    assert requests.count("Histories") == 1


def test_each_run_is_that_of_wandb(api: histscan.Api, address: str) -> None:
    runs = list(api.runs("e/p"))
    asked = [Question("scan_history", "/".join(run.path), {}) for run in runs[:12]]
    answers = ask_wandb(address, asked, api_key=KEY)
    table = api.runs("e/p")[:12].to_arrow()
    for run, answer in zip(runs, answers, strict=False):
        own = table.filter(pa_equal(table, run.id)).drop_columns(["run_id", "run_name"])
        assert rows_of(own) == answer


def pa_equal(table: Any, run_id: str) -> Any:
    import pyarrow
    import pyarrow.compute

    return pyarrow.compute.equal(table["run_id"].cast(pyarrow.string()), run_id)


def test_few_keys_and_steps(api: histscan.Api, folder: Path) -> None:
    windows: list[Any] = [{"min_step": 2}, {"min_step": 1, "max_step": 3}, {"max_step": 2_001}]
    for options in windows:
        table = api.runs("e/p").to_arrow(["note", "_step"], **options)
        assert rows_of(table) == rows_of(histscan.open_runs(folder).to_arrow(["note", "_step"], **options))


@pytest.mark.parametrize("way", ["to_arrow", "batches"])
def test_the_progress_counts_what_is_received(api: histscan.Api, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    sizes: list[int] = []
    post = Transport.post

    def measure(self: Transport, query: Any) -> Any:
        response = post(self, query)
        sizes.append(len(response.content))
        return response

    monkeypatch.setattr(Transport, "post", measure)
    told: list[RunsProgress] = []
    runs = api.runs("e/p", order="+name")
    assert len(runs) == RUNS
    sizes.clear()
    read = runs.to_arrow(progress=told.append) if way == "to_arrow" else list(runs.batches(progress=told.append))
    assert len(read)
    assert (told[-1].runs, told[-1].total) == (RUNS, RUNS)
    assert [step.bytes for step in told] == sorted(step.bytes for step in told)
    assert told[-1].bytes >= sum(sizes) > 0


def test_the_table_in_one_request(api: histscan.Api, folder: Path, requests: list[str]) -> None:
    table = api.runs("e/p").table()
    assert len(requests) == 1
    local = histscan.open_runs(folder).table()
    ours, theirs = (
        [{key: value for key, value in row.items() if key != "heartbeat_at"} for row in found.rows()]
        for found in (table, local)
    )
    assert ours == theirs


def test_the_keys_in_one_request(api: histscan.Api, folder: Path, requests: list[str]) -> None:
    keys = api.runs("e/p").keys()
    assert requests == ["ListRuns"]
    local = histscan.open_runs(folder).keys()
    assert [(key.name, key.type, key.runs) for key in keys] == [(key.name, key.type, key.runs) for key in local]
    assert [key.name for key in api.runs("e/p").keys("n*")] == ["note"]


def test_slices_filters_and_orders(api: histscan.Api, folder: Path, requests: list[str]) -> None:
    runs = api.runs("e/p", order="name")
    part = runs[3:7]
    assert [run.id for run in part] == ["run03", "run04", "run05", "run06"]
    del requests[:]
    assert len(part.to_arrow()) == 3 + 0 + LARGE + 2
    assert len(requests) <= 7
    chosen = runs.filter({"config.lr": {"$gt": 0.15}}).sort("-name")
    local = histscan.open_runs(folder).filter({"config.lr": {"$gt": 0.15}}).sort("-name")
    assert [run.id for run in chosen] == [run.id for run in local]


def test_open_runs_by_name_and_address(
    address: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", address)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    for where in ("e/p", f"{address}/e/p", f"{address}/e/p/workspace?nw=x"):
        assert len(histscan.open_runs(where)) == RUNS, where
    assert len(histscan.open_runs("e/p", filters={"name": "run01"}, order="-name")) == 1
    assert len(histscan.open_runs("e/p/sweeps/none")) == 0
    assert len(histscan.open_runs("e/p/none")) == 0
    for where, error in (
        (f"{address}/e/p/runs/run01", "address of one run"),
        ("wandb/latest-run", "no file or folder"),
        ("./e/p", "no file or folder"),
        ("e", "no file or folder"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=error):
            histscan.open_runs(where)
    with pytest.raises(histscan.RunNotFoundError):
        len(histscan.open_runs("e/nothing"))


def test_runs_pickle_without_the_key(api: histscan.Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    runs = api.runs("e/p")[:3]
    pickled = pickle.dumps(runs)
    assert KEY.encode() not in pickled
    assert pickle.loads(pickled).to_arrow().equals(runs.to_arrow())


class TestOtherServers:
    """Servers that answer in other ways."""

    @staticmethod
    def answer(request: Received, *, exports: bool, deleted: str = "") -> Answer:
        variables = request.payload["variables"]
        nodes = [{"name": name, "displayName": name, "historyLineCount": 5_000} for name in ("a", "b")]
        if request.operation == "ListRuns":
            edges = [{"node": node, "cursor": "x"} for node in nodes]
            runs = {"edges": edges, "pageInfo": {"hasNextPage": False, "endCursor": None}}
            return data_answer({"project": {"runCount": 2, "runs": runs}})
        if request.operation == "Histories":
            if "parquetHistory" in request.payload["query"] and not exports:
                return Answer(json.dumps({"errors": [{"message": "no field parquetHistory"}]}).encode(), status=400)
            told = [{"node": {"name": node["name"], "historyKeys": {"lastStep": 3, "keys": {}}}} for node in nodes]
            return data_answer({"project": {"runs": {"edges": told}}})
        if request.operation == "ExportedFiles":
            return data_answer({"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}})
        if variables["run"] == deleted:
            return data_answer({"project": {"run": None}})
        rows = [json.dumps({"_step": step, "who": variables["run"]}) for step in range(4)]
        return data_answer({"project": {"run": {"history": rows, "historyKeys": {"lastStep": 3}}}})

    @pytest.mark.parametrize("exports", [True, False])
    def test_without_exports(self, server: GraphQLServer, exports: bool) -> None:
        server.respond = lambda request: self.answer(request, exports=exports)
        table = histscan.Api(server.url, KEY).runs("e/p").to_arrow()
        assert table["who"].to_pylist() == ["a"] * 4 + ["b"] * 4

    def test_a_run_that_was_deleted_meanwhile(self, server: GraphQLServer) -> None:
        server.respond = lambda request: self.answer(request, exports=False, deleted="a")
        runs = histscan.Api(server.url, KEY, retries=0).runs("e/p")
        with pytest.raises(histscan.RunNotFoundError, match="e/p/a"):
            runs.to_arrow()
        with pytest.warns(histscan.RunSkippedWarning, match="e/p/a is left out"):
            table = runs.to_arrow(on_error="skip")
        assert table["who"].to_pylist() == ["b"] * 4
        assert list(runs.failures) == ["e/p/a"]

    def test_too_many_requests(self, server: GraphQLServer) -> None:
        seen: list[str] = []

        def respond(request: Received) -> Answer:
            seen.append(request.operation)
            if len(seen) % 3 == 0:
                return Answer(b"{}", status=429, headers={"Retry-After": "0"})
            return self.answer(request, exports=False)

        server.respond = respond
        table = histscan.Api(server.url, KEY, retries=8).runs("e/p").to_arrow()
        assert table["who"].to_pylist() == ["a"] * 4 + ["b"] * 4


def test_last_rows_without_the_others(
    api: histscan.Api, folder: Path, requests: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = histscan.open_runs(folder)
    for count in (1, 3, 900, 5_000):
        for window in ({}, {"max_step": 1_234}, {"min_step": 2_499}):
            options: Any = {"tail": count, **window}
            assert rows_of(api.runs("e/p").to_arrow(**options)) == rows_of(local.to_arrow(**options)), options
    sent: list[int] = []
    post = Transport.post

    def weigh(self: Transport, query: Any) -> Any:
        response = post(self, query)
        sent.append(len(response.content))
        return response

    monkeypatch.setattr(Transport, "post", weigh)
    large = api.runs("e/p", {"name": "run05"})
    assert len(large.to_arrow(tail=1)) == 1
    assert len(sent) == 3  # the listing, the last step, and a page
    assert sum(sent) < 3_000
    # Of Parquet files, row groups before are not read.
    from histscan.columns.arrow_files import write_parquet

    monkeypatch.setattr("histscan.columns.arrow_files.ROW_GROUP_ROWS", 100)
    with (tmp_path / "run05.parquet").open("wb") as output:
        write_parquet(local.filter({"name": "run05"})[0].scan_history(), output)
    read: list[object] = []
    from histscan.sources.parquet import ParquetSource

    of_group = ParquetSource.read

    def count_groups(self: ParquetSource, group: Any, *rest: Any) -> Any:
        read.append(group)
        return of_group(self, group, *rest)

    monkeypatch.setattr(ParquetSource, "read", count_groups)
    assert histscan.open_runs(tmp_path).to_arrow(tail=2)["_step"].to_pylist() == [LARGE - 2, LARGE - 1]
    assert len(read) == 1
