"""Metrics of the machine that a run was recorded on: rows beside the history, with a scan of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from histscan.columns.scan import Pages
from histscan.errors import HistoryError
from histscan.runs.file_scan import RereadScan

__all__ = ["SystemMetricsScan", "select_rows"]


class SystemMetricsScan(RereadScan):
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
        self._open_pages = open_pages
        self._run = run
        super().__init__(keys)

    def open_pages(self) -> Pages:
        """See `RereadScan.open_pages`."""
        return self._open_pages()

    def add_location(self, error: HistoryError) -> None:
        """See `Scan.add_location`."""
        error.add_location(run=self._run)


def select_rows(rows: list[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Chooses the rows that have all of some keys.

    Args:
        rows: The rows.
        keys: The keys.

    Returns:
        The rows with only these keys, in this order.
    """
    return [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]
