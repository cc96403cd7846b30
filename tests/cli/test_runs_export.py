"""`histscan export`, `head` and `info` of many runs, and patterns of keys."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest

import histscan
from histscan.cli.exit_codes import FAILED, MISUSED
from histscan.cli.export_many import safe_names
from histscan.cli.main import main
from histscan.runs.file_run import FileRun
from tests.support.extras import install_command
from tests.support.log_samples import write_run as write_log
from tests.support.paths import EXAMPLE
from tests.support.server_process import ServerProcess, serving
from tests.support.stream_records import stats_record
from tests.support.sweep_runs import write_run, write_sweep

NAN = float("nan")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweep"), [0.01, 0.1], 2)


@pytest.fixture(scope="module")
def server(sweep: Path) -> Iterator[ServerProcess]:
    with serving(sweep) as running:
        yield running


def output(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def error(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def one_by_one(folder: Path, keys: list[str] | None = None) -> list[dict[str, Any]]:
    """The rows of all runs, read run by run."""
    return [{"run_id": run.id, **row} for run in histscan.open_runs(folder) for row in run.scan_history(keys)]


def test_json_lines(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = tmp_path / "all.jsonl"
    told = output(capsys, "export", sweep, "-o", goal)
    assert told.startswith(f"{goal}: 4 runs, 240 rows, 6 keys, ")
    assert json_lines(goal) == one_by_one(sweep)
    assert list(json_lines(goal)[0])[:2] == ["run_id", "_step"]


def test_csv(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = tmp_path / "all.csv"
    output(capsys, "export", sweep, "-o", goal, "-k", "loss", "--config", "lr", "--config", "config.optimizer.name")
    with goal.open(newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == ["run_id", "config.lr", "config.optimizer.name", "_step", "loss"]
    assert [[row[0], int(row[3]), float(row[4])] for row in read[1:]] == [
        [row["run_id"], row["_step"], row["loss"]] for row in one_by_one(sweep, ["_step", "loss"])
    ]
    assert {(row[1], row[2]) for row in read[1:]} == {(lr, o) for lr in ("0.01", "0.1") for o in ("sgd", "adam")}


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_tables(sweep: Path, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = tmp_path / f"all.{suffix}"
    output(capsys, "export", sweep, "-o", goal, "--config", "lr")
    read = pyarrow.parquet.read_table(goal) if suffix == "parquet" else pyarrow.ipc.open_file(goal).read_all()
    assert read.equals(histscan.open_runs(sweep).to_arrow(config=["lr"]))


def test_tables_of_several_row_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs"
    for number in range(3):
        write_run(folder, f"r{number}", [{"x": step * number} for step in range(600)])
    # Ids repeat in later row groups, whose dictionaries must not replace the first one.
    files = [str(file) for file in folder.glob("*/*.wandb")]
    for goal in (tmp_path / "all.arrow", tmp_path / "all.parquet"):
        output(capsys, "export", *sorted(files), "-o", goal)
    read = pyarrow.ipc.open_file(tmp_path / "all.arrow").read_all()
    assert read.equals(pyarrow.parquet.read_table(tmp_path / "all.parquet"))
    assert read.column("run_id").to_pylist() == [f"r{number}" for number in range(3) for _ in range(600)]


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_patterns(sweep: Path, file_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = one_by_one(sweep, ["_step", "val/accuracy", "val/loss", "loss"])
    assert len(expected) == 24
    for paths, with_id in (([sweep], True), ([next(sweep.glob("*-r0000"))], False)):
        goal = tmp_path / f"chosen-{with_id}.{file_format}"
        output(capsys, "export", *paths, "-o", goal, "-k", "val/*", "-k", "loss", "-q")
        if file_format == "jsonl":
            read = json_lines(goal)
        elif file_format == "csv":
            with goal.open(newline="") as file:
                read = [
                    {key: value if key == "run_id" else float(value) for key, value in row.items()}
                    for row in csv.DictReader(file)
                ]
        else:
            read = pyarrow.parquet.read_table(goal).to_pylist()
            for row in read:
                row.pop("run_name", None)
        assert read == (expected if with_id else [dict(list(row.items())[1:]) for row in expected[:6]])


def test_a_pattern_needs_one_of_its_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_run(tmp_path, "r", [{"a/x": 1}, {"b": 2}, {"a/y": 3, "n": {"z": 4}}, {"a/x": 5, "a/y": 6}])
    chosen = output(capsys, "export", log, "-o", "-", "--format", "jsonl", "-k", "a/*", "-q")
    assert [list(json.loads(line)) for line in chosen.splitlines()] == [
        ["_step", "a/x"],
        ["_step", "a/y"],
        ["_step", "a/x", "a/y"],
    ]
    goal = tmp_path / "chosen.parquet"
    output(capsys, "export", log, "-o", goal, "-k", "a/*", "-k", "n.*", "-q")
    assert pyarrow.parquet.read_table(goal).to_pylist() == [{"_step": 2, "a/x": None, "a/y": 3, "n.z": 4}]
    assert output(capsys, "head", log, "-k", "n.?").split() == ["_step", "n.z", "2", "4"]


def test_patterns_of_system_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [stats_record({"cpu": "1", "gpu.0": "2"}), stats_record({"memory": "3"}), stats_record({"gpu.1": "4"})]
    log = write_log(tmp_path / "run.wandb", records)
    for suffix in ("jsonl", "parquet"):
        goal = tmp_path / f"chosen.{suffix}"
        output(capsys, "export", log, "--stream", "system", "-o", goal, "-k", "*.gpu.*", "-q")
        rows = json_lines(goal) if suffix == "jsonl" else pyarrow.parquet.read_table(goal).to_pylist()
        assert [[row.get("system.gpu.0"), row.get("system.gpu.1")] for row in rows] == [[2, None], [None, 4]]
    told = error(capsys, MISUSED, "export", log, "--stream", "system", "-o", goal, "-k", "system.gpu.2")
    assert "no row has 'system.gpu.2'; did you mean system.gpu.1, system.gpu.0" in told


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet", "arrow"])
@pytest.mark.parametrize("is_many", [True, False])
def test_missing_keys_leave_no_file(
    sweep: Path, file_format: str, is_many: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goal = tmp_path / f"none.{file_format}"
    path = sweep if is_many else next(sweep.glob("*-r0000"))
    owner = "run" if is_many else "row"
    told = error(capsys, MISUSED, "export", path, "-o", goal, "-k", "los")
    assert f"no {owner} has 'los'; did you mean loss" in told
    assert "did you mean" in error(capsys, MISUSED, "export", path, "-o", goal, "-k", "los", "-k", "loss")
    assert "no r" in error(capsys, MISUSED, "export", path, "-o", goal, "-k", "test/*")
    assert os.listdir(tmp_path) == []


def test_a_key_without_rows_in_the_range_is_no_error(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (sweep, next(sweep.glob("*-r0000"))):
        goal = tmp_path / "none.jsonl"
        assert main(["export", str(path), "-o", str(goal), "-k", "val/loss", "--min-step", "51", "-q"]) == 0
        assert "no rows written" in capsys.readouterr().err
        assert goal.read_bytes() == b""


@pytest.mark.parametrize("file_format", ["parquet", "csv", "jsonl"])
def test_folder(sweep: Path, file_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = tmp_path / "histories"
    told = output(capsys, "export", sweep, "-o", f"{goal}/", "--format", file_format)
    assert told.startswith(f"{goal}/: 4 files, 240 rows; ")
    assert sorted(os.listdir(goal)) == [f"r000{number}.{file_format}" for number in range(4)]
    for run in histscan.open_runs(sweep):
        single = tmp_path / f"single.{file_format}"
        output(capsys, "export", run.file, "-o", single, "-q")
        assert (goal / f"{run.id}.{file_format}").read_bytes() == single.read_bytes()


def test_folder_of_one_run_is_parquet(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output(capsys, "export", next(sweep.glob("*-r0001")), "-o", tmp_path)
    assert os.listdir(tmp_path) == ["r0001.parquet"]


def test_folder_leaves_out_runs_without_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs", "a", [{"x": 1}])
    write_run(tmp_path / "runs", "b", [{"y": 1}])
    output(capsys, "export", tmp_path / "runs", "-o", f"{tmp_path}/out/", "-k", "y", "--format", "csv")
    assert os.listdir(tmp_path / "out") == ["b.csv"]
    assert "'z'" in error(capsys, MISUSED, "export", tmp_path / "runs", "-o", f"{tmp_path}/out/", "-k", "z")


def test_safe_names() -> None:
    names = ["a/b/../c", "..", "A", "a", "", "a-2", "näme\n", "x" * 300, ".hidden", "a\x00b"]
    safe = safe_names(names)
    assert len({name.lower() for name in safe}) == len(names)
    assert all(name and "/" not in name and not name.startswith(".") and len(name) < 130 for name in safe)
    assert safe[:4] == ["a_b_.._c", "run", "A", "a-2"]


def test_damaged_runs(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run in histscan.open_runs(sweep):
        assert isinstance(run, FileRun)
        copy = tmp_path / "runs" / run.file.parent.name / run.file.name
        copy.parent.mkdir(parents=True)
        content = bytearray(run.file.read_bytes())
        if run.id == "r0001":
            content[-300] ^= 255
        copy.write_bytes(content)
    for suffix in ("parquet", "jsonl"):
        goal = tmp_path / f"all.{suffix}"
        assert "r0001" in error(capsys, FAILED, "export", tmp_path / "runs", "-o", goal, "-q")
        assert not goal.exists()
        assert main(["export", str(tmp_path / "runs"), "-o", str(goal), "-q", "--skip-failed"]) == 0
        assert "r0001 is left out" in capsys.readouterr().err
        ids = (
            pyarrow.parquet.read_table(goal).column("run_id").to_pylist()
            if suffix == "parquet"
            else [row["run_id"] for row in json_lines(goal)]
        )
        assert [ids.count(f"r000{number}") for number in (0, 2, 3)] == [60, 60, 60]
    assert main(["export", str(tmp_path / "runs"), "-o", f"{tmp_path}/out/", "-q", "--skip-failed"]) == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["r0000.parquet", "r0002.parquet", "r0003.parquet"]


def test_keys_named_as_the_column_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs", "a", [{"run_id": 7}])
    write_run(tmp_path / "runs", "b", [{"x": 1}])
    rows = output(capsys, "export", tmp_path / "runs", "-o", "-", "--format", "jsonl", "-q")
    assert [json.loads(line) for line in rows.splitlines()] == [
        {"run_id": "a", "_step": 0, "history.run_id": 7},
        {"run_id": "b", "_step": 0, "x": 1},
    ]
    goal = tmp_path / "all.parquet"
    output(capsys, "export", tmp_path / "runs", "-o", goal, "-q")
    assert pyarrow.parquet.read_table(goal, columns=["run_id", "history.run_id", "x"]).to_pylist() == [
        {"run_id": "a", "history.run_id": 7, "x": None},
        {"run_id": "b", "history.run_id": None, "x": 1},
    ]
    output(capsys, "export", tmp_path / "runs", "-o", goal, "-q", "-k", "run_id")
    assert pyarrow.parquet.read_table(goal, columns=["history.run_id"]).to_pylist() == [{"history.run_id": 7}]


def test_nonfinite_and_nested_values_are_as_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs", "a", [{"x": NAN, "n": {"y": [1, {"z": 2**70}]}}])
    write_run(tmp_path / "runs", "b", [{"x": 1}])
    rows = output(capsys, "export", tmp_path / "runs", "-o", "-", "--format", "jsonl", "-q", "--nan", "string")
    assert json.loads(rows.splitlines()[0]) == {"run_id": "a", "_step": 0, "x": "NaN", "n": {"y": [1, {"z": 2**70}]}}


def test_options_that_do_not_apply(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = next(sweep.glob("*-r0000"))
    goal = tmp_path / "x.csv"
    assert "--config applies to many" in error(capsys, MISUSED, "export", one, "-o", goal, "--config", "lr")
    assert "--source applies to one run" in error(capsys, MISUSED, "export", sweep, "-o", goal, "--source", "pages")
    assert "needs a folder" in error(capsys, MISUSED, "export", sweep, "-o", goal, "--stream", "system")
    log = next(one.iterdir())
    copy = tmp_path / "log.wandb"
    copy.write_bytes(log.read_bytes())
    told = error(capsys, MISUSED, "export", copy, next(sweep.glob("*-r0001")), "-o", copy, "--format", "csv")
    assert "is an input file" in told
    assert copy.read_bytes() == log.read_bytes()


def test_a_project(
    sweep: Path,
    server: ServerProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "d7" * 20)
    goal, local = tmp_path / "all.jsonl", tmp_path / "local.jsonl"
    options = ["--filter", '{"config.lr": 0.1}', "-k", "val/*", "--config", "seed", "-q"]
    output(capsys, "export", "e/p", "-o", goal, *options)
    output(capsys, "export", sweep, "-o", local, *options)
    assert goal.read_bytes() == local.read_bytes()
    table = tmp_path / "all.parquet"
    output(capsys, "export", "e/p", "-o", table, "-q")
    assert pyarrow.parquet.read_table(table).num_rows == 240
    assert "did you mean loss" in error(capsys, MISUSED, "export", "e/p", "-o", table, "-k", "los")
    head = output(capsys, "head", "e/p", "-n", "2", "--runs", "2")
    assert [line.split()[:2] for line in head.splitlines()[:5]] == [
        ["run_id", "_step"],
        ["r0000", "0"],
        ["r0000", "1"],
        ["r0001", "0"],
        ["r0001", "1"],
    ]
    assert "the first 2 of 4 runs; `histscan runs e/p` lists them" in head
    assert output(capsys, "info", "e/p").startswith("runs     4: 4 finished\nproject  e/p\n")


def test_head(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in output(capsys, "head", sweep, "-n", "1", "-k", "loss", "--json").splitlines()]
    assert rows == [row for row in one_by_one(sweep, ["_step", "loss"]) if row["_step"] == 0]
    assert "no run has 'val/los'; did you mean val/loss" in error(capsys, MISUSED, "head", sweep, "-k", "val/los")
    assert "did you mean val/loss?" in error(capsys, MISUSED, "head", next(sweep.glob("*-r0000")), "-k", "val/los")
    told = error(capsys, MISUSED, "head", EXAMPLE, "-k", "gradient.norn", "-k", "loss")
    assert "did you mean gradient.norm" in told


def test_info(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "info", sweep)
    assert text.splitlines()[:2] == ["runs     4: 4 finished", "project  e/p"]
    assert "history  240 rows\n" in text
    described = json.loads(output(capsys, "info", sweep, "--json"))
    assert described["states"] == {"finished": 4}
    assert described["rows"] == 240
    assert described["keys"]["val/loss"] == {"type": "number", "count": 24, "runs": 4}
    one = json.loads(output(capsys, "info", sweep, "--filter", '{"name": "r0001"}', "--json"))
    assert (one["runs"], one["rows"]) == (1, 60)
    write_run(tmp_path, "a", [], exit_code=1)
    write_run(tmp_path, "b", [], exit_code=0)
    assert "2: 1 failed, 1 finished" in output(capsys, "info", tmp_path)


def test_without_pyarrow(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    goal = tmp_path / "all.csv"
    output(capsys, "export", sweep, "-o", goal, "-k", "val/*")
    assert goal.read_bytes().count(b"\n") == 25
    assert "r0000" in output(capsys, "head", sweep)
    table = f"{tmp_path}/all.parquet"
    commands: list[list[str | Path]] = [["export", sweep, "-o", goal], ["head", sweep]]
    for command in commands:
        assert "no run has 'los'; did you mean loss" in error(capsys, MISUSED, *command, "-k", "los")
    commands = [["runs", sweep], ["keys", sweep], ["info", sweep], ["export", sweep, "-o", table]]
    for command in commands:
        assert install_command("arrow") in error(capsys, MISUSED, *command)
