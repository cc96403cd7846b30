"""`histscan export` end to end: rows, files, errors, signals and pipes."""

from __future__ import annotations

import csv
import errno
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import histscan
from histscan.cli.exit_codes import BROKEN_PIPE, FAILED, INTERRUPTED, MISUSED
from histscan.cli.main import build_parser, main
from tests.support.command_line import COMMAND, check_refused, run
from tests.support.paths import EXAMPLE


def as_lines(rows: Iterator[dict[str, object]]) -> list[str]:
    return [json.dumps(row) for row in rows]


def read_lines(path: Path) -> list[str]:
    return [json.dumps(json.loads(line)) for line in path.read_bytes().splitlines()]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """The example with a wrong byte in its middle."""
    content = bytearray(EXAMPLE.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "damaged.wandb"
    path.write_bytes(content)
    return path


def test_json_lines_hold_every_row(tmp_path: Path) -> None:
    goal = tmp_path / "history.jsonl"
    finished = run("export", EXAMPLE, "-o", goal)
    assert finished.returncode == 0
    assert finished.stderr == ""
    assert read_lines(goal) == as_lines(histscan.open(EXAMPLE).scan_history())
    assert finished.stdout.startswith(f"{goal}: 5,000 rows, 14 keys, steps 0 to 4999, 1.9 MB; ")
    assert finished.stdout.endswith(" rows/s\n")
    assert finished.stdout.count("\n") == 1


def test_csv_holds_every_row(tmp_path: Path) -> None:
    goal = tmp_path / "history.CSV"
    finished = run("export", EXAMPLE, "-o", goal)
    assert finished.returncode == 0
    assert ": 5,000 rows, 14 keys, 33 columns, steps 0 to 4999, " in finished.stdout
    with goal.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    scanned = list(histscan.open(EXAMPLE).scan_history())
    assert [float(row["gradient.norm"]) for row in rows] == [row["gradient"]["norm"] for row in scanned]
    assert [float(row["validation.loss"]) for row in rows if row["validation.loss"]] == [
        row["validation"]["loss"] for row in scanned if "validation" in row
    ]
    assert {row["turns/error"] for row in rows if row["turns/error"].isalpha()} == {"NaN"}


def test_keys_and_steps(tmp_path: Path) -> None:
    goal = tmp_path / "history.ndjson"
    options = ["-k", "loss", "-k", "validation.loss", "--min-step", "1_000", "--max-step", "2000", "-q"]
    finished = run("export", EXAMPLE, "-o", goal, *options)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    expected = histscan.open(EXAMPLE).scan_history(["_step", "loss", "validation.loss"], min_step=1000, max_step=2000)
    assert read_lines(goal) == as_lines(expected)
    assert len(read_lines(goal)) == 20


def test_standard_output(tmp_path: Path) -> None:
    finished = run("export", EXAMPLE, "-o", "-", "--format", "csv", "-k", "loss")
    assert finished.returncode == 0
    assert finished.stdout.startswith("_step,loss\n0,0.54")
    assert finished.stdout.count("\n") == 5001
    assert finished.stderr.startswith("standard output: 5,000 rows, 2 keys, 2 columns, steps 0 to 4999; ")


def test_nan_as_null(tmp_path: Path) -> None:
    goal = tmp_path / "history.jsonl"
    assert run("export", EXAMPLE, "-o", goal, "--nan", "null").returncode == 0
    assert b"NaN" not in goal.read_bytes()
    assert goal.read_bytes().count(b'"turns/error":null') == 1111


def test_folder_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "wandb" / "offline-run-20260131_120000-lissajous"
    folder.mkdir(parents=True)
    (folder / "run-lissajous.wandb").symlink_to(EXAMPLE)
    assert run("export", folder, "-o", tmp_path / "history.jsonl").returncode == 0


def test_truncated_log_gives_every_complete_row_and_a_warning(tmp_path: Path) -> None:
    log, goal = tmp_path / "cut.wandb", tmp_path / "history.jsonl"
    log.write_bytes(EXAMPLE.read_bytes()[:3_000_001])
    finished = run("export", log, "-o", goal)
    assert finished.returncode == 0
    assert finished.stderr.startswith("histscan: warning: ")
    assert finished.stderr.count("\n") == 1
    assert "ends within a record" in finished.stderr
    rows = as_lines(histscan.open(EXAMPLE).scan_history())
    assert 2000 < len(read_lines(goal)) < 5000
    assert read_lines(goal) == rows[: len(read_lines(goal))]


def test_corrupt_log_is_an_error_unless_skipped(damaged: Path, tmp_path: Path) -> None:
    goal = tmp_path / "history.jsonl"
    goal.write_text("earlier")
    check_refused(run("export", damaged, "-o", goal), FAILED, str(damaged), "corrupt", "byte", "--skip-corrupt")
    assert goal.read_text() == "earlier"
    finished = run("export", damaged, "-o", goal, "--skip-corrupt")
    assert finished.returncode == 0
    assert "histscan: warning: " in finished.stderr
    assert set(read_lines(goal)) < set(as_lines(histscan.open(EXAMPLE).scan_history()))
    assert sorted(os.listdir(tmp_path)) == ["damaged.wandb", "history.jsonl"]


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b"not a log" * 100, "not a wandb log"), (None, "no file or folder")]
)
def test_error_names_a_file_that_is_no_log(tmp_path: Path, content: bytes | None, words: str) -> None:
    log = tmp_path / "x.wandb"
    if content is not None:
        log.write_bytes(content)
    check_refused(run("export", log, "-o", tmp_path / "history.csv"), FAILED, str(log), words)
    assert not (tmp_path / "history.csv").exists()


