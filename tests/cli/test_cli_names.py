"""The commands accept a run's name in place of a path, and print the same as for the run's log."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.cli.exit_codes import FAILED, MISUSED
from histscan.cli.main import main
from tests.support.extras import install_command
from tests.support.paths import EXAMPLE
from tests.support.served_runs import LISSAJOUS
from tests.support.server_process import ServerProcess, serving

KEY = "d7" * 20


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving(EXAMPLE, "--api-key", KEY) as running:
        yield running


@pytest.fixture(autouse=True)
def _server_of_the_environment(server: ServerProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)


def outputs(capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[bytes, bytes]:
    """Returns a command's output for the run's name, and for the run's log."""
    printed = []
    for run in (LISSAJOUS, str(EXAMPLE)):
        assert main([argument.replace("RUN", run) for argument in arguments]) == 0
        captured = capsysbinary.readouterr()
        assert captured.err == b""
        printed.append(captured.out)
    return printed[0], printed[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("head", "RUN", "-n", "3"),
        ("head", "RUN", "-n", "3", "--json", "--min-step", "4998"),
        ("head", "RUN", "-k", "loss", "-k", "validation.r2.x", "-n", "4"),
        ("export", "RUN", "-q", "-o", "-", "--format", "jsonl", "-k", "loss"),
        ("export", "RUN", "-q", "-o", "-", "--format", "csv", "-k", "loss", "-k", "gradient.norm"),
    ],
)
def test_rows(capsysbinary: pytest.CaptureFixture[bytes], arguments: tuple[str, ...]) -> None:
    named, logged = outputs(capsysbinary, *arguments)
    assert named == logged
    assert named.count(b"\n") >= 2


@pytest.mark.parametrize("max_step", [120, 2_500])
@pytest.mark.parametrize("source", [[], ["--source", "auto"], ["--source", "parquet"], ["--source", "pages"]], ids=str)
def test_whole_rows_by_source(capsys: pytest.CaptureFixture[str], source: list[str], max_step: int) -> None:
    steps = ["--min-step", "100", "--max-step", str(max_step)]
    assert main(["export", LISSAJOUS, "-q", "-o", "-", "--format", "jsonl", *steps, *source]) == 0
    named = capsys.readouterr().out
    assert main(["export", str(EXAMPLE), "-q", "-o", "-", "--format", "jsonl", *steps]) == 0
    logged = capsys.readouterr().out
    assert named.count("\n") == max_step - 100
    # Exported files order keys differently. A few steps are read from pages, unless --source selects files.
    fits_one_page = max_step == 120 and "parquet" not in source
    assert (named == logged) == ("pages" in source or fits_one_page)
    assert [in_order(json.loads(line)) for line in named.splitlines()] == [
        in_order(json.loads(line)) for line in logged.splitlines()
    ]


@pytest.mark.parametrize(
    "command", [["export", "-o", "x.jsonl"], ["info"], ["plot", "-k", "loss", "-o", "x.png"]], ids=str
)
def test_source_is_an_error_for_a_file(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main([command[0], str(EXAMPLE), *command[1:], "--source", "pages"]) == MISUSED
    assert "--source applies to runs on a server, and" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["export", "-o", "x.jsonl"], ["info"]], ids=str)
def test_missing_pyarrow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert main([command[0], LISSAJOUS, *command[1:]]) == 0
    capsys.readouterr()
    assert main([command[0], LISSAJOUS, *command[1:], "--source", "parquet"]) == MISUSED
    assert capsys.readouterr().err == f"histscan: error: Parquet files need pyarrow: {install_command('arrow')}\n"


