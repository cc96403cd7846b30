"""A progress bar: how much of a run was read, how many rows, how fast, and the remaining time."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from histscan.paging.row_bar import RowBar

__all__ = ["ProgressBar"]


class ProgressBar:
    """A bar on a terminal or in a notebook; prints nothing anywhere else.

    tqdm draws it, and is only imported if the bar is visible.

    Args:
        total: The amount of work; 0 if unknown, which shows only rows.
        unit: The unit of `total`: ``"bytes"`` to read, ``"steps"`` of a scan, or ``"runs"``.
        stream: Where to print; None for standard error.
        wanted: False shows nothing.
    """

    def __init__(
        self,
        total: int,
        unit: Literal["bytes", "steps", "runs"] = "bytes",
        stream: TextIO | None = None,
        *,
        wanted: bool = True,
    ) -> None:
        self._bar: RowBar | None = None
        stream = sys.stderr if stream is None else stream
        # A notebook's streams are not terminals, but tqdm has a widget for notebooks.
        if wanted and (stream.isatty() or "ipykernel" in sys.modules):
            from histscan.paging.row_bar import RowBar

            self._bar = RowBar.make(total, unit, stream)

    def update(self, done: int, rows: int, read: int = 0) -> None:
        """Shows the progress, at most ten times a second.

        Args:
            done: How much of the total is done.
            rows: Rows so far.
            read: Bytes so far, if they are not the unit of the total; 0 shows none.
        """
        if self._bar is not None:
            try:
                self._bar.show(done, rows, read)
            except OSError:
                # The terminal was closed, which must not end the scan.
                self.close()

    def close(self) -> None:
        """Removes the bar."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(OSError):
                bar.close()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