def test_folder_without_a_log(tmp_path: Path) -> None:
    check_refused(run("info", tmp_path), FAILED, str(tmp_path), "contains no .wandb file")


@pytest.mark.parametrize("goal", ["missing/history.csv", "/proc/self/history.csv", "/proc/self/fd/history.csv"])
def test_output_folder_that_cannot_hold_a_file(tmp_path: Path, goal: str) -> None:
    check_refused(run("export", EXAMPLE, "-o", tmp_path / goal), FAILED, goal)


AS_NOBODY = """
import os, sys
from histscan.cli.main import main

log, goal = sys.argv[1:]
# Import now what is otherwise imported late: the user nobody may be unable to read it.
assert main(["export", log, "-o", os.devnull, "--format", "csv", "-q"]) == 0
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.exit(main(["export", log, "-o", goal]))
"""


def run_as_nobody(folder: Path, goal: Path) -> subprocess.CompletedProcess[str]:
    """Exports the example as the user nobody: permissions do not bind root."""
    log = folder / "run.wandb"
    log.write_bytes(EXAMPLE.read_bytes())
    log.chmod(0o444)
    folder.chmod(0o555 if goal.parent == folder else 0o755)
    try:
        command = [sys.executable, "-c", AS_NOBODY, str(log), str(goal)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        folder.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can access; pytest's folders are private."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_folder_that_is_read_only(open_folder: Path) -> None:
    goal = open_folder / "history.csv"
    check_refused(run_as_nobody(open_folder, goal), FAILED, f"{goal}: Permission denied")
    assert os.listdir(open_folder) == ["run.wandb"]


def test_file_that_is_read_only(open_folder: Path) -> None:
    writable = open_folder / "writable"
    writable.mkdir()
    writable.chmod(0o777)
    goal = writable / "history.csv"
    goal.write_text("earlier")
    goal.chmod(0o444)
    check_refused(run_as_nobody(open_folder, goal), FAILED, f"{goal}: Permission denied")
    assert os.listdir(writable) == ["history.csv"]
    assert goal.read_text() == "earlier"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_full_disk() -> None:
    check_refused(run("export", EXAMPLE, "-o", "/dev/full", "--format", "jsonl"), FAILED, "/dev/full: No space left")
    with open("/dev/full", "wb") as full:
        finished = subprocess.run(
            [*COMMAND, "head", str(EXAMPLE)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert finished.returncode == FAILED
    assert finished.stderr == "histscan: error: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["COMMAND"]),
        (["plant"], ["plant", "export"]),
        (["export", "LOG"], ["-o/--output", "histscan export --help"]),
        (["export", "LOG", "-o", "history.txt"], ["history.txt", ".jsonl", ".csv", "--format"]),
        (["export", "LOG", "-o", "-"], ["standard output", "--format"]),
        (["export", "LOG", "-o", "x.csv", "--min-step", "-1"], ["--min-step", "'-1'"]),
        (["export", "LOG", "-o", "x.csv", "--min-step", "many"], ["--min-step", "'many'"]),
        (["export", "LOG", "-o", "x.csv", "--min-step", "5", "--max-step", "5"], ["--max-step must be higher"]),
        (["export", "LOG", "-o", "LOG", "--format", "csv"], ["is an input file"]),
        (["head", "LOG", "-n", "1.5"], ["'1.5'"]),
        (["head", "LOG", "--nan", "zero"], ["zero", "token"]),
    ],
)
def test_invalid_command_line(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log.wandb"
    log.write_bytes(EXAMPLE.read_bytes())
    check_refused(run(*(str(log) if argument == "LOG" else argument for argument in arguments)), MISUSED, *words)
    assert log.read_bytes() == EXAMPLE.read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-k", "loss", "-k", "note", "--max-step", "1"], ["loss, note", "histscan info"]),
        (["--min-step", "9000"], ["last step is 4999"]),
    ],
)
def test_warning_without_rows(options: list[str], words: list[str], tmp_path: Path) -> None:
    finished = run("export", EXAMPLE, "-o", tmp_path / "history.csv", *options)
    assert finished.returncode == 0
    assert finished.stderr.startswith("histscan: warning: ")
    assert all(word in finished.stderr for word in words)
    assert (tmp_path / "history.csv").read_bytes() == b""


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    for arguments in (["--debug", "info", missing], ["info", missing, "--debug"]):
        finished = run(*arguments)
        assert finished.returncode == FAILED
        assert finished.stderr.startswith("Traceback")
        assert "histscan: error: " in finished.stderr.splitlines()[-1]


