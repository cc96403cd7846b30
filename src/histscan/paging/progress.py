"""Reports the progress of a scan."""

from __future__ import annotations

from contextlib import suppress

from histscan.paging.options import ProgressOption, ScanProgress
from histscan.paging.progress_bar import ProgressBar

__all__ = ["ProgressReporter"]


class ProgressReporter:
    """Counts pages and rows, and reports them to a function or a bar.

    Args:
        option: True for a bar, or the function.
    """

    def __init__(self, option: ProgressOption) -> None:
        self._option = option
        self._bar: ProgressBar | None = None
        self._pages = self._rows = 0

    def start_over(self) -> None:
        """Resets the counts."""
        self.close()
        self._pages = self._rows = 0

    def add_page(self, rows: int, min_step: int, step: int, stop_step: int) -> None:
        """Reports a page.

        Args:
            rows: The number of its rows.
            min_step: The scan's first step.
            step: The page's end, exclusive.
            stop_step: The scan's end, exclusive.
        """
        self._pages += 1
        self._rows += rows
        if not isinstance(self._option, bool):
            self._option(ScanProgress(min_step, step, stop_step, self._rows, self._pages))
            return
        if self._bar is None:
            self._bar = ProgressBar(stop_step - min_step, "steps")
        self._bar.update(step - min_step, self._rows)
        if step >= stop_step:
            self.close()

    def close(self) -> None:
        """Removes the bar."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def __del__(self) -> None:
        # For a scan that was not read to its end.
        with suppress(Exception):
            self.close()