def in_order(value: Any) -> Any:
    """Sorts the members of a value and of the JSON text in it."""
    return {key: in_order(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


@pytest.mark.parametrize("options", [[], ["--nested", "flatten"], ["-k", "validation.r2.x"]])
def test_columnar_files(tmp_path: Path, options: list[str]) -> None:
    for run, name in ((LISSAJOUS, "named.parquet"), (str(EXAMPLE), "logged.parquet")):
        assert main(["export", run, "-q", "-o", name, *options]) == 0
    named, logged = (histscan.ParquetRun(tmp_path / f"{name}.parquet") for name in ("named", "logged"))
    # A server's answers have the keys of a row in an order of their own.
    assert sorted(named.schemas[0].names) == sorted(logged.schemas[0].names)
    assert named.schemas[0].names[0] == logged.schemas[0].names[0] == "_step"
    rows, expected = (str([in_order(row) for row in run.scan_history()]) for run in (named, logged))
    assert rows == expected
    assert (named.path, named.name, named.config) == (logged.path, logged.name, logged.config)
    assert named.path == LISSAJOUS.split("/")


def test_info(capsysbinary: pytest.CaptureFixture[bytes], server: ServerProcess) -> None:
    named, logged = (json.loads(printed) for printed in outputs(capsysbinary, "info", "RUN", "--json"))
    assert named.pop("url") == f"{server.url}/histscan/examples/runs/lissajous"
    assert logged.pop("file") == str(EXAMPLE)
    # A log knows more of these than the server of its history.
    for fact in ("metadata", "wandb_version", "duration"):
        assert logged.pop(fact)
        named.pop(fact)
    assert named == logged
    shown, _ = outputs(capsysbinary, "info", "RUN")
    assert f"{server.url}/histscan/examples/runs/lissajous".encode() in shown
    assert b"finished" in shown
    assert b"5,000 rows, steps 0 to 4999" in shown


def test_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summaries = []
    for run in (LISSAJOUS, str(EXAMPLE)):
        assert main(["plot", run, "-k", "loss", "-k", "validation.r2.x", "-o", "curves.png"]) == 0
        summaries.append(capsys.readouterr().out)
    assert summaries[0] == summaries[1]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_missing_run(capsys: pytest.CaptureFixture[str], server: ServerProcess) -> None:
    assert main(["head", "histscan/examples/nobody"]) == FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("histscan: error: the server has no such run")
    assert f"(requested from {server.url}, because there is no such file either)" in captured.err


def test_no_rows_of_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", LISSAJOUS, "-o", "none.jsonl", "-k", "validation.loss", "--max-step", "9"]) == 0
    captured = capsys.readouterr()
    assert "no row in this range of steps has all of the keys validation.loss" in captured.err
    assert "0 rows" in captured.out
    assert main(["export", LISSAJOUS, "-o", "none.jsonl", "-k", "validation.los"]) == MISUSED
    assert "no row has 'validation.los'; did you mean validation.loss" in capsys.readouterr().err


def test_wrong_api_key_is_not_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "ab" * 20)
    assert main(["info", LISSAJOUS]) == FAILED
    captured = capsys.readouterr()
    assert "the environment variable WANDB_API_KEY" in captured.err
    assert "abab" not in captured.err + captured.out


@pytest.mark.parametrize("name", ["history.jsonl", "history.parquet"])
def test_progress_on_a_terminal(tmp_path: Path, name: str) -> None:
    script = (
        "import sys; from histscan.paging import row_bar; row_bar.SHOWN_AFTER = row_bar.SHOWN_EVERY = 0; "
        f"from histscan.cli.main import main; sys.exit(main(['export', {LISSAJOUS!r}, '-o', {name!r}]))"
    )
    reader, terminal = pty.openpty()
    try:
        process = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=terminal, timeout=60, check=True
        )
        os.set_blocking(reader, False)
        shown = os.read(reader, 65_536).decode()
    finally:
        os.close(reader)
        os.close(terminal)
    assert process.returncode == 0
    # The size of columnar files is unknown before they are read.
    assert "%|" in shown or name.endswith(".parquet")
    assert "rows/s" in shown
    assert (tmp_path / name).exists()
