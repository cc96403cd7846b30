"""`histscan tail`: the last rows of a run, and those that are added while it is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from histscan.cli.exit_codes import FAILED, INTERRUPTED, MISUSED
from histscan.cli.main import main
from tests.support import wire
from tests.support.paths import EXAMPLE
from tests.support.server_process import serving
from tests.support.stream_records import exit_record
from tests.support.sweep_runs import write_run


class GrowingLog:
    """A log that gets the next bytes each time that `histscan tail` waits."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.waits: list[float] = []
        self._steps: Iterator[Callable[[], None]] = iter(())
        self._content = path.read_bytes()
        monkeypatch.setattr("histscan.cli.tail.pause", self._pause)

    def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        step = next(self._steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    def then(self, *steps: Callable[[], None]) -> None:
        self._steps = iter(steps)

    def append(self, *records: bytes, torn: int = 0) -> Callable[[], None]:
        """Returns a function that appends records, without their last `torn` bytes."""
        before = self._content
        for record in records:
            self._content = wire.append_record(self._content, record)
        grown = self._content

        def write() -> None:
            assert grown.startswith(before)
            self.path.write_bytes(grown[: len(grown) - torn])

        return write

    def idle(self) -> None:
        """Adds nothing."""


def row(step: int, **values: Any) -> bytes:
    items = {"_step": step, **values}
    return wire.history_record([(key, json.dumps(value)) for key, value in items.items()], step)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GrowingLog:
    rows = [{"loss": step / 10} for step in range(20)]
    return GrowingLog(write_run(tmp_path, "abc", rows, exit_code=None), monkeypatch)


def tail(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> tuple[list[dict[str, Any]], str]:
    assert main(["tail", *map(str, arguments), "--json"]) == code
    captured = capsys.readouterr()
    return [json.loads(line) for line in captured.out.splitlines()], captured.err


def losses(steps: Sequence[int]) -> list[dict[str, Any]]:
    return [{"_step": step, "loss": step / 10} for step in steps]


def test_follows_to_the_end(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    log.then(
        log.append(row(20, loss=2.0), row(21, loss=2.1)),
        log.idle,
        log.append(row(22, loss=2.2), torn=5),
        log.append(row(23, loss=2.3)),
        log.append(exit_record(0)),
    )
    rows, told = tail(capsys, 0, log.path, "-n", "3")
    assert rows == losses([17, 18, 19, 20, 21, 22, 23])
    assert told == "the run has finished\n"


def test_rows_that_come_with_the_end(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    log.then(log.append(row(20, loss=2.0), exit_record(3)))
    rows, told = tail(capsys, 0, log.path, "-n", "0")
    assert rows == losses([20])
    assert told == "the run has failed, exit code 3\n"


def test_records_over_many_blocks(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    text = "x" * 50_000
    log.then(
        *(log.append(row(20 + place, text=text), torn=torn) for place, torn in enumerate([40_000, 1, 33_000, 0])),
        log.append(exit_record(0)),
    )
    rows, _ = tail(capsys, 0, log.path, "-n", "1", "-k", "_step")
    assert [row["_step"] for row in rows] == [19, 20, 21, 22, 23]


def test_a_lower_step_is_a_new_row(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    log.then(log.append(row(5, loss=0.5)), log.append(row(5, loss=0.5), exit_record(0)))
    assert tail(capsys, 0, log.path, "-n", "1")[0] == losses([19, 5, 5])


def test_interrupt(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    log.then(log.append(row(20, loss=2.0)))
    rows, told = tail(capsys, INTERRUPTED, log.path, "-n", "1")
    assert (rows, told) == (losses([19, 20]), "")


def test_waits_grow_while_nothing_is_added(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    log.then(*[log.idle] * 6, log.append(row(20, loss=2.0)), log.idle)
    tail(capsys, INTERRUPTED, log.path)
    assert log.waits[0] == log.waits[7] == 0.5
    assert log.waits[:7] == sorted(log.waits[:7])
    assert max(log.waits) == 2


def test_keys_and_patterns(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    log.then(log.append(row(20, loss=2.0, **{"val/a": 1})), log.append(row(21, **{"val/b": 2}), exit_record(0)))
    rows, _ = tail(capsys, 0, log.path, "-n", "2", "-k", "val/*")
    assert rows == [{"_step": 20, "val/a": 1}, {"_step": 21, "val/b": 2}]


def test_table(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    log.then(
        log.append(row(20, loss=2.0)),
        log.append(row(21, loss=123456789.0, acc="a\x1b[31m")),
        log.append(row(22, loss=2.2), exit_record(0)),
    )
    assert main(["tail", str(log.path), "-n", "2"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "   _step      loss",
        "      18       1.8",
        "      19       1.9",
        "      20         2",
        "",
        "   _step        acc        loss",
        "      21  a\\x1b[31m  1.2346e+08",
        "      22                    2.2",
    ]


def test_the_table_fits_the_terminal(
    log: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histscan.cli.tail.terminal_width", lambda: 40)
    log.then(log.append(row(20, **{f"key{place}": place for place in range(9)}), exit_record(0)))
    assert main(["tail", str(log.path), "-n", "0"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= 40
    assert shown[0].startswith("6 more (select with -k KEY): key3")


def test_ended_and_silent_runs(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    rows, told = tail(capsys, 0, EXAMPLE, "-n", "2", "-k", "loss")
    assert ([row["_step"] for row in rows], told) == ([4998, 4999], "the run has finished\n")
    os.utime(log.path, (1_000_000_000, 1_000_000_000))
    rows, told = tail(capsys, 0, log.path, "-n", "1")
    assert rows == losses([19])
    assert "the run has crashed" in told
    assert log.waits == []


def test_corrupt_logs(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(log.path.read_bytes())
    grow = log.append(row(20, loss=2.0), row(21, loss=2.1))

    def damage() -> None:
        grow()
        content = bytearray(log.path.read_bytes())
        content[-3] ^= 255
        log.path.write_bytes(content)

    log.then(damage, log.idle)
    rows, told = tail(capsys, FAILED, log.path, "-n", "1")
    assert rows == losses([19, 20])
    assert "checksum" in told
    assert str(log.path) in told
    damaged[-3] ^= 255
    log.path.write_bytes(damaged)
    log.then(log.idle)
    assert tail(capsys, FAILED, log.path, "-n", "1")[0] == losses([18])


def test_a_log_that_is_replaced(log: GrowingLog, capsys: pytest.CaptureFixture[str]) -> None:
    def replace() -> None:
        log.path.write_bytes(wire.write_log([wire.run_record("abc", entity="e", project="p"), row(0, loss=0)]))

    log.then(replace)
    _, told = tail(capsys, FAILED, log.path)
    assert "it was replaced" in told


def test_missing_keys_and_many_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, told = tail(capsys, MISUSED, EXAMPLE, "-k", "los")
    assert "did you mean loss" in told
    for number in range(2):
        write_run(tmp_path, f"r{number}", [{"x": 1}], start=number)
    _, told = tail(capsys, MISUSED, tmp_path)
    assert "has 2 runs, and tail follows one: pass its path, such as" in told
    assert "run-r1.wandb" in told


def test_a_running_run_may_log_a_key_later(
    log: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log.then(log.append(row(20, loss=2.0)), log.append(row(21, los=2.1), exit_record(0)))
    rows, told = tail(capsys, 0, log.path, "-k", "los")
    assert rows == [{"_step": 21, "los": 2.1}]
    assert told == (
        "histscan: warning: so far, no row has 'los'; did you mean loss? Waiting for a row that has it\n"
        "the run has finished\n"
    )
    log.path.write_bytes(log.path.read_bytes()[:-100])
    log.then(log.idle)
    for keys in (["-k", "never"], ["-k", "never/*"]):
        rows, told = tail(capsys, INTERRUPTED, log.path, *keys)
        assert rows == []
        assert "so far, no row has 'never" in told
        assert told.endswith("the keys are _step, loss. Waiting for a row that has it\n")
    rows, told = tail(capsys, INTERRUPTED, log.path, "-k", "never", "-n", "0")
    assert (rows, told) == ([], "")
    with serving(log.path) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "d7" * 20)
        rows, told = tail(capsys, INTERRUPTED, "e/p/abc", "-k", "los")
        assert (rows, told.count("did you mean loss? Waiting for a row")) == ([], 1)


def test_exported_histories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = tmp_path / "history.parquet"
    assert main(["export", str(EXAMPLE), "-o", str(goal), "-k", "loss", "-q"]) == 0
    rows, told = tail(capsys, 0, goal, "-n", "2")
    assert [row["_step"] for row in rows] == [4998, 4999]
    assert "do not grow" in told


def test_a_running_run_on_a_server(
    log: GrowingLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(log.path) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "d7" * 20)
        log.then(
            log.append(row(20, loss=2.0), row(21, acc=1)),
            log.idle,
            log.append(row(30, loss=3.0), torn=4),
            log.append(row(31, loss=3.1)),
            log.append(row(40, loss=4.0), exit_record(0)),
        )
        rows, told = tail(capsys, 0, "e/p/abc", "-n", "2", "-k", "loss")
        assert rows == losses([18, 19, 20, 30, 31, 40])
        assert told == "the run has finished\n"
        server.forget_traffic()
        rows, _ = tail(capsys, 0, "e/p/abc", "-n", "3")
        assert [row["_step"] for row in rows] == [30, 31, 40]
        assert server.traffic()["requests"] < 8


def test_a_process_ends_with_130_after_ctrl_c(log: GrowingLog) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "histscan", "tail", str(log.path), "-n", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["_step"] == 19
    log.append(row(20, loss=2.0))()
    assert json.loads(process.stdout.readline())["_step"] == 20
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == INTERRUPTED
    assert process.stdout.read() == process.stderr.read() == ""
    process.stdout.close()
    process.stderr.close()
