"""The members of a collection of runs, as they are read: opened by the thread that reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from histscan.columns.scan import Pages, Scan
from histscan.errors import HistoryError
from histscan.many.options import FrameOptions
from histscan.runs.contracts import Run
from histscan.runs.file_scan import FileScan
from histscan.runs.run_facts import path_text

__all__ = ["Member"]


class Member:
    """A run of many that is to be read.

    Args:
        open_run: Returns the run; any thread may call it, and each call returns the same object.
        label: What errors call the run if it can't be opened.
        size: The number of bytes to read; 0 if unknown.
    """

    def __init__(self, open_run: Callable[[], Run], label: str, size: int = 0) -> None:
        self._open_run = open_run
        self._label = label
        self.size = size
        self._limits: Sequence[int] | None = None
        self._keeps_rows = False
        self._last_scan: Scan | None = None

    @property
    def run(self) -> Run:
        """The run.

        Raises:
            HistoryError: It can't be opened.
            OSError: Its file can't be read.
        """
        return self._open_run()

    def can_be_opened(self) -> bool:
        """Returns True if the run can be opened, whether or not its history can be read."""
        try:
            # A log that is opened need not have been read yet.
            self._open_run().path  # noqa: B018
        except (HistoryError, OSError):
            return False
        return True

    @property
    def name(self) -> str:
        """The run's path, for errors and warnings."""
        return (path_text(self.run) if self.can_be_opened() else "") or self._label

    def keep_rows(self) -> None:
        """Makes `open_pages` ignore rows that are added after the first time."""
        self._keeps_rows = True

    def open_scan(self, min_step: int, max_step: int | None) -> Scan:
        """Opens a new scan of the run; called in the thread that reads it.

        Args:
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the end.

        Returns:
            The scan.
        """
        return self.run.scan_history(min_step=min_step, max_step=max_step)

    def open_pages(self, options: FrameOptions) -> Pages:
        """Opens the pages of the run; called in the thread that reads them.

        Args:
            options: What to read.

        Yields:
            The pages.

        Raises:
            HistoryError: The run can't be read.
        """
        run, max_step = self.run, options.max_step
        if options.tail is not None and run.has_step_index:
            yield from self._last_pages(options, options.tail)
            return
        if options.config:
            run.expect_config()
        if self._keeps_rows and run.seen_stop_step is not None:
            max_step = run.seen_stop_step if max_step is None else min(max_step, run.seen_stop_step)
        scan = self.open_scan(options.min_step, max_step)
        if self._keeps_rows and isinstance(scan, FileScan):
            if self._limits is None:
                self._limits = scan.sizes()
            scan.limits = self._limits
        self._last_scan = scan
        yield from scan.column_pages_of(options.names)

    def last_step(self) -> int:
        """Returns the highest step of the history; -1 without rows."""
        return self.run.lastHistoryStep

    def _last_pages(self, options: FrameOptions, count: int) -> Pages:
        """Yields pages that have at least the last `count` rows, and few others."""
        last_step = self.last_step()
        stop = last_step + 1 if options.max_step is None else min(last_step + 1, options.max_step)
        rows = self.run.row_count
        # As if the rows were spread evenly, with room for some that are not.
        width = 2 * count * max(1, -(-(last_step + 1) // rows)) if rows else 4 * count
        while True:
            first = max(options.min_step, stop - width)
            scan = self._last_scan = self.open_scan(first, stop)
            pages = list(scan.column_pages_of(options.names))
            if first <= options.min_step or sum(map(len, pages)) >= count:
                yield from pages
                return
            width *= 8

    def add_location(self, error: HistoryError) -> None:
        """Adds to an error what is known about its location: at least the run.

        Args:
            error: The error.
        """
        if self._last_scan is not None:
            self._last_scan.add_location(error)
        error.add_location(run=self.name)
