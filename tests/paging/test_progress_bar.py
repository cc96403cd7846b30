"""The progress bar: what it shows, when, and where it shows nothing."""

from __future__ import annotations

import io
import os
import re
from typing import Literal

import pytest

from histscan.paging.progress_bar import ProgressBar
from tests.support.terminals import Terminal, draw_at_once


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    draw_at_once(monkeypatch)
    return Terminal()


@pytest.mark.parametrize(
    ("unit", "counted"), [("steps", "250000/1000000 steps"), ("bytes", "250k/1.00MB")], ids=["steps", "bytes"]
)
def test_shows_share_rows_rate_and_time_left(unit: Literal["steps", "bytes"], counted: str, terminal: Terminal) -> None:
    with ProgressBar(1_000_000, unit, terminal) as bar:
        bar.update(250_000, 5_000)
        line = terminal.lines()[-1]
        assert re.fullmatch(rf" 25%\|█+.*\| {counted} \[\d\d:\d\d<\d\d:\d\d, 5,000 rows, [\d,]+ rows/s\]", line)
    assert terminal.lines()[-1].strip() == ""
    assert terminal.getvalue().endswith("\r")
    assert "\n" not in terminal.getvalue()


def test_shows_bytes_beside_runs(terminal: Terminal) -> None:
    with ProgressBar(4, "runs", terminal) as bar:
        bar.update(1, 5_000, 2_500_000)
        line = terminal.lines()[-1]
        assert re.search(r"\| 1/4 runs \[\d\d:\d\d<\d\d:\d\d, 5,000 rows, 2\.50MB, [\d,]+ rows/s\]", line)


def test_the_rate_is_that_of_the_rows(terminal: Terminal) -> None:
    with ProgressBar(10, "steps", terminal) as bar:
        bar.update(1, 0)
        assert "0 rows, 0 rows/s" in terminal.lines()[-1]
        bar.update(2, 10**9)
        (rate,) = re.findall(r"([\d,]+) rows/s", terminal.lines()[-1])
        assert int(rate.replace(",", "")) > 10**6


def test_is_not_drawn_with_every_update(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    monkeypatch.setattr("histscan.paging.row_bar.SHOWN_EVERY", 3600)
    with ProgressBar(1000, "steps", terminal) as bar:
        drawn = len(terminal.lines())
        for number in range(100):
            bar.update(number, number)
        assert len(terminal.lines()) == drawn


def test_a_short_scan_shows_nothing() -> None:
    stream = Terminal()
    with ProgressBar(1000, "steps", stream) as bar:
        bar.update(500, 7)
    assert stream.getvalue() == ""


def test_rows_change_while_no_byte_is_read(terminal: Terminal) -> None:
    with ProgressBar(1000, "bytes", terminal) as bar:
        for rows in (1, 2, 3):
            bar.update(100, rows)
            assert f" {rows} rows, " in terminal.lines()[-1]


@pytest.mark.parametrize(("total", "done", "shown"), [(1000, 2000, "100%|"), (0, 2000, "7 rows ["), (1000, 0, "  0%|")])
def test_a_file_that_grew_and_an_unknown_size(total: int, done: int, shown: str, terminal: Terminal) -> None:
    with ProgressBar(total, "bytes", terminal) as bar:
        bar.update(done, 7)
        assert terminal.lines()[-1].startswith(shown)
        assert "7 rows" in terminal.lines()[-1]


def test_plain_characters(terminal: Terminal) -> None:
    terminal.encoding = "ascii"
    with ProgressBar(1000, "steps", terminal) as bar:
        bar.update(500, 7)
    assert "|###" in terminal.getvalue()
    terminal.getvalue().encode("ascii")


@pytest.mark.parametrize("wanted", [True, False])
def test_is_silent_where_it_is_no_use(wanted: bool, terminal: Terminal) -> None:
    stream = io.StringIO() if wanted else terminal
    with ProgressBar(1000, "steps", stream, wanted=wanted) as bar:
        bar.update(500, 7)
    assert stream.getvalue() == ""


class LostTerminal(Terminal):
    def write(self, _text: str) -> int:
        raise OSError("the terminal is gone")


def test_a_lost_terminal_ends_the_bar_and_not_the_scan(terminal: Terminal) -> None:
    with ProgressBar(1000, "steps", terminal) as bar:
        bar.update(1, 1)
        terminal.__class__ = LostTerminal
        bar.update(2, 2)
        bar.update(3, 3)


def test_a_forked_process_leaves_the_bar_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_at_once(monkeypatch)
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", buffering=1) as stream, os.fdopen(reader) as screen:
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        bar = ProgressBar(1000, "steps", stream)
        bar.update(500, 5)
        # tqdm writes whole lines; what is there before the fork is read before.
        stream.flush()
        os.read(screen.fileno(), 65_536)
        child = os.fork()
        if not child:
            bar.update(700, 7)
            bar.close()
            stream.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        os.set_blocking(screen.fileno(), False)
        with pytest.raises(BlockingIOError):
            os.read(screen.fileno(), 65_536)
        bar.close()
        assert os.read(screen.fileno(), 65_536)