def test_internal_error_suggests_debug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("histscan.opening.open_run", lambda *_arguments, **_options: 1 // 0)
    assert main(["info", str(EXAMPLE)]) == FAILED
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "--debug" in told


STALLING = """
import signal, sys, time
from histscan.cli import scan_watch
from histscan.cli.main import main

# The tests' own process may have been started with these signals ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
watched = scan_watch.ScanWatch.__iter__

def stalling(self):
    for number, row in enumerate(watched(self)):
        if number == 4000:
            print("stalled", flush=True)
            while True:
                # A signal that arrives just before a blocking call is handled only after the call.
                time.sleep(0.01)
        yield row

scan_watch.ScanWatch.__iter__ = stalling
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("earlier", [None, b"earlier"])
def test_signal_leaves_no_file(tmp_path: Path, number: signal.Signals, file_format: str, earlier: bytes | None) -> None:
    goal = tmp_path / f"history.{file_format}"
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
    if earlier is None:
        assert os.listdir(tmp_path) == []
    else:
        assert os.listdir(tmp_path) == [goal.name]
        assert goal.read_bytes() == earlier


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_reader_that_closes_the_pipe_early(file_format: str) -> None:
    command = [*COMMAND, "export", str(EXAMPLE), "-o", "-", "--format", file_format]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(b"\n")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == BROKEN_PIPE


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], *([name, "--help"] for name in ("export", "head", "info", "keys", "runs", "tail"))):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        assert "examples:" in capsys.readouterr().out


def test_examples_in_the_help_parse(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for arguments in (["--help"], *([name, "--help"] for name in ("export", "head", "info", "keys", "runs", "tail"))):
        with pytest.raises(SystemExit):
            main(arguments)
        texts.append(capsys.readouterr().out)
    examples = [
        shlex.split(line.split("|")[0])[1:]
        for text in texts
        for line in text.splitlines()
        if line.startswith("  histscan ")
    ]
    assert len(examples) >= 20
    for example in examples:
        parsed = build_parser().parse_args(example)
        assert parsed.path if example[0] in ("keys", "tail") else parsed.paths


def read_terminal(descriptor: int) -> bytes:
    """Reads a process's terminal output until it ends, which Linux reports as an error."""
    shown = b""
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            part = b""
        if not part:
            return shown
        shown += part


def test_output_fits_the_terminal() -> None:
    ours, theirs = pty.openpty()
    try:
        environment = {**os.environ, "COLUMNS": "60", "PYTHONIOENCODING": "ascii"}
        with subprocess.Popen([*COMMAND, "head", str(EXAMPLE)], stdout=theirs, env=environment) as process:
            os.close(theirs)
            lines = read_terminal(ours).decode("ascii").splitlines()
    finally:
        os.close(ours)
    assert process.returncode == 0
    assert lines[0].split()[:2] == ["_step", "_runtime"]
    assert max(map(len, lines)) <= 60
