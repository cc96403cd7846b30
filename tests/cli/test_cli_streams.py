"""`histscan export --stream` writes system metrics and console output."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import histscan
from histscan.cli.exit_codes import MISUSED
from histscan.cli.main import main
from tests.support import wire
from tests.support.log_samples import step_rows, write_run
from tests.support.stream_records import metric, output_record, stats_record

STATS = [{"cpu": str(10 * step), **({"gpu.0.temp": "NaN"} if step == 1 else {})} for step in range(3)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    records = [
        wire.run_record("id", started=5),
        *(stats_record(values, 10 + step) for step, values in enumerate(STATS)),
        output_record("first\tline\n"),
        output_record("to stderr \u202e\u2028\n", stdout=False),
        output_record("\x1b[31mred\x1b[0m and \x1b]0;title\x07more\n"),
        output_record("50%\r100%\n", stdout=False),
    ]
    return write_run(tmp_path / "run-1.wandb", records, run=False)


LINES = ["first\tline", "to stderr \u202e\u2028", "red and more", "100%"]


def test_system_metrics_in_every_format(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(histscan.LogRun(log).system_metrics())
    assert len(rows) == 3
    goals = [tmp_path / f"system.{suffix}" for suffix in ("jsonl", "csv", "parquet", "arrow")]
    for goal in goals:
        assert main(["export", str(log), "--stream", "system", "-o", str(goal)]) == 0
        assert "3 rows" in capsys.readouterr().out
    assert repr([json.loads(line) for line in goals[0].read_text().splitlines()]) == repr(rows)
    with goals[1].open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["system.cpu"] for row in cells] == ["0", "10", "20"]
    assert [row["system.gpu.0.temp"] for row in cells] == ["", "NaN", ""]
    table = pyarrow.parquet.read_table(goals[2])
    assert table.column("_runtime").to_pylist() == [5.0, 6.0, 7.0]
    assert table.column("system.cpu").to_pylist() == [0, 10, 20]
    assert pyarrow.ipc.open_file(goals[3]).read_all().num_rows == 3


def test_columns_of_system_metrics_have_one_order(tmp_path: Path) -> None:
    values = [{"gpu.b": "1", "cpu": "2", "disk": "3"}, {"net": "4", "gpu.a": "5", "cpu": "6"}]
    # wandb-core writes the metrics of a record in any order.
    records = [wire.run_record("id", started=5), *(stats_record(row, 10 + step) for step, row in enumerate(values))]
    log = write_run(tmp_path / "run-1.wandb", records, run=False)
    scan = histscan.LogRun(log).system_metrics()
    names = [
        "_runtime",
        "_timestamp",
        "_wandb",
        *(f"system.{name}" for name in ("cpu", "disk", "gpu.b", "gpu.a", "net")),
    ]
    assert scan.to_arrow().column_names == names
    assert scan.to_polars().columns == [*scan.to_pandas().columns] == names
    assert next(scan.batches(rows=1)).schema.names == names
    for suffix in ("csv", "parquet", "arrow"):
        assert main(["export", str(log), "--stream", "system", "-o", str(tmp_path / f"a.{suffix}"), "-q"]) == 0
    assert (tmp_path / "a.csv").read_text().splitlines()[0].split(",") == names
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").column_names == names
    assert pyarrow.ipc.open_file(tmp_path / "a.arrow").read_all().column_names == names
    chosen = ["system.net", "system.cpu"]
    assert histscan.LogRun(log).system_metrics(chosen).to_arrow().column_names == chosen


def test_keys_of_system_metrics(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = tmp_path / "system.jsonl"
    arguments = ["export", str(log), "--stream", "system", "-o", str(goal)]
    assert main([*arguments, "-k", "system.cpu", "-k", "_runtime"]) == 0
    first = json.loads(goal.read_text().splitlines()[0])
    assert first == {"system.cpu": 0, "_runtime": 5.0}
    capsys.readouterr()
    assert main([*arguments, "-k", "cpu"]) == MISUSED
    assert "no row has 'cpu'; did you mean system.cpu?" in capsys.readouterr().err


def test_console_as_text_and_json(log: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for options in ([], ["--format", "text"]):
        assert main(["export", str(log), "--stream", "console", "-o", "-", "-q", *options]) == 0
        assert capfdbinary.readouterr().out.decode().split("\n") == [*LINES, ""]
    for name in ("console.txt", "console.log"):
        assert main(["export", str(log), "--stream", "console", "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().split("\n") == [*LINES, ""]
        assert b"4 lines" in capfdbinary.readouterr().out
    goal = tmp_path / "console.jsonl"
    assert main(["export", str(log), "--stream", "console", "-o", str(goal)]) == 0
    lines = [json.loads(line) for line in goal.read_text().rstrip("\n").split("\n")]
    assert [line["text"] for line in lines] == LINES
    assert [line["stream"] for line in lines] == ["stdout", "stderr", "stdout", "stderr"]
    assert {line["time"] for line in lines} == {"1970-01-01T00:00:10+00:00"}


def test_console_output_on_a_terminal_is_escaped(log: Path) -> None:
    master, slave = os.openpty()
    command = [sys.executable, "-m", "histscan", "export", str(log), "--stream", "console", "-o", "-", "-q"]
    try:
        subprocess.run(command, stdout=slave, check=True, timeout=60)
        shown = os.read(master, 10_000).decode().replace("\r\n", "\n")
    finally:
        os.close(master)
        os.close(slave)
    assert shown.split("\n") == ["first\tline", r"to stderr \u202e\u2028", "red and more", "100%", ""]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stream", "console", "-o", "x.csv"], [".txt", ".jsonl"]),
        (["--stream", "console", "-o", "x.parquet"], [".txt", ".jsonl"]),
        (["--stream", "console", "-o", "x", "--format", "csv"], ["console output", "csv", ".txt"]),
        (["--stream", "system", "-o", "x.txt"], [".jsonl", ".csv", ".parquet"]),
        (["--stream", "system", "-o", "x", "--format", "text"], ["--stream console"]),
        (["-o", "x", "--format", "text"], ["--stream console"]),
        (["--stream", "console", "-o", "x.txt", "-k", "a"], ["--key"]),
        (["--stream", "console", "-o", "x.txt", "--min-step", "1"], ["--min-step", "console output"]),
        (["--stream", "system", "-o", "x.csv", "--max-step", "1"], ["--max-step", "system metrics"]),
        (["--stream", "system", "-o", "x.csv", "--source", "pages"], ["--source", "system metrics"]),
        (["--stream", "console", "-o", "x.txt", "--nested", "json"], ["--nested"]),
    ],
)
def test_options_that_do_not_apply(
    arguments: list[str], words: list[str], log: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(log.parent)
    assert main(["export", str(log), *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    for word in words:
        assert word in complaint
    assert [path.name for path in log.parent.iterdir()] == [log.name]


def test_missing_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_run(tmp_path / "run-1.wandb", step_rows(range(2)))
    for stream, words in (("system", "no system metrics"), ("console", "no console output")):
        goal = tmp_path / f"{stream}.jsonl"
        assert main(["export", str(path), "--stream", stream, "-o", str(goal)]) == 0
        assert words in capsys.readouterr().err
        assert goal.read_bytes() == b""
    history = tmp_path / "history.parquet"
    assert main(["export", str(path), "-o", str(history)]) == 0
    capsys.readouterr()
    assert main(["export", str(history), "--stream", "console", "-o", str(tmp_path / "x.txt")]) == 0
    assert "files of a history have no console output" in capsys.readouterr().err


def test_info_escapes_text_from_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = wire.field(11, wire.field(5, "0.26.1\x1b[31m"))
    environment = wire.field(
        26, wire.field(6, "train\n.py") + wire.field(9, wire.field(1, "r\x07") + wire.field(2, "c"))
    )
    axes = [metric(f"m{number}", "x\x1b") for number in range(9)]
    path = write_run(
        tmp_path / "log.wandb", [telemetry, environment, *axes, wire.field(18, wire.varint_field(2, 3700))]
    )
    assert main(["info", str(path)]) == 0
    head = capsys.readouterr().out.partition("\n\n")[0]
    told = dict(line.split(maxsplit=1) for line in head.splitlines())
    assert told["wandb"] == r"0.26.1\x1b[31m"
    assert told["program"] == r"train\n.py"
    assert told["git"] == r"c of r\x07"
    assert told["duration"] == "1:01:40"
    assert told["state"] == "finished, exit code 0"
    assert told["axes"] == r"m0, m1, m2, m3, m4, m5 and 3 more over x\x1b"
    assert main(["info", str(path), "--json"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    run = histscan.LogRun(path)
    assert as_json["axes"] == run.axes
    assert as_json["metadata"] == run.metadata
    assert as_json["duration"] == 3700.0
