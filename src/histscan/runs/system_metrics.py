"""Scans of system metrics: the metrics of the machine that a run was recorded on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from histscan.columns.scan import Pages
from histscan.errors import HistoryError
from histscan.runs.file_scan import RereadScan

__all__ = ["SystemMetricsScan", "select_rows"]


class SystemMetricsScan(RereadScan):
    """Iterates over a run's system metrics; made by the ``system_metrics()`` of each kind of run.

    Rows are dicts as in ``run.history(stream="system")`` of wandb: names of metrics have the prefix ``system.``,
    ``_timestamp`` is in seconds since 1970, and ``_runtime`` in seconds since the start of the run. ``iter()`` restarts
    the scan, and sees rows that were added since. Frames have all rows, including those already iterated over.

    Args:
        open_pages: Starts to read, and returns the pages, which must have only the requested keys.
        keys: The requested keys; None for all.
        run: The name of the run in errors.
    """

    def __init__(self, open_pages: Callable[[], Pages], keys: Sequence[str] | None, run: str) -> None:
        self._open_pages = open_pages
        self._run = run
        super().__init__(keys)

    def open_pages(self) -> Pages:
        """See `RereadScan.open_pages`."""
        return self._open_pages()

    @property
    def has_logged_order(self) -> bool:
        """See `Scan.has_logged_order`; as of the first rows."""
        return self.first_row_has_logged_order()

    def add_location(self, error: HistoryError) -> None:
        """See `Scan.add_location`."""
        error.add_location(run=self._run)


def select_rows(rows: list[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Selects the rows that have all of the given keys.

    Args:
        rows: The rows.
        keys: The keys.

    Returns:
        The rows with only these keys, in this order.
    """
    return [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]
