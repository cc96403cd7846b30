"""`histscan export` to Parquet and Arrow end to end: files, options, errors and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import histscan
from histscan.cli import exit_codes
from histscan.cli.exit_codes import BROKEN_PIPE, FAILED, INTERRUPTED, MISUSED
from histscan.cli.main import main
from histscan.cli.table_export import COMPRESSIONS
from histscan.columns import arrow_files
from tests.support import wire
from tests.support.column_rows import check_same_columns
from tests.support.command_line import COMMAND, check_refused, run
from tests.support.extras import install_command
from tests.support.log_samples import write_run
from tests.support.paths import EXAMPLE

endings = pytest.mark.parametrize("ending", ["parquet", "arrow"])


def read(path: Path) -> Any:
    return pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(path.read_bytes()).read_all()


@pytest.mark.parametrize("ending", ["parquet", "arrow", "FEATHER"])
def test_file_holds_every_row(ending: str, tmp_path: Path) -> None:
    goal = tmp_path / f"history.{ending}"
    finished = run("export", EXAMPLE, "-o", goal)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(f"{goal}: 5,000 rows, 14 keys, steps 0 to 4999, ")
    assert finished.stdout.endswith(" rows/s\n")
    assert finished.stdout.count("\n") == 1
    check_same_columns(read(goal), histscan.open(EXAMPLE).to_arrow())
    assert b"histscan.run" in read(goal).schema.metadata
    assert os.listdir(tmp_path) == [goal.name]


@endings
def test_options(ending: str, tmp_path: Path) -> None:
    goal = tmp_path / f"history.{ending}"
    choice = ["-k", "loss", "-k", "validation.loss", "--min-step", "1_000", "--max-step", "2000"]
    finished = run("export", EXAMPLE, "-o", goal, *choice, "--compression", "none", "-q")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    scan = histscan.open(EXAMPLE).scan_history(["_step", "loss", "validation.loss"], min_step=1000, max_step=2000)
    assert read(goal).column_names == ["_step", "loss", "validation.loss"]
    assert read(goal).column("loss").to_pylist() == [row["loss"] for row in scan]


@endings
def test_nested_values_as_columns(ending: str, tmp_path: Path) -> None:
    goal = tmp_path / f"history.{ending}"
    finished = run("export", EXAMPLE, "-o", goal, "--nested", "flatten")
    assert finished.returncode == 0
    assert ": 5,000 rows, 33 columns, steps 0 to 4999, " in finished.stdout
    check_same_columns(read(goal), histscan.open(EXAMPLE).to_arrow(nested="flatten"))


@endings
@pytest.mark.parametrize("choice", [[], ["-k", "loss", "-k", "_timestamp"], ["-k", "_time*"]])
def test_dates_and_times(ending: str, choice: list[str], tmp_path: Path) -> None:
    goal, plain = tmp_path / f"history.{ending}", tmp_path / f"seconds.{ending}"
    assert run("export", EXAMPLE, "-o", goal, *choice, "--timestamps", "datetime").returncode == 0
    assert run("export", EXAMPLE, "-o", plain, *choice, "--timestamps", "seconds").returncode == 0
    times = histscan.open(EXAMPLE).to_arrow(["_timestamp"], timestamps="datetime").column("_timestamp")
    assert times.type == pa.timestamp("us", "UTC")
    assert read(goal).column("_timestamp").equals(times)
    seconds = histscan.open(EXAMPLE).to_arrow(["_timestamp"]).column("_timestamp")
    assert read(plain).column("_timestamp").equals(seconds)
    check_same_columns(read(goal).drop_columns("_timestamp"), read(plain).drop_columns("_timestamp"))


def test_dates_and_times_of_many_runs(tmp_path: Path) -> None:
    log = write_run(
        tmp_path / "run-a.wandb",
        [wire.history_record([("_step", "1"), ("_timestamp", "1.7e9"), ("x", "2")], 1)],
    )
    goal = tmp_path / "all.parquet"
    assert run("export", EXAMPLE, log, "-o", goal, "-k", "_timestamp", "--timestamps", "datetime").returncode == 0
    runs = histscan.open_runs([EXAMPLE, log])
    assert (
        read(goal)
        .column("_timestamp")
        .equals(runs.to_arrow(["_timestamp"], timestamps="datetime").column("_timestamp"))
    )
    assert read(goal).schema.field("_timestamp").type == pa.timestamp("us", "UTC")


def test_compressions_match_those_of_arrow_files() -> None:
    known = {"parquet": arrow_files.PARQUET_COMPRESSIONS, "arrow": arrow_files.ARROW_COMPRESSIONS}
    assert known == COMPRESSIONS


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_standard_output(kind: str, tmp_path: Path) -> None:
    goal = tmp_path / f"history.{kind}"
    with goal.open("wb") as output:
        finished = subprocess.run(
            [*COMMAND, "export", str(EXAMPLE), "-o", "-", "--format", kind],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert finished.returncode == 0
    assert finished.stderr.startswith("standard output: 5,000 rows, 14 keys, steps 0 to 4999; ")
    assert read(goal).num_rows == 5000


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_pipe(kind: str) -> None:
    command = [*COMMAND, "export", str(EXAMPLE), "-o", "-", "--format", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        content = pa.BufferReader(process.stdout.read())
    assert process.returncode == 0
    table = pq.read_table(content) if kind == "parquet" else pa.ipc.open_file(content).read_all()
    assert table.num_rows == 5000


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_reader_that_closes_the_pipe_early(kind: str) -> None:
    command = [*COMMAND, "export", str(EXAMPLE), "-o", "-", "--format", kind, "--compression", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(4)) == 4
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == BROKEN_PIPE


@endings
def test_truncated_log_gives_every_complete_row_and_one_warning(ending: str, tmp_path: Path) -> None:
    log, goal = tmp_path / "cut.wandb", tmp_path / f"history.{ending}"
    log.write_bytes(EXAMPLE.read_bytes()[:3_000_001])
    finished = run("export", log, "-o", goal)
    assert finished.returncode == 0
    assert finished.stderr.startswith("histscan: warning: ")
    assert finished.stderr.count("\n") == 1
    assert "ends within a record" in finished.stderr
    assert read(goal).column("_step").to_pylist() == list(range(read(goal).num_rows))
    assert 2000 < read(goal).num_rows < 5000


@endings
def test_corrupt_log_is_an_error_unless_skipped(ending: str, tmp_path: Path) -> None:
    content = bytearray(EXAMPLE.read_bytes())
    content[len(content) // 2] ^= 0xFF
    log, goal = tmp_path / "damaged.wandb", tmp_path / f"history.{ending}"
    log.write_bytes(content)
    check_refused(run("export", log, "-o", goal), FAILED, str(log), "corrupt", "byte", "--skip-corrupt")
    assert os.listdir(tmp_path) == [log.name]
    finished = run("export", log, "-o", goal, "--skip-corrupt")
    assert finished.returncode == 0
    assert finished.stderr.count("histscan: warning: ") == 1
    assert 4000 < read(goal).num_rows < 5000


@endings
def test_run_without_history(ending: str, tmp_path: Path) -> None:
    log, goal = write_run(tmp_path / "run-a.wandb", []), tmp_path / f"history.{ending}"
    finished = run("export", log, "-o", goal)
    assert finished.returncode == 0
    assert finished.stdout.startswith(f"{goal}: 0 rows, 0 keys, ")
    assert finished.stderr == "histscan: warning: no rows written: the run's history is empty\n"
    assert (read(goal).num_rows, read(goal).column_names) == (0, ["_step"])


def test_late_columns(tmp_path: Path) -> None:
    records = [wire.history_record([("_step", str(step)), ("a", str(step))], step) for step in range(50)]
    records.append(wire.history_record([("_step", "50"), ("a", "0.5"), ("b", '"late"')], 50))
    goal = tmp_path / "history.parquet"
    assert run("export", write_run(tmp_path / "run-a.wandb", records), "-o", goal).returncode == 0
    assert read(goal).to_pylist()[49:] == [{"_step": 49, "a": 49.0, "b": None}, {"_step": 50, "a": 0.5, "b": "late"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "x.csv", "--compression", "zstd"], ["--compression", "Parquet", "csv"]),
        (["-o", "x.jsonl", "--nested", "json"], ["--nested", "jsonl"]),
        (["-o", "x.csv", "--timestamps", "datetime"], ["--timestamps", "Parquet", "csv"]),
        (["-o", "x.parquet", "--timestamps", "days"], ["--timestamps", "datetime"]),
        (["-o", "x.parquet", "--nested", "deep"], ["--nested", "flatten"]),
        (["-o", "x.arrow", "--compression", "gzip"], ["Arrow", "gzip", "zstd, lz4, none"]),
        (["-o", "x.parquet", "--nan", "null"], ["--nan", "JSON"]),
        (["-o", "x.xlsx"], [".parquet", ".feather", "--format"]),
        (["-o", "LOG", "--format", "parquet"], ["is an input file"]),
    ],
)
def test_invalid_command_line(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log.wandb"
    log.write_bytes(EXAMPLE.read_bytes())
    finished = run(
        "export", log, *(str(log) if argument == "LOG" else argument for argument in arguments), cwd=tmp_path
    )
    check_refused(finished, MISUSED, *words)
    assert os.listdir(tmp_path) == ["log.wandb"]
    assert log.read_bytes() == EXAMPLE.read_bytes()


def test_parquet_input_is_not_overwritten(tmp_path: Path) -> None:
    goal = tmp_path / "history.parquet"
    assert run("export", EXAMPLE, "-o", goal, "-q").returncode == 0
    before = goal.read_bytes()
    check_refused(run("export", goal, "-o", goal), MISUSED, "is an input file")
    assert goal.read_bytes() == before
    finished = run("export", goal, "-o", tmp_path / "again.arrow")
    assert finished.returncode == 0
    assert ": 5,000 rows, 14 keys, steps 0 to 4999, " in finished.stdout
    check_same_columns(read(tmp_path / "again.arrow"), read(goal))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_full_disk(kind: str) -> None:
    check_refused(run("export", EXAMPLE, "-o", "/dev/full", "--format", kind), FAILED, "/dev/full: No space left")


def test_missing_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["export", str(EXAMPLE), "-o", str(tmp_path / "history.parquet")]) == MISUSED
    told = capsys.readouterr().err
    assert told == f"histscan: error: Parquet and Arrow files need pyarrow: {install_command('arrow')}\n"
    assert os.listdir(tmp_path) == []
    assert main(["export", str(EXAMPLE), "-o", str(tmp_path / "history.csv"), "-q"]) == exit_codes.SUCCEEDED


def test_binary_output_to_a_terminal_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["export", str(EXAMPLE), "-o", "-", "--format", "parquet"]) == MISUSED
    assert "can't go to a terminal" in capsys.readouterr().err


STALLING = """
import signal, sys, time
from histscan.columns import arrow_files
from histscan.cli.main import main

