"""Counts the rows of a scan and updates its progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from histscan.cli.key_statistics import step_of
from histscan.paging.progress_bar import ProgressBar

if TYPE_CHECKING:
    from histscan.cli.key_selection import ChosenRows
    from histscan.columns.scan import Scan

__all__ = ["ScanWatch", "scan_bar"]

REPORT_ROWS = 256


def scan_bar(scan: Scan | ChosenRows, *, wanted: bool = True) -> ProgressBar:
    """Makes the progress bar of a scan of files.

    Args:
        scan: The scan.
        wanted: False hides the bar.

    Returns:
        The bar. It is also hidden for a run on a server: such a scan counts steps and shows its own bar.
    """
    return ProgressBar(scan.size, wanted=wanted and scan.size > 0)


class ScanWatch:
    """Yields the rows of a scan, counts them, and updates a progress bar.

    Args:
        scan: The scan.
        bar: The bar.

    Attributes:
        rows: The number of rows; set at the end of the scan.
        keys: All keys of the rows so far.
        first_step: The step of the first row; None without rows, or if the row has no step.
        last_step: The step of the last row; set at the end of the scan.
    """

    def __init__(self, scan: Scan | ChosenRows, bar: ProgressBar) -> None:
        self._scan = scan
        self._bar = bar
        self.rows = 0
        self.keys: set[str] = set()
        self.first_step: int | None = None
        self.last_step: int | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # This loop runs once per row, so lookups are hoisted out of it.
        add_keys = self.keys.update
        number = 0
        row: dict[str, Any] = {}
        for number, row in enumerate(self._scan, 1):
            add_keys(row)
            if number == 1:
                self.first_step = step_of(row)
            if not number % REPORT_ROWS:
                self._bar.update(self._scan.bytes_read, number)
            yield row
        self.rows = number
        self.last_step = step_of(row)
