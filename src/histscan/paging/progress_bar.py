"""How far a scan has come, shown while it goes on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TextIO

__all__ = ["ProgressBar", "time_span"]

# A bar that is gone at once only flickers.
SHOWN_AFTER = 0.5
SHOWN_EVERY = 0.1
LONGEST_BAR = 40

# Puts a terminal's cursor at the start of its line, and empties that.
CLEAR_LINE = "\r\x1b[K"


class ProgressBar:
    """A bar on a terminal: how much is read, how many rows came out, how fast, and how long it will yet take.

    Prints nothing anywhere else than on a terminal.

    Args:
        total: What there is to do, in bytes to read or steps to come to; 0 if unknown.
        stream: Where to print; standard error by default.
        clock: Seconds that pass.
        wanted: Whether to show anything at all.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        wanted: bool = True,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._total = total
        self._started = clock()
        self._next_time = self._started + SHOWN_AFTER
        self._is_shown = False
        self._is_wanted = wanted and self._stream.isatty()

    def update(self, done: int, rows: int) -> None:
        """Shows how far it is, if it is time to.

        Args:
            done: How much of the total is done.
            rows: Rows so far.
        """
        if not self._is_wanted:
            return
        now = self._clock()
        if now < self._next_time:
            return
        self._next_time = now + SHOWN_EVERY
        self._is_shown = True
        with suppress(OSError):
            self._stream.write(CLEAR_LINE + self._line(done, rows, now - self._started))
            self._stream.flush()

    def close(self) -> None:
        """Removes the bar."""
        if self._is_shown:
            self._is_shown = False
            with suppress(OSError):
                self._stream.write(CLEAR_LINE)
                self._stream.flush()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _line(self, done: int, rows: int, seconds: float) -> str:
        speed = f"{rows:,} rows  {rows / seconds:,.0f} rows/s"
        if not self._total:
            return self._fitting(speed)
        # A file that is still being written may have grown.
        share = min(done / self._total, 1.0)
        left = f"  {time_span(seconds / share - seconds)} left" if share > 0 else ""
        tail = f"{share:4.0%}  {speed}{left}"
        length = min(LONGEST_BAR, self._width() - len(tail) - 3)
        if length < 5:
            return self._fitting(tail)
        full, empty = self._blocks()
        filled = round(share * length)
        return f"{full * filled}{empty * (length - filled)} {tail}"

    def _fitting(self, line: str) -> str:
        return line[: self._width() - 1]

    def _width(self) -> int:
        try:
            # Some terminals do not know how wide they are, and say 0.
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _blocks(self) -> tuple[str, str]:
        try:
            "━─".encode(self._stream.encoding or "ascii")
        except UnicodeEncodeError:
            return "#", "."
        return "━", "─"


def time_span(seconds: float) -> str:
    """Writes a time span: ``0:07``, ``12:30``, ``1:05:00``.

    Args:
        seconds: How long it is.

    Returns:
        Minutes and seconds, and hours if there are any.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
