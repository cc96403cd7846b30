"""`histscan runs` and `histscan keys`: the table of runs, its files, and the keys of many runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.ipc
import pyarrow.parquet
import pytest

import histscan
from histscan.cli.exit_codes import FAILED, MISUSED
from histscan.cli.main import main
from tests.support.server_process import ServerProcess, serving
from tests.support.sweep_runs import write_run, write_sweep

RATES = [0.001, 0.01, 0.1]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweep"), RATES, 2)


@pytest.fixture(scope="module")
def server(sweep: Path) -> Iterator[ServerProcess]:
    with serving(sweep) as running:
        yield running


def lines(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[str]:
    assert main([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def error(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def rows(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(capsys, "runs", *arguments, "--json")]


def test_table(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header, *table, blank, count = lines(capsys, "runs", sweep)
    assert header.split()[:8] == [
        "id",
        "name",
        "state",
        "created_at",
        "duration",
        "config.lr",
        "config.seed",
        "config.optimizer.name",
    ]
    assert [line.split()[1] for line in table] == [f"lr{rate:g}-s{seed}" for rate in RATES for seed in range(2)]
    assert (blank, count) == ("", "6 runs")
    # Nobody needs columns that no run has a value of.
    assert "sweep" not in header
    assert "tags" not in header


def test_json_has_everything(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = histscan.open_runs(sweep).table()
    printed = rows(capsys, sweep)
    assert list(printed[0]) == table.columns
    assert [row["config.lr"] for row in printed] == [row["config.lr"] for row in table.rows()]
    assert printed[0]["created_at"] == "2023-11-14T22:13:20Z"


def test_filter_order_and_rows(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, sweep, "--filter", '{"config.lr": {"$gte": 0.01}}', "--order=-config.seed,config.lr")
    assert [(row["config.seed"], row["config.lr"]) for row in found] == [(1, 0.01), (1, 0.1), (0, 0.01), (0, 0.1)]
    assert [row["id"] for row in rows(capsys, sweep, "-n", "2")] == ["r0000", "r0001"]
    assert lines(capsys, "runs", sweep, "--filter", '{"state": "running"}') == ["no runs"]
    both = ["--filter", '{"config.lr": {"$gte": 0.01}}', "--filter", '{"config.seed": 1}']
    assert rows(capsys, sweep, *both) == rows(
        capsys, sweep, "--filter", '{"config.lr": {"$gte": 0.01}, "config.seed": 1}'
    )
    assert "not JSON" in error(capsys, MISUSED, "runs", sweep, "--filter", "lr=3")
    assert "no operator $near" in error(capsys, MISUSED, "runs", sweep, "--filter", '{"config.lr": {"$near": 1}}')
    assert "no field 'loss'" in error(capsys, MISUSED, "runs", sweep, "--order", "loss")


def test_columns(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines(capsys, "runs", sweep, "--columns", "config.lr", "id", "config.*", "-n", "1")
    assert shown[0].split() == ["config.lr", "id", "config.seed", "config.optimizer.name"]
    assert "did you mean config.lr" in error(capsys, MISUSED, "runs", sweep, "--columns", "lr")


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "jsonl"])
def test_files(sweep: Path, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = tmp_path / f"runs.{suffix}"
    (summary,) = lines(capsys, "runs", sweep, "-o", goal)
    table = histscan.open_runs(sweep).table()
    assert summary.startswith(f"{goal}: 6 runs, {len(table.columns)} columns, ")
    if suffix == "parquet":
        assert pyarrow.parquet.read_table(goal).equals(table.to_arrow())
    elif suffix == "arrow":
        assert pyarrow.ipc.open_file(goal).read_all().equals(table.to_arrow())
    elif suffix == "csv":
        with goal.open(newline="") as file:
            read = list(csv.DictReader(file))
        assert list(read[0]) == table.columns
        assert [float(row["config.lr"]) for row in read] == [row["config.lr"] for row in table.rows()]
    else:
        assert [json.loads(line)["id"] for line in goal.read_text().splitlines()] == [f"r000{n}" for n in range(6)]


def test_unknown_format(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "ends in .parquet" in error(capsys, MISUSED, "runs", sweep, "-o", "runs.xlsx")
    assert "add -o FILE" in error(capsys, MISUSED, "runs", sweep, "--format", "csv")


def test_names_are_sanitised_and_fit_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path, "a", [{"x": 1}], name="red\x1b[31m\nname", config={f"entry{n}": "v" * 30 for n in range(9)})
    write_run(tmp_path, "b", [{"x": 1}], name="Größe " * 20, config={"entry0": "w"})
    monkeypatch.setattr("histscan.cli.list_runs.terminal_width", lambda: 80)
    shown = lines(capsys, "runs", tmp_path)
    assert "\x1b" not in "\n".join(shown)
    assert "red\\x1b[31m\\nname" in shown[1]
    assert max(map(len, shown)) <= 80
    assert any("more columns (select with --columns): " in line for line in shown)


def test_a_project_on_a_server(
    sweep: Path, server: ServerProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "d7" * 20)
    options = ["--columns", "id", "name", "config.lr", "--order=-config.seed"]
    assert rows(capsys, "e/p", *options) == rows(capsys, sweep, *options)
    assert rows(capsys, f"{server.url}/e/p", *options) == rows(capsys, sweep, *options)
    assert [row["id"] for row in rows(capsys, "e/p/r0003", "e/p/r0001")] == ["r0003", "r0001"]
    assert "e/nothing" in error(capsys, FAILED, "runs", "e/nothing")
    assert lines(capsys, "keys", "e/p", "val/*")[1].split()[:2] == ["val/accuracy", "number"]


def test_keys_of_a_run_on_a_server(
    sweep: Path, server: ServerProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "d7" * 20)
    server.forget_traffic()
    found = [json.loads(line) for line in lines(capsys, "keys", "e/p/r0001", "--json")]
    # No rows, and no files.
    assert sorted(server.traffic()["operations"]) == ["DescribeRun", "LastStep"]
    log = next(sweep.glob("*-r0001/*.wandb"))
    expected = [json.loads(line) for line in lines(capsys, "keys", log, "--json")]
    assert found == [{**key, "count": None} for key in expected]
    assert "did you mean loss" in error(capsys, MISUSED, "keys", "e/p/r0001", "losss")


def test_one_run_is_a_table_of_one(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = sweep.glob("*-r0002")
    (log,) = folder.iterdir()
    assert rows(capsys, folder) == rows(capsys, log) == rows(capsys, sweep)[2:3]
    other = next(sweep.glob("*-r0004"))
    assert rows(capsys, log, other, folder) == [rows(capsys, sweep)[2], rows(capsys, sweep)[4]]


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no .wandb" in error(capsys, FAILED, "runs", tmp_path)
    assert "no file or folder" in error(capsys, FAILED, "runs", tmp_path / "none")


def test_keys(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = [line.split() for line in lines(capsys, "keys", sweep)]
    assert table[0] == ["key", "type", "values", "runs"]
    assert ["val/loss", "number", "36", "6"] in table
    assert table[-1] == ["6", "keys", "of", "6", "runs"]
    assert [line.split()[0] for line in lines(capsys, "keys", sweep, "val/*", "loss")[1:-2]] == [
        "loss",
        "val/accuracy",
        "val/loss",
    ]
    printed = [json.loads(line) for line in lines(capsys, "keys", sweep, "loss", "--json")]
    assert printed == [{"name": "loss", "type": "number", "count": 360, "runs": 6}]


def test_missing_keys_name_near_ones(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run has 'los'; did you mean loss?" in error(capsys, MISUSED, "keys", sweep, "los")
    assert "did you mean val/accuracy?" in error(capsys, MISUSED, "keys", sweep, "accuracy")
    assert "no run has 'test/*'; the keys are _step, " in error(capsys, MISUSED, "keys", sweep, "test/*")
