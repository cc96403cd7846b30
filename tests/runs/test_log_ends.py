"""How a run ended is read from the end of its log, if that has it, and equals what the whole log says."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

import histscan
from histscan.runs.log_ends import read_last_exit_code
from histscan.runs.log_facts import read_facts
from tests.support import wire
from tests.support.counted_reads import count_reads
from tests.support.log_samples import step_rows
from tests.support.paths import DATA, EXAMPLE, REAL_LOGS, SEGMENTS

EXIT = 18
ROWS = step_rows(range(2_000), size=1_000)


def ended(code: int, *, not_complete: bool = False) -> bytes:
    """An exit record."""
    return wire.field(EXIT, wire.varint_field(1, code) + wire.varint_field(3, not_complete))


def shifted(records: list[bytes]) -> bytes:
    """A log whose blocks begin behind the header, as wandb-core before 0.17.6 wrote it."""
    body = wire.write_log(records)[len(wire.LOG_HEADER) :]
    if len(body) > wire.BLOCK_SIZE:
        body = b""
        for record in records:
            start = len(body) - len(body) % wire.BLOCK_SIZE
            body = body[:start] + wire.append_record(body[start:], record)
    return wire.LOG_HEADER + body


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return count_reads(monkeypatch)


# Records, whether the end of the log tells how the run ended, and the exit code.
LOGS: dict[str, tuple[list[bytes], bool, int | None]] = {
    "at the end": ([*ROWS, ended(3)], True, 3),
    "before some rows": ([*ROWS, ended(0), *ROWS[:50]], True, 0),
    "before many rows": ([*ROWS[:300], ended(4), *ROWS], False, 4),
    "twice": ([*ROWS, ended(1), ended(0)], True, 0),
    "before and at the end": ([*ROWS[:300], ended(1), *ROWS, ended(2)], True, 2),
    "not complete after complete": ([*ROWS, ended(5), ended(6, not_complete=True)], True, 5),
    "not complete at the end": ([*ROWS[:300], ended(7), *ROWS, ended(8, not_complete=True)], False, 7),
    "never": (ROWS, False, None),
    "malformed": ([*ROWS, wire.field(EXIT, b"\xff")], False, None),
    "behind a large record": ([*ROWS, *step_rows(range(1), size=1_500_000), ended(9)], True, 9),
    "in a small log": ([*ROWS[:100], ended(1)], False, 1),
}


@pytest.mark.parametrize("layout", [wire.write_log, shifted], ids=["blocks", "shifted"])
@pytest.mark.parametrize("name", LOGS)
def test_the_exit_code_is_that_of_the_whole_log(
    name: str, layout: Callable[[list[bytes]], bytes], tmp_path: Path, bytes_read: list[int]
) -> None:
    records, is_at_end, code = LOGS[name]
    log = tmp_path / "run.wandb"
    log.write_bytes(layout([wire.run_record("a"), *records]))
    assert read_facts([log]).exit_code == code
    bytes_read.clear()
    run = histscan.open(log)
    assert run.exit_code == code
    assert (sum(bytes_read) < log.stat().st_size / 2) == is_at_end
    # The answer is kept until the log changes.
    before = sum(bytes_read)
    assert run.state == ("running" if code is None else "failed" if code else "finished")
    assert sum(bytes_read) == before
    with log.open("ab") as file:
        file.write(bytes(20))
    assert run.exit_code == code


@pytest.mark.parametrize("log", [EXAMPLE, *DATA.glob("*.wandb"), *REAL_LOGS.glob("*.wandb")], ids=lambda log: log.stem)
def test_real_logs(log: Path) -> None:
    found = read_last_exit_code(log)
    try:
        code = read_facts([log]).exit_code
    except histscan.HistoryError:
        assert found is None
        return
    assert found in (None, code)
    assert histscan.open(log).exit_code == code


def test_of_segments_the_last_one_decides() -> None:
    run = histscan.LogRun(SEGMENTS)
    assert run.exit_code == read_facts(run.files).exit_code


@pytest.mark.parametrize("change", ["cut", "damaged", "compressed"])
def test_an_end_that_can_not_tell(change: str, tmp_path: Path) -> None:
    data = bytearray(wire.write_log([wire.run_record("a"), *ROWS, ended(3), ended(0), *ROWS[:2]]))
    if change == "cut":
        del data[-1_500:]
    elif change == "damaged":
        data[-100] ^= 1
    else:
        data = bytearray(gzip.compress(data))
    log = tmp_path / ("run.wandb.gz" if change == "compressed" else "run.wandb")
    log.write_bytes(data)
    assert read_last_exit_code(log) is None
    assert histscan.open(log).exit_code == 0
