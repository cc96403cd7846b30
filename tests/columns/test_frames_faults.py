"""Scans as frames where something goes wrong: the same errors as rows have, behind the same rows; logs amid writing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import histscan
from histscan.errors import HistoryDecodeError, HistoryError, LogTruncatedWarning
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from histscan.sources.client import Client
from tests.support import wire
from tests.support.column_rows import check_values, read_stream, rows_of
from tests.support.column_scans import ROWS, write_log
from tests.support.fake_service import FakeService, service_rows
from tests.support.graphql_server import Answer, GraphQLServer
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient
from tests.support.log_samples import Row, step_rows, write_run


def steps_of(batches: Sequence[Any]) -> list[int]:
    """The steps of some batches."""
    return [step for batch in batches for step in batch.column("_step").to_pylist()]


def broken(folder: Path, kind: str) -> Any:
    """A scan whose eighth row is malformed."""
    bad = '{"_step": 7, "loss": 1x}'
    if kind == "log":
        records = [wire.history_record([("_step", str(step))], step) for step in range(7)]
        return histscan.open(
            write_run(folder / "run-a.wandb", [*records, wire.history_record([("_step", "1x")], 7)])
        ).scan_history()
    if kind == "log's run":
        return histscan.open(broken(folder, "log").path)
    if kind == "service":
        return BetaHistoryScan(FakeService([*service_rows(ROWS[:7]), (7, [("_step", "1x")])]), RUN, 0, 100, None, 5)
    backend = HistoryBackend(ROWS, row_texts={7: bad})
    return HistoryScan(MemoryClient(backend), RUN, 0, 100, 5)


@pytest.mark.parametrize("kind", ["log", "log's run", "history", "service"])
def test_errors_are_those_of_the_rows(tmp_path: Path, kind: str) -> None:
    scan = broken(tmp_path, kind)
    rows: list[Row] = []
    with pytest.raises(HistoryDecodeError) as of_rows:
        rows.extend(scan.scan_history() if kind == "log's run" else scan)
    expected = str(of_rows.value)
    uses: list[Callable[[], object]] = [
        scan.to_arrow,
        lambda: scan.to_arrow(threads=1),
        lambda: scan.to_arrow(threads=3),
        scan.to_polars,
        scan.to_pandas,
        lambda: list(scan.batches()),
        lambda: list(scan.batches(rows=2)),
        lambda: pa.table(scan),
        lambda: pl.DataFrame(scan),
        lambda: read_stream(scan),
        scan.__arrow_c_stream__,
    ]
    for use in uses:
        with pytest.raises(HistoryDecodeError) as of_columns:
            use()
        assert str(of_columns.value) == expected
    with duckdb.connect() as connection, pytest.raises(duckdb.Error, match="HistoryDecodeError"):
        connection.sql("select * from scan").fetchall()
    # The malformed key was not requested, so it is not read; but rows in JSON must be well-formed.
    if kind != "history":
        assert scan.to_arrow(["other"], with_step=False).num_rows == 8


@pytest.mark.parametrize("kind", ["log", "log's run", "history", "service"])
def test_batches_before_an_error(tmp_path: Path, kind: str) -> None:
    for batch_rows in (1, 2, 3, 7, 100):
        scan = broken(tmp_path, kind)
        batches: list[Any] = []
        with pytest.raises(HistoryDecodeError) as caught:
            batches.extend(scan.batches(rows=batch_rows))
        assert steps_of(batches) == list(range(7))
        assert all(batch.num_rows == batch_rows for batch in batches[:-1])
        assert caught.value.run is not None


def test_sampled_rows_before_an_error_come_once(server: GraphQLServer) -> None:
    def respond(request: Any) -> Answer:
        spec = json.loads(request.payload["variables"]["spec"])
        rows = [f'{{"_step":{step}}}' for step in range(spec["minStep"], min(spec["maxStep"], 20))]
        if spec["minStep"] == 10:
            rows[4] = '{"_step":1x}'
        return Answer(('{"data":{"project":{"run":{"sampledHistory":[[' + ",".join(rows) + "]]}}}}").encode())

    server.respond = respond
    scan = SampledHistoryScan(Client(server.url), RUN, ["_step"], 0, 40, 10)
    rows: list[Row] = []
    with pytest.raises(HistoryDecodeError) as of_rows:
        rows.extend(scan)
    assert [row["_step"] for row in rows] == list(range(14))
    batches: list[Any] = []
    with pytest.raises(HistoryDecodeError) as of_columns:
        batches.extend(scan.batches(rows=3))
    assert steps_of(batches) == list(range(14))
    assert str(of_columns.value) == str(of_rows.value)
    for threads in (1, 2):
        with pytest.raises(HistoryDecodeError) as of_columns:
            scan.to_arrow(threads=threads)
        assert str(of_columns.value) == str(of_rows.value)


def test_rows_that_are_no_objects_have_no_columns() -> None:
    scan = HistoryScan(MemoryClient(HistoryBackend(ROWS, row_texts={7: "[1]"})), RUN, 0, 100, 5)
    assert len(list(scan)) == 20
    with pytest.raises(HistoryError, match=r"row is list, not an object.*page \[5, 10\), row 2"):
        scan.to_arrow()


def test_errors_of_requests_reach_the_caller() -> None:
    class Unwell(Exception):
        """What a client of the user's own raises."""

    class Client:
        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            if variable_values["minStep"]:
                raise Unwell("the server is tired")
            return {"project": {"run": {"history": ['{"a":1}']}}}

    for threads in (1, 2):
        scan = HistoryScan(Client(), RUN, 0, 100, 5)
        with pytest.raises(Unwell):
            scan.to_arrow(threads=threads)
        with pytest.raises(Unwell):
            list(scan.batches())
        with pytest.raises(Unwell):
            pl.DataFrame(scan)


