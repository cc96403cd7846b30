"""From a scan's pages to chunks of columns, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.pages.page import Page
from histscan.errors import HistoryError

__all__ = ["ROWS_PER_CHUNK", "add_page", "build_chunks", "end_pages", "likely_rows"]

_PAGES_TO_MAKE_ROOM_FOR = 16
"""How many pages like the first one there is room for at once."""

ROWS_PER_CHUNK = 8_192
"""Rows of a chunk where nobody says how many: columns of so many are large, but not yet slow to come by."""

_CELLS_PER_CHUNK = 196_608
"""Of fewer columns than it takes for so many cells, a chunk has more rows: each chunk learns the keys anew."""


def build_chunks(
    pages: Iterable[Page | list[Any]], *, keys: Sequence[str] | None, flatten: bool, rows: int | None = None
) -> Iterator[ColumnChunk]:
    """Builds columns page by page.

    Args:
        pages: The scan's pages; lists of dict rows are taken as well.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        rows: Rows in a chunk; None for as many whole pages as have about the rows that a chunk should have.

    Yields:
        Chunks of `rows` rows, the last one of what is left. One is yielded even where there are no rows, so that
        keys asked for are columns in any case.

    Raises:
        HistoryError: A page can't be read; the rows before have been yielded.
    """
    most = rows or max(ROWS_PER_CHUNK, _CELLS_PER_CHUNK // len(keys) if keys else 0)
    builder = ColumnBuilder(keys, flatten=flatten)
    is_first = True
    source = iter(pages)
    try:
        for page in source:
            if is_first and not builder.row_count:
                # Room for some pages that are like the first one.
                room = min(most, _PAGES_TO_MAKE_ROOM_FOR * likely_rows(page))
                builder = ColumnBuilder(keys, flatten=flatten, expected_rows=room)
            first, before = 0, builder.row_count
            while True:
                first = add_page(builder, page, first, None if rows is None else rows - builder.row_count)
                count = builder.row_count
                # Of whole pages, one more that is like this one would be too much.
                has_room = count < rows if rows is not None else 2 * count - before <= most
                if has_room and not builder.is_full:
                    break
                yield builder.take_chunk()
                is_first = False
                if first == len(page):
                    break
    except HistoryError:
        if builder.row_count:
            yield builder.take_chunk()
        raise
    finally:
        end_pages(source)
    if builder.row_count or is_first:
        yield builder.take_chunk()


def likely_rows(page: Page | list[Any]) -> int:
    """How many rows of a page to make room for before they are seen: not many, however many a page claims to have."""
    return min(page.guess_length() if isinstance(page, Page) else len(page), ROWS_PER_CHUNK)


def add_page(builder: ColumnBuilder, page: Page | list[Any], first: int, limit: int | None) -> int:
    """Adds rows of a page, and says which page it was if that fails; returns the first row not added."""
    if not isinstance(page, Page):
        rows = page[first:] if limit is None else page[first : first + limit]
        builder.add_rows(rows)
        return first + len(rows)
    try:
        return builder.add_page(page, first, limit)
    except HistoryError as error:
        error.add_location(page=page.label)
        raise


def end_pages(pages: Iterator[Page | list[Any]]) -> None:
    """Ends a generator of pages now: its scan has to be free again though a traceback may still hold the frames."""
    close = getattr(pages, "close", None)
    if close is not None:
        close()
