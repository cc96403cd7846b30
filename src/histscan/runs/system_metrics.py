"""Metrics of the machine that a run was recorded on: rows beside the history, with a scan of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from histscan._core.page import Page
from histscan._core.scan import RowScan
from histscan.columns.frames import ColumnExports
from histscan.errors import HistoryError
from histscan.paging.page_stream import PageStream

__all__ = ["SystemMetricsScan", "check_keys", "select_rows"]

Pages = Iterator[Page | list[Any]]


class SystemMetricsScan(RowScan, ColumnExports):
    """Iterates over a run's system metrics; made by the ``system_metrics()`` of each kind of run.

    Rows are dicts as ``run.history(stream="system")`` of wandb has them: ``system.`` stands before the name of each
    metric, ``_timestamp`` is in seconds since 1970, and ``_runtime`` in seconds since the run was started. ``iter()``
    starts over, and sees what was added meanwhile. Frames are made of all rows, whichever were taken already.

    Args:
        open_pages: Begins to read, and returns the pages, which have the keys asked for and no others.
        keys: The keys asked for; None for all.
        run: What the run is called in errors.
    """

    def __init__(self, open_pages: Callable[[], Pages], keys: Sequence[str] | None, run: str) -> None:
        self.keys = None if keys is None else list(keys)
        self._open_pages = open_pages
        self._run = run
        super().__init__(0, sys.maxsize)

    def _start_over(self) -> None:
        super()._start_over()
        self._stream_of_pages = PageStream(self._open_pages())

    def _load_next(self) -> None:
        try:
            page = self._stream_of_pages.take()
        except HistoryError as error:
            self._add_location(error)
            raise
        if isinstance(page, Page):
            self._take_page(page)
            return
        if page is None:
            self.page_offset = self._stop_step
        self._take_rows(page or [])

    def _pages(self) -> Pages:
        # A scan of its own for every pass, so that rows and columns can be read at the same time.
        scan = SystemMetricsScan(self._open_pages, self.keys, self._run)
        return super(SystemMetricsScan, scan)._pages()

    def _column_keys(self, keys: Sequence[str] | None) -> Sequence[str] | None:
        return super()._column_keys(self.keys or None if keys is None else keys)

    def _add_location(self, error: HistoryError) -> None:
        error.add_location(run=self._run)


def check_keys(keys: Sequence[str] | None) -> list[str] | None:
    """Checks the keys that a scan was asked for.

    Args:
        keys: The keys.

    Returns:
        Each key once; None for all keys.

    Raises:
        ValueError: They are no list of strings.
    """
    if isinstance(keys, str) or (keys is not None and not all(isinstance(key, str) for key in keys)):
        raise ValueError(f"keys must be a list of strings, not {keys!r}")
    return list(dict.fromkeys(keys)) if keys else None


def select_rows(rows: list[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Chooses the rows that have all of some keys.

    Args:
        rows: The rows.
        keys: The keys.

    Returns:
        The rows with only these keys, in this order.
    """
    return [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]
