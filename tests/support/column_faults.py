"""Compares columns of pages with their rows: the same values, or the same error after the same values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from histscan._core.pages.page import Page
from histscan.columns.chunks import build_chunks
from histscan.errors import HistoryError, ResponseShapeError
from tests.support.column_rows import check_values, table_of

# Limits of Python's objects, which values in columns do not have.
_OF_OBJECTS_ALONE = ("nested too deeply", "integer string conversion")


def as_rows(pages: Iterable[Page]) -> tuple[list[Any], HistoryError | None]:
    """The rows before the first fault, and the fault."""
    rows: list[Any] = []
    try:
        for page in pages:
            for index in range(len(page)):
                rows.append(page.row(index))
            page.rows()
    except HistoryError as error:
        return rows, error
    return rows, None


def as_columns(pages: Iterable[Page], batch_rows: int = 65_536) -> tuple[Any, HistoryError | None]:
    """The same as a table."""
    chunks = []
    error = None
    try:
        for chunk in build_chunks(pages, keys=None, flatten=False, rows=batch_rows):
            chunks.append(chunk)
    except HistoryError as caught:
        error = caught
    return table_of(chunks), error


def places(error: HistoryError) -> tuple[Any, ...]:
    """All that an error says."""
    return type(error), error.reason, error.run, error.page, error.row, error.byte, error.path


def check_pages(pages: Sequence[Page], batch_rows: int = 65_536) -> bool:
    """Compares columns with rows. Returns True if both failed."""
    rows, of_rows = as_rows(pages)
    table, of_columns = as_columns(pages, batch_rows)
    if of_rows is None and not all(isinstance(row, dict) for row in rows):
        # Any JSON value can be a row, but only an object has columns.
        first = next(index for index, row in enumerate(rows) if not isinstance(row, dict))
        assert type(of_columns) is ResponseShapeError
        check_values(table, rows[:first])
        return True
    if of_rows is None:
        assert of_columns is None
        check_values(table, rows)
        return False
    if not all(isinstance(row, dict) for row in rows):
        assert of_columns is not None
        return True
    if of_columns is None or places(of_columns) != places(of_rows):
        assert any(reason in of_rows.reason for reason in _OF_OBJECTS_ALONE), (of_rows, of_columns)
        return True
    check_values(table, rows)
    return True
