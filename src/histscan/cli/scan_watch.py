"""What comes out of a scan, counted on its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from histscan.cli.key_statistics import step_of
from histscan.paging.progress_bar import ProgressBar

if TYPE_CHECKING:
    from histscan.cli.run_argument import AnyScan

__all__ = ["ScanWatch", "bytes_read", "scan_bar"]

REPORT_ROWS = 256


def scan_bar(scan: AnyScan, *, wanted: bool = True) -> ProgressBar:
    """Makes the progress bar of a scan of files.

    Args:
        scan: The scan.
        wanted: Whether to show anything at all.

    Returns:
        The bar. One that stays hidden for a scan of a server's run, which counts steps and has a bar of its own.
    """
    return ProgressBar(getattr(scan, "size", 0), wanted=wanted and hasattr(scan, "size"))


def bytes_read(scan: AnyScan) -> int:
    """Tells how far a scan of files is.

    Args:
        scan: The scan.

    Returns:
        The bytes that were read; 0 of a scan of a server's run.
    """
    read: int = getattr(scan, "bytes_read", 0)
    return read


class ScanWatch:
    """Hands on the rows of a scan, counts them, and tells a progress bar of them.

    Args:
        scan: The scan.
        bar: The bar.

    Attributes:
        rows: How many rows there were, once all came.
        keys: Every key that any of them had.
        first_step: The step of the first row; None if there was none.
        last_step: The step of the last row.
    """

    def __init__(self, scan: AnyScan, bar: ProgressBar) -> None:
        self._scan = scan
        self._bar = bar
        self.rows = 0
        self.keys: set[str] = set()
        self.first_step: int | None = None
        self.last_step: int | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # Each row passes here, so what can be done once is not done for each.
        add_keys = self.keys.update
        number = 0
        row: dict[str, Any] = {}
        for number, row in enumerate(self._scan, 1):
            add_keys(row)
            if number == 1:
                self.first_step = step_of(row)
            if not number % REPORT_ROWS:
                self._bar.update(bytes_read(self._scan), number)
            yield row
        self.rows = number
        self.last_step = step_of(row)
