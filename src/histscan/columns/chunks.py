"""Builds chunks of columns from a scan's pages: page by page, or from a group of pages in one go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.pages.page import Page
from histscan.errors import HistoryError

__all__ = ["ROWS_PER_CHUNK", "build_chunks", "build_group", "end_pages", "likely_rows"]

_PAGES_TO_MAKE_ROOM_FOR = 16
"""Initial room in a builder, in pages like the first one."""

ROWS_PER_CHUNK = 8_192
"""Rows of a chunk by default: enough for large columns, few enough for a short delay."""

_CELLS_PER_CHUNK = 196_608
"""Chunks of few columns have more rows, up to this many cells, because each chunk starts with an empty key table."""


def build_chunks(
    pages: Iterable[Page | list[Any]],
    *,
    keys: Sequence[str] | None,
    flatten: bool,
    rows: int | None = None,
    notes_nulls: bool = False,
) -> Iterator[ColumnChunk]:
    """Builds columns page by page.

    Args:
        pages: The scan's pages, or lists of dict rows.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        rows: Rows in a chunk; None for whole pages with about `ROWS_PER_CHUNK` rows, or more if `keys` are few.
        notes_nulls: As for `ColumnBuilder`.

    Yields:
        Chunks of `rows` rows; the last one may have fewer. At least one, even without rows, so that requested keys are
        always columns.

    Raises:
        HistoryError: A page can't be read; the rows before have been yielded.
        OSError: A file can't be read; likewise.
    """
    most = rows or max(ROWS_PER_CHUNK, _CELLS_PER_CHUNK // len(keys) if keys else 0)
    builder = ColumnBuilder(keys, flatten=flatten, notes_nulls=notes_nulls)
    is_first = True
    source = iter(pages)
    try:
        for page in source:
            if is_first and not builder.row_count:
                # Room for some pages of the size of the first one.
                room = min(most, _PAGES_TO_MAKE_ROOM_FOR * likely_rows(page))
                builder = ColumnBuilder(keys, flatten=flatten, expected_rows=room, notes_nulls=notes_nulls)
            first, before = 0, builder.row_count
            while True:
                first = _add_page(builder, page, first, None if rows is None else rows - builder.row_count)
                count = builder.row_count
                # With whole pages, the chunk is done if another page of this size would be too large for it.
                has_room = count < rows if rows is not None else 2 * count - before <= most
                if has_room and not builder.is_full:
                    break
                yield builder.take_chunk()
                is_first = False
                if first == len(page):
                    break
    except (HistoryError, OSError):
        if builder.row_count:
            yield builder.take_chunk()
        raise
    finally:
        end_pages(source)
    if builder.row_count or is_first:
        yield builder.take_chunk()


def build_group(
    group: Sequence[Page | list[Any]], *, keys: Sequence[str] | None, flatten: bool, notes_nulls: bool = False
) -> list[ColumnChunk]:
    """Builds the columns of a group of pages.

    `build_chunks` would acquire the GIL after each page. Here, as many pages as possible are built in one go, so that
    threads with a group each do not wait for each other.

    Args:
        group: The pages.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        notes_nulls: As for `ColumnBuilder`.

    Returns:
        One chunk, or several if there is too much text for one.

    Raises:
        HistoryError: A page can't be read.
    """
    room = min(ROWS_PER_CHUNK, sum(map(likely_rows, group)))
    builder = ColumnBuilder(keys, flatten=flatten, expected_rows=room, notes_nulls=notes_nulls)
    chunks = []
    index = 0
    while index < len(group):
        whole, rows = builder.add_whole_pages(group[index:])
        index += whole
        # The rest of a page that was added in part is added even if the builder is full.
        if index < len(group) and (rows or not builder.is_full):
            _add_page(builder, group[index], rows, None)
            index += 1
        if builder.is_full:
            chunks.append(builder.take_chunk())
    if builder.row_count or not chunks:
        chunks.append(builder.take_chunk())
    return chunks


def likely_rows(page: Page | list[Any]) -> int:
    """Returns how many rows to make room for; limited, because a damaged page may claim any number."""
    return min(page.guess_length() if isinstance(page, Page) else len(page), ROWS_PER_CHUNK)


def _add_page(builder: ColumnBuilder, page: Page | list[Any], first: int, limit: int | None) -> int:
    """Adds rows of a page, and names the page in errors; returns the first row that was not added."""
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
    """Closes a generator of pages now, so that its scan is free even if a traceback still refers to the frames."""
    close = getattr(pages, "close", None)
    if close is not None:
        close()
