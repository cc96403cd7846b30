"""What comes out of a scan, counted on its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from histscan.cli.run_argument import STEP
from histscan.progress_bar import ProgressBar

__all__ = ["MeasuredScan", "ScanWatch"]

REPORT_ROWS = 256


class MeasuredScan(Protocol):
    """A scan that knows how far it is."""

    @property
    def bytes_read(self) -> int:
        """How much has been read, in bytes."""

    @property
    def size(self) -> int:
        """How much there is to read; 0 if unknown."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Starts over."""


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

    def __init__(self, scan: MeasuredScan, bar: ProgressBar) -> None:
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
                self.first_step = row.get(STEP)
            if not number % REPORT_ROWS:
                self._bar.update(self._scan.bytes_read, number)
            yield row
        self.rows = number
        self.last_step = row.get(STEP)
