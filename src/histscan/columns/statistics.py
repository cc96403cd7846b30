"""The columns of a scan chunk by chunk, for statistics: with the rows whose value is null."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_statistics import ColumnStatistics, column_statistics, column_value
from histscan.columns.scan import Pages, Scan
from histscan.columns.threads import build_chunks_in_threads
from histscan.errors import HistoryError

__all__ = ["ColumnChunk", "ColumnStatistics", "column_statistics", "column_value", "statistics_chunks"]


def statistics_chunks(scan: Scan, open_pages: Callable[[], Pages]) -> Iterator[ColumnChunk]:
    """Reads the columns of a scan, with nested values as JSON text.

    Args:
        scan: The scan.
        open_pages: Opens its pages.

    Yields:
        Chunks for `column_statistics`.

    Raises:
        HistoryError: A page or a row can't be read.
    """
    try:
        yield from build_chunks_in_threads(open_pages(), keys=None, flatten=False, notes_nulls=True)
    except HistoryError as error:
        scan.add_location(error)
        raise
