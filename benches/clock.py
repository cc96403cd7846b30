"""The clock that all timings are read from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

__all__ = ["CLOCK", "Clock"]


class Clock:
    """A stopwatch that can be halted during work that counts for neither side.

    Each pass must parse each page again, as in real use, right before the page is used, so that it is still in the CPU
    caches; but parsing is the client's time, not the scan's.
    """

    def __init__(self) -> None:
        self._halted_for = 0.0

    def read(self) -> float:
        """Returns the seconds that the clock has run; only differences mean anything."""
        return perf_counter() - self._halted_for

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Halts the clock for the time of a ``with`` block."""
        started = perf_counter()
        try:
            yield
        finally:
            self._halted_for += perf_counter() - started


CLOCK = Clock()
"""The only clock: the code that measures and the code that halts must share it."""
