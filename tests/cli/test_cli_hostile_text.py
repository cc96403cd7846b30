"""Names and texts of logs that would control a terminal: no command prints them as they are."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

import histscan
from histscan.cli.main import main
from histscan.common.printable import UNPRINTABLE
from histscan.errors import HistoryDecodeError, HistoryError, LogTruncatedWarning
from tests.support import wire
from tests.support.log_samples import write_run
from tests.support.stream_records import exit_record, output_record, stats_record

NASTY = (
    "a\x1b]0;title\x07\x9b31m\x7f\b\u202eb\u202d\u2066c\u2067\u2068\u2069"
    "\u200e\u200f\u061c\u202a\u202b\u202c\u2028\u2029d"
)


class _Terminal(io.TextIOWrapper):
    """A terminal that keeps what is printed."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", errors="backslashreplace")

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / f"run{NASTY.replace('/', '')}"
    folder.mkdir()
    config = wire.field(1, wire.field(1, NASTY) + wire.field(16, json.dumps(NASTY, ensure_ascii=False)))
    run = wire.run_record(NASTY, entity=NASTY, project=NASTY, config=config)
    text = json.dumps(NASTY, ensure_ascii=False)
    rows = [
        wire.history_record([(["_step"], str(step)), ([NASTY], "1.5"), (["text"], text), ([f"{NASTY}2"], text)], step)
        for step in range(3)
    ]
    others = [stats_record({NASTY: "1"}), output_record(f"{NASTY}\n"), exit_record()]
    return write_run(folder / f"run-{NASTY}.wandb", [run, *rows, *others], run=False)


COMMANDS = [
    "info LOG",
    "info LOG --json",
    "info FOLDER",
    "info FOLDER --json",
    "keys LOG",
    "keys LOG --json",
    "head LOG",
    "head LOG --json",
    "head FOLDER",
    "tail LOG",
    "tail LOG --json",
    "runs FOLDER",
    "runs FOLDER --json",
    "runs FOLDER -o - --format csv",
    "export LOG -o - --format jsonl",
    "export LOG -o - --format csv",
    "export FOLDER -o - --format csv",
    "export FOLDER -o - --format jsonl",
    "export LOG -o - --stream console --format text",
    "export LOG -o - --stream console --format jsonl",
    "export LOG -o - --stream system --format csv",
    "export LOG -o OUT.csv",
    "export FOLDER -o OUT.parquet",
    "export LOG -o OUT.csv -k missing",
    "export LOG -o OUT.csv -k NASTY3",
    "plot LOG -k NASTY -o OUT.png",
    "mirror FOLDER -o OUTmirror",
    "head LOGmissing",
    "head LOG -k NASTY",
    "info BROKEN",
    "head BROKEN",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    broken = log.with_name(f"broken{NASTY}.wandb")
    if "BROKEN" in command:
        content = bytearray(log.read_bytes())
        content[len(content) // 2] ^= 1
        broken.write_bytes(content)
    words = {"FOLDER": log.parent, "LOG": log, "OUT": f"out{NASTY}", "NASTY": NASTY, "BROKEN": broken}
    arguments = command.split()
    for word, value in words.items():
        arguments = [part.replace(word, str(value)) for part in arguments]
    out, err = _Terminal(), _Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    code = main(arguments)
    # A progress bar is drawn over, and messages over it.
    text = out.text + err.text.replace("\x1b[K", "").replace("\r", "")
    found = UNPRINTABLE.findall(text.replace("\n", "").replace("\t", ""))
    assert found == [], text
    # The command printed what it was asked for, and did not merely fail.
    assert (code != 0) == any(word in command for word in ("missing", "NASTY3", "BROKEN")), text
    assert text


def test_json_on_a_terminal_is_the_same_json(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = _Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["export", str(log), "-o", "-", "--format", "jsonl", "--quiet"]) == 0
    assert [json.loads(line) for line in out.text.splitlines()] == list(histscan.open(log).scan_history())


def test_pipes_get_the_text_itself(log: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["export", str(log), "-o", "-", "--format", "csv", "--quiet"]) == 0
    printed = capfdbinary.readouterr().out
    assert main(["export", str(log), "-o", str(tmp_path / "out.csv"), "--quiet"]) == 0
    assert printed == (tmp_path / "out.csv").read_bytes()
    assert NASTY.encode() in printed


# Texts of exceptions, warnings and reprs


def test_texts_of_errors() -> None:
    error = HistoryDecodeError(f"no {NASTY} here", run=NASTY, row=3, path=f"$.{NASTY}")
    assert str(error).isprintable()
    assert r"a\x1b]0;title\x07\x9b31m" in str(error)
    assert error.reason == f"no {NASTY} here"
    assert str(HistoryError("50\xa0% \N{SNOWMAN} 時", step=2)) == r"50\xa0% " + "\N{SNOWMAN} 時 (step 2)"


def test_texts_of_errors_have_a_limit() -> None:
    error = HistoryError("begin " + "x" * 1_000_000 + " end", run="r" * 1_000_000, path="$." + "\x1b" * 1_000_000)
    text = str(error)
    assert len(text) < 5_000
    assert text.startswith("begin xxx")
    assert "xxx end (run rrr" in text


def test_warnings_and_reprs(log: Path) -> None:
    content = log.read_bytes()
    log.write_bytes(content[:-3])
    run = histscan.open(log)
    with pytest.warns(LogTruncatedWarning) as warned:
        list(run.scan_history())
    shown = [str(warning.message) for warning in warned] + [repr(run), repr(run.scan_history())]
    shown += [repr(histscan.open_runs(log.parent)), repr(histscan.open_runs(log.parent)[0])]
    assert all(UNPRINTABLE.search(text) is None for text in shown), shown
    html = [run._repr_html_(), histscan.open_runs(log.parent)._repr_html_()]
    assert all(UNPRINTABLE.search(text.replace("\n", "")) is None for text in html)
