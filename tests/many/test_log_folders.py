"""Folders of logs: each log is read once, and one that can't be read changes nothing for the others."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.errors import LogTruncatedWarning, RunSkippedWarning
from tests.support import wire
from tests.support.many_runs import rows_of, write_log

pytest.importorskip("pyarrow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place, name in enumerate("abcd"):
        rows = [{"_step": step, "loss": step / (place + 1)} for step in range(5)]
        write_log(tmp_path, name, rows, config={"lr": place}, start=place)
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each log is opened."""
    counts: Counter[str] = Counter()
    open_file = os.open

    def count(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith(".wandb"):
            counts[Path(path).name] += 1
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(os, "open", count)
    return counts


@pytest.mark.parametrize("options", [{}, {"config": ["lr"]}, {"config": ["lr"], "samples": 2}, {"min_step": 2}])
def test_a_table_reads_each_log_once(folder: Path, opened: Counter[str], options: Any) -> None:
    table = histscan.open_runs(folder).to_arrow(["_step", "loss"], **options)
    assert opened == {f"run-{name}.wandb": 1 for name in "abcd"}
    assert table["run_id"].unique().to_pylist() == list("abcd")
    if "config" in options:
        assert table["config.lr"].unique().to_pylist() == [0, 1, 2, 3]


def test_a_stream_reads_each_log_twice(folder: Path, opened: Counter[str]) -> None:
    batches = list(histscan.open_runs(folder).batches(config=["lr"]))
    assert sum(map(len, batches)) == 20
    assert opened == {f"run-{name}.wandb": 2 for name in "abcd"}


def test_the_config_that_a_pass_found_is_that_of_the_log_now(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    runs.to_arrow(config=["lr"])
    write_log(folder, "b", [{"_step": 0}], config={"lr": 7}, start=1)
    assert [run.config["lr"] for run in runs] == [0, 7, 2, 3]
    assert runs.to_arrow(["_step"], config=["lr"])["config.lr"].unique().to_pylist() == [0, 7, 2, 3]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_log_that_vanishes_takes_no_rows_of_others_with_it(folder: Path, threads: int) -> None:
    runs = histscan.open_runs(folder)
    whole = rows_of(runs.to_arrow())
    next(folder.rglob("run-c.wandb")).unlink()
    again = histscan.open_runs(folder)
    gone = histscan.open_runs([run.file for run in runs if run.id != "c"])
    assert rows_of(again.to_arrow(threads=threads)) == rows_of(gone.to_arrow())
    with pytest.warns(RunSkippedWarning, match="run-c|e/p/c"):
        left = rows_of(runs.to_arrow(on_error="skip", threads=threads))
    assert left == [row for row in whole if row["run_id"] != "c"]
    assert [type(error) for error in runs.failures.values()] == [FileNotFoundError]
    with pytest.raises(FileNotFoundError):
        runs.to_arrow(threads=threads)


@pytest.mark.parametrize("text", [b"", b"no log at all", b":W&B\xe1\xbe\x00" + wire.chunk(wire.FULL, b"x", checksum=1)])
def test_files_that_are_no_logs(folder: Path, text: bytes) -> None:
    whole = rows_of(histscan.open_runs(folder).to_arrow())
    for name in ("run-a", "run-c", "run-d"):
        next(folder.rglob(f"{name}.wandb")).write_bytes(text)
    runs = histscan.open_runs(folder)
    with pytest.warns(RunSkippedWarning) as caught:
        table = runs.to_arrow(on_error="skip")
    assert rows_of(table) == [row for row in whole if row["run_id"] == "b"]
    assert len(caught) == len(runs.failures) == 3
    with pytest.raises(histscan.errors.HistoryError, match=r"run-a\.wandb"):
        runs.to_arrow()


def test_a_file_is_warned_of_once_beside_one_that_is_damaged(folder: Path) -> None:
    for name, tail in (("a", b"\x01\x02"), ("c", b"\x01"), ("b", wire.chunk(wire.FULL, b"x", checksum=1))):
        with next(folder.rglob(f"run-{name}.wandb")).open("ab") as log:
            log.write(tail)
    runs = histscan.open_runs(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = runs.to_arrow(on_error="skip")
    assert table["run_id"].unique().to_pylist() == ["a", "c", "d"]
    told = [str(warning.message) for warning in caught if warning.category is LogTruncatedWarning]
    assert sorted(Path(message.partition(" ends")[0]).name for message in told) == ["run-a.wandb", "run-c.wandb"]
