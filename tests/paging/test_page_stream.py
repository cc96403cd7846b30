"""After an error, a scan never appears to have ended, however often next() is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.errors import HistoryError
from histscan.paging.page_stream import PageStream
from tests.support import parquet_files
from tests.support.log_samples import step_rows, write_run


def pages_until(error: BaseException) -> Iterator[str]:
    yield "page"
    raise error


def test_end_stays_the_end() -> None:
    stream = PageStream(iter(["one", "two"]))
    assert [stream.take() for _ in range(4)] == ["one", "two", None, None]


def test_error_comes_again() -> None:
    failure = HistoryError("gone")
    stream = PageStream(pages_until(failure))
    assert stream.take() == "page"
    for _ in range(3):
        with pytest.raises(HistoryError) as caught:
            stream.take()
        assert caught.value is failure
    assert len(caught.traceback) < 5


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interruption_is_not_the_end(interruption: type[BaseException]) -> None:
    stream = PageStream(pages_until(interruption()))
    assert stream.take() == "page"
    with pytest.raises(interruption):
        stream.take()
    for _ in range(2):
        with pytest.raises(HistoryError, match="interrupted"):
            stream.take()


def test_close_ends_it() -> None:
    stream = PageStream(pages_until(HistoryError("gone")))
    stream.close()
    assert stream.take() is None
    PageStream(iter([])).close()


def check_scan(scan: Iterator[Any], rows_before: int) -> None:
    """Checks that a scan returns its rows, then always raises its error, and does the same again from the start."""
    for _ in range(2):
        for _ in range(rows_before):
            next(scan)
        reasons = set()
        for _ in range(3):
            with pytest.raises(HistoryError) as caught:
                next(scan)
            reasons.add(str(caught.value))
        assert len(reasons) == 1
        iter(scan)


def test_scan_of_a_corrupt_log(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.wandb", step_rows(range(20), size=9_000))
    log = bytearray(path.read_bytes())
    # In the text of the eleventh row.
    log[log.index(b"k" * 100)] ^= 0xFF
    path.write_bytes(log)
    check_scan(histscan.open(path).scan_history(), 10)


def test_scan_of_a_damaged_parquet_file(tmp_path: Path) -> None:
    columns = {"_step": list(range(40)), "a": [step / 3 for step in range(40)]}
    path = parquet_files.write_parquet(tmp_path / "a.parquet", columns, row_group_size=10)
    parquet_files.spoil(path, 2, "a")
    check_scan(histscan.open(path).scan_history(), 20)