# The tests' own process may have been started with these signals ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
grouped = arrow_files.row_groups
arrow_files.ROW_GROUP_ROWS = 1000

def stalling(batches, schema):
    for number, table in enumerate(grouped(batches, schema)):
        if number == 3:
            print("stalled", flush=True)
            while True:
                # A signal that arrives just before a blocking call is handled only after the call.
                time.sleep(0.01)
        yield table

arrow_files.row_groups = stalling
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("earlier", [None, b"earlier"])
def test_signal_leaves_no_file(tmp_path: Path, number: signal.Signals, ending: str, earlier: bytes | None) -> None:
    goal = tmp_path / f"history.{ending}"
    if earlier is not None:
        goal.write_bytes(earlier)
    command = [sys.executable, "-c", STALLING, "export", str(EXAMPLE), "-o", str(goal)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stalled\n"
        assert any(name.endswith(".partial") for name in os.listdir(tmp_path))
        process.send_signal(number)
        process.wait(timeout=60)
        assert process.stderr is not None
        told = process.stderr.read()
    assert process.returncode == (INTERRUPTED if number == signal.SIGINT else 128 + number)
    assert told.startswith("histscan: error: ")
    assert told.count("\n") == 1
    assert os.listdir(tmp_path) == ([] if earlier is None else [goal.name])
    if earlier is not None:
        assert goal.read_bytes() == earlier
