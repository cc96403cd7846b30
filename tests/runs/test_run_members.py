"""Every kind of run has the same members, so that a script works with any of them."""

from __future__ import annotations

import inspect
import os
import time
from pathlib import Path

import pytest

import histscan
from histscan.errors import HistoryDecodeError
from histscan.runs.jsonl_run import JsonlRun
from histscan.runs.run_state import SILENCE, run_state
from histscan.sources.files import read_windows
from tests.support import wire
from tests.support.log_samples import step_rows, write_run
from tests.support.paths import EXAMPLE
from tests.support.stream_records import exit_record

FILE_RUNS = [histscan.LogRun, histscan.ParquetRun, JsonlRun]


def members(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("kind", FILE_RUNS)
def test_runs_in_files_have_every_member_of_runs_on_a_server(kind: type) -> None:
    assert len(members(histscan.Run)) > 30
    assert members(histscan.Run) <= members(kind)


def test_runs_in_files_have_the_same_members() -> None:
    # What is about files alone.
    assert members(histscan.ParquetRun) - members(histscan.LogRun) == {"files_by_step", "rows", "schemas"}
    assert members(histscan.LogRun) - members(histscan.ParquetRun) == {"config_file", "summary_file"}
    assert members(JsonlRun) <= members(histscan.LogRun)


@pytest.mark.parametrize("name", ["history", "load", "refresh", "console", "system_metrics"])
def test_shared_methods_take_the_same_arguments(name: str) -> None:
    for kind in FILE_RUNS:
        ours = inspect.signature(getattr(kind, name)).parameters
        theirs = inspect.signature(getattr(histscan.Run, name)).parameters
        shared = {key: parameter.default for key, parameter in theirs.items() if key in ours}
        assert {key: parameter.default for key, parameter in ours.items()} == shared


def test_properties_are_properties_everywhere() -> None:
    for name in members(histscan.Run):
        for kind in FILE_RUNS:
            assert callable(getattr(kind, name)) == callable(getattr(histscan.Run, name)), name


@pytest.mark.parametrize(
    ("records", "exit_code", "state"),
    [
        ([], None, "running"),
        ([exit_record()], 0, "finished"),
        ([exit_record(1)], 1, "failed"),
        ([exit_record(255)], 255, "failed"),
        ([exit_record(-9)], -9, "failed"),
        ([exit_record(not_complete=True)], None, "running"),
        ([exit_record(1), exit_record(0)], 0, "finished"),
    ],
)
def test_state_and_exit_code(
    records: list[bytes], exit_code: int | None, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_run(tmp_path / "log.wandb", [*step_rows(range(3)), *records])
    run = histscan.LogRun(path)
    assert (run.exit_code, run.state) == (exit_code, state)
    # The state changes as time passes although nothing is written.
    long_ago = time.time() - SILENCE - 60
    os.utime(path, (long_ago, long_ago))
    assert run.state == ("crashed" if state == "running" else state)


def test_the_limit_of_silence() -> None:
    assert run_state(None, 1000.0, lambda: 1000.0 + SILENCE) == "running"
    assert run_state(None, 1000.0, lambda: 1000.1 + SILENCE) == "crashed"
    # A clock that is behind that of the file system.
    assert run_state(None, 1000.0, lambda: 900.0) == "running"


def test_a_growing_log_is_read_again(tmp_path: Path) -> None:
    path = write_run(tmp_path / "log.wandb", step_rows(range(3)))
    run = histscan.LogRun(path)
    told = [(run.exit_code, run.duration)]
    path.write_bytes(wire.append_record(path.read_bytes(), exit_record(7, 12)))
    told.append((run.exit_code, run.duration))
    assert told == [(None, None), (7, 12.0)]
    assert run.state == "failed"
    run.refresh()
    run.load(force=True)
    assert run.exit_code == 7


@pytest.mark.parametrize("is_asked_before", [False, True])
@pytest.mark.parametrize("is_read_before", [False, True])
def test_a_log_that_was_opened_before_it_named_its_run(
    tmp_path: Path, is_asked_before: bool, is_read_before: bool
) -> None:
    path = tmp_path / "log.wandb"
    path.write_bytes(wire.write_log([]))
    run = histscan.LogRun(path)
    if is_asked_before:
        assert (run.id, run.entity, run.project) == ("", "", "")
    write_run(path, step_rows(range(3)))
    if is_read_before:
        assert len(list(run.scan_history())) == 3
    assert (run.id, run.entity, run.project) == ("id", "e", "p")


@pytest.mark.parametrize("is_read_before", [False, True])
def test_a_malformed_run_record_costs_no_row(tmp_path: Path, is_read_before: bool) -> None:
    path = write_run(tmp_path / "log.wandb", [wire.field(wire.RUN, b"\x0a\x7fabc"), *step_rows(range(3))], run=False)
    run = histscan.open(path)
    if is_read_before:
        assert [row["_step"] for row in run.scan_history()] == [0, 1, 2]
    for member in ("id", "config"):
        with pytest.raises(HistoryDecodeError, match="the record of the run is malformed") as raised:
            getattr(run, member)
        assert raised.value.run == str(path)
    assert [row["_step"] for row in histscan.open(path).scan_history()] == [0, 1, 2]


def test_a_run_without_any_facts(tmp_path: Path) -> None:
    run = histscan.LogRun(write_run(tmp_path / "log.wandb", [wire.update_record(wire.CONFIG)], run=False))
    assert (run.exit_code, run.wandb_version, run.created_at, run.duration) == (None, "", "", None)
    assert (run.axes, run.metadata, run.url, run.tags) == ({}, None, "", [])
    assert [*run.system_metrics(), *run.console(), *run.history(pandas=False)] == []
    assert run.system_metrics().to_arrow().num_rows == 0
    assert run.system_metrics(["system.cpu"]).to_arrow().column_names == ["system.cpu"]


def test_duration_of_a_killed_run_is_that_of_its_last_row(tmp_path: Path) -> None:
    rows = [wire.history_record([("_runtime", text)], step) for step, text in enumerate(["1.5", "2.25", "NaN", '"x"'])]
    for count, duration in ((1, 1.5), (2, 2.25)):
        assert histscan.LogRun(write_run(tmp_path / "log.wandb", rows[:count])).duration == duration
    # What is no time tells nothing.
    assert histscan.LogRun(write_run(tmp_path / "log.wandb", rows[2:])).duration is None


def test_url_is_that_of_the_server_in_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write_run(tmp_path / "log.wandb", [])
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.com")
    run = histscan.LogRun(path)
    assert run.url == "https://wandb.example.com/e/p/runs/id"
    assert run.url == histscan.Api(api_key="5e" * 20).client.base_url + "/e/p/runs/id"


def test_opening_reads_no_more_than_the_first_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = []

    def count(*arguments: object, **options: object) -> object:
        for window in read_windows(*arguments, **options):  # type: ignore[arg-type]
            windows.append(len(window[0]))
            yield window

    monkeypatch.setattr("histscan.runs.log_pages.read_windows", count)
    run = histscan.LogRun(EXAMPLE)
    assert (run.id, run.created_at[:2]) == ("lissajous", "20")
    assert windows == [32_768] * 2  # its run record is long


def test_exported_files_keep_what_is_known(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from histscan.columns.arrow_files import write_parquet
    from histscan.runs.run_metadata import run_metadata

    log = histscan.LogRun(EXAMPLE)
    goal = tmp_path / "history.parquet"
    with goal.open("wb") as output:
        write_parquet(log.scan_history(), output, metadata=run_metadata(log))
    exported = histscan.ParquetRun(goal)
    for name in (
        "state",
        "exit_code",
        "wandb_version",
        "created_at",
        "heartbeat_at",
        "duration",
        "axes",
        "notes",
        "tags",
    ):
        assert getattr(exported, name) == getattr(log, name)
    assert exported.exit_code == 0
    assert exported.url == log.url
    assert exported.metadata is None
    assert [*exported.system_metrics(), *exported.console()] == []
    sampled, expected = (run.history(samples=7, pandas=False) for run in (exported, log))
    assert [row["_step"] for row in sampled] == [row["_step"] for row in expected]
    assert len(sampled) == 7


def test_foreign_files_know_nothing(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    goal = tmp_path / "history.parquet"
    parquet.write_table(pyarrow.table({"_step": [0, 1], "loss": [1.0, 0.5]}), goal)
    run = histscan.ParquetRun(goal)
    assert (run.state, run.exit_code, run.wandb_version, run.created_at) == ("", None, "", "")
    assert (run.heartbeat_at, run.duration, run.axes, run.notes, run.url) == ("", None, {}, "", "")
    assert run.history(keys=["loss"], pandas=False) == [{"_step": 0, "loss": 1.0}, {"_step": 1, "loss": 0.5}]
