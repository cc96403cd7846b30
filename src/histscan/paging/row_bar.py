"""A tqdm bar that also shows rows.

Imported when a bar is drawn, because importing tqdm takes longer than importing all of histscan.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Literal, TextIO

from tqdm.auto import tqdm

__all__ = ["RowBar"]

# Seconds before the bar appears: one that disappears at once would only flicker.
SHOWN_AFTER = 0.5
SHOWN_EVERY = 0.1

_WITH_TOTAL = "{l_bar}{bar}| {n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}, {rows} rows{read}, {row_rate} rows/s]"
_WITHOUT_TOTAL = "{rows} rows [{elapsed}, {row_rate} rows/s]"


class RowBar(tqdm):  # type: ignore[type-arg]
    """A bar that also shows rows and their rate. Create it with `make`."""

    # Without this, tqdm would start a thread for the whole process, which redraws stalled bars.
    monitor_interval = 0

    _rows = 0
    _read = 0
    _process = 0

    @classmethod
    def make(cls, total: int, unit: Literal["bytes", "steps", "runs"], stream: TextIO) -> RowBar:
        """Makes a bar.

        Args:
            total: The amount of work; 0 if unknown.
            unit: The unit of `total`.
            stream: Where to print. If it is not a terminal, only a notebook's widget is shown.

        Returns:
            The bar, which appears after half a second.
        """
        bar = cls(
            total=total or None,
            file=stream,
            disable=None,
            leave=False,
            delay=SHOWN_AFTER,
            mininterval=SHOWN_EVERY,
            # Redraw by time alone: bytes advance in bursts, with many rows between.
            miniters=0,
            smoothing=0,
            **_width_options(stream),
            unit="B" if unit == "bytes" else f" {unit}",
            unit_scale=unit == "bytes",
            bar_format=_WITH_TOTAL if total else _WITHOUT_TOTAL,
        )
        bar._process = os.getpid()
        return bar

    def show(self, done: int, rows: int, read: int = 0) -> None:
        """Moves the bar.

        Args:
            done: How much of the total is done. A file that is still being written may have grown beyond it.
            rows: Rows so far.
            read: Bytes so far, beside the total; 0 shows none.
        """
        if self._process != os.getpid():
            return
        self._rows = rows
        self._read = read
        self.update((min(done, self.total) if self.total else done) - self.n)

    @property
    def format_dict(self) -> dict[str, Any]:
        """The values of tqdm for ``bar_format``, with `rows`, `row_rate` and `read`."""
        values = super().format_dict
        seconds = values["elapsed"]
        rate = self._rows / seconds if seconds else 0
        read = f", {tqdm.format_sizeof(self._read, 'B')}" if self._read else ""
        return {**values, "read": read, "rows": f"{self._rows:,}", "row_rate": f"{rate:,.0f}"}

    def close(self) -> None:
        """Removes the bar."""
        # A forked process must not touch its parent's bar: a thread that does not exist here may hold tqdm's lock.
        if self._process == os.getpid():
            super().close()


def _width_options(stream: TextIO) -> dict[str, Any]:
    """Returns the tqdm options for a bar as wide as the terminal."""
    with suppress(OSError, ValueError):
        if not os.get_terminal_size(stream.fileno()).columns:
            # Some terminals report a width of 0, for which tqdm would show nothing.
            return {"ncols": 79, "nrows": 20}
    return {"dynamic_ncols": True}