def test_a_log_that_grows(tmp_path: Path) -> None:
    path = write_log(tmp_path / "run-a.wandb", ROWS[:10])
    run = histscan.open(path)
    scan = run.scan_history()
    assert sum(batch.num_rows for batch in scan.batches(rows=3)) == 10
    batches = scan.batches(rows=3)
    first = next(batches)
    write_log(path, ROWS)
    # What came in between could have other types: a batch's schema holds for all of them.
    rest = list(batches)
    assert sum(batch.num_rows for batch in [first, *rest]) == 10
    assert len(list(scan)) == 20
    assert scan.to_arrow().num_rows == run.to_arrow().num_rows == 20
    assert sum(batch.num_rows for batch in scan.batches()) == 20


def test_a_log_cut_short(tmp_path: Path) -> None:
    path = write_log(tmp_path / "run-a.wandb")
    path.write_bytes(path.read_bytes()[:-5])
    scan = histscan.open(path).scan_history()
    uses: list[Callable[[], Any]] = [
        scan.to_arrow,
        lambda: pa.Table.from_batches(scan.batches()),
        lambda: pa.table(scan),
    ]
    for use in uses:
        with pytest.warns(LogTruncatedWarning):
            check_values(use(), ROWS[:19])


def test_scans_of_logs_with_keys_and_steps(tmp_path: Path) -> None:
    run = histscan.open(write_log(tmp_path / "run-a.wandb"))
    scan = run.scan_history(keys=["late", "_step"])
    assert len(list(scan)) == 2
    assert rows_of(scan.to_arrow()) == [{"late": "x", "_step": 18}, {"late": "x", "_step": 19}]
    # Other columns of the same rows, odd values among them.
    table = scan.to_arrow(["text", "loss"], with_step=False)
    check_values(table, [{"text": row["text"], "loss": row["loss"]} for row in ROWS[18:]])
    assert rows_of(run.scan_history(min_step=5, max_step=8).to_arrow(["_step"])) == [
        {"_step": step} for step in (5, 6, 7)
    ]
    odd = [{**row, "text": "\ud800"} for row in ROWS]
    run = histscan.open(write_log(tmp_path / "run-b.wandb", odd))
    check_values(run.scan_history(keys=["late"]).to_arrow(["text"], with_step=False), [{"text": "\ud800"}] * 2)


def test_batches_of_a_long_log_are_not_all_in_memory(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run-a.wandb", step_rows(range(400), size=20_000))
    run = histscan.open(path)
    batches = run.batches(rows=10)
    first = next(batches)
    assert first.num_rows == 10
    # A window is read when its rows are needed, and not before: the end of the file may still be damaged.
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 100_000)
        file.write(b"\xff" * 50)
    found = [first]
    with pytest.raises(HistoryError, match="corrupt"):
        found.extend(batches)
    steps = steps_of(found)
    assert steps == list(range(len(steps)))
    assert 300 < len(steps) < 400
