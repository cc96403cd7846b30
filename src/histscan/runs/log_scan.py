"""Scans of the history in ``.wandb`` logs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from histscan._core.keys.item_selection import ItemSelection
from histscan._core.pages.page import Page
from histscan.columns.scan import Pages
from histscan.common.steps import UNBOUNDED
from histscan.runs.file_scan import FileScan
from histscan.runs.log_segments import LogSegments

__all__ = ["LogScan"]


class LogScan(FileScan):
    """Iterates over the rows of a run's ``.wandb`` logs; made by :meth:`histscan.LogRun.scan_history`.

    A page has the rows of one window of a file. ``iter()`` restarts the scan, and sees rows that were appended since.

    Args:
        logs: The logs, or the path of one log.
        keys: Only rows that have all of these keys, and only these keys; None for all rows with all keys.
        min_step: First step, inclusive.
        stop_step: Step to stop at, exclusive; `UNBOUNDED` for the end of the logs.
        skip_corrupt: If `logs` is a path: skip corrupt parts of the file with a warning, instead of raising an error.

    Attributes:
        path: The log; for several, the folder that has them.
    """

    def __init__(
        self,
        logs: Path | LogSegments,
        *,
        keys: Iterable[str] | None = None,
        min_step: int = 0,
        stop_step: int = UNBOUNDED,
        skip_corrupt: bool = False,
    ) -> None:
        self._logs = LogSegments([logs], logs, skip_corrupt=skip_corrupt) if isinstance(logs, Path) else logs
        super().__init__(self._logs.path, keys, min_step, stop_step)
        self._selection = ItemSelection(self.keys) if self.keys else None

    def sizes(self) -> tuple[int, ...]:
        """Returns the present size of each file, in bytes."""
        return self._logs.sizes()

    @property
    def has_logged_order(self) -> bool:
        """See `Scan.has_logged_order`; as of the first rows."""
        return self.first_row_has_logged_order()

    def _start_over(self) -> None:
        super()._start_over()
        # Steps may decrease after a rewind, so that a page after the last step of the range only ends the scan if the
        # logs are known to be ascending.
        self._may_stop_early = self._stop_step != UNBOUNDED and self._logs.is_ascending()

    def open_pages(self) -> Pages:
        """See `RereadScan.open_pages`."""
        return self._logs.read_pages(self.limits, self._progress)

    def select(self, page: Any) -> Page:
        """See `RereadScan.select`."""
        # Selecting by keys chooses rows, but keeps all of their items, for columns of other keys.
        if self.min_step > 0 or self._stop_step != UNBOUNDED:
            steps = page.step_range()
            if self._may_stop_early and steps is not None and steps[0] >= self._stop_step:
                self._page_stream.close()
            page.select_steps(self.min_step, self._stop_step)
        if self._selection is not None:
            page.select_keys(self._selection)
        selected: Page = page
        return selected
