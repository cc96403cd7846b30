"""Reads a log's row count and the types of its keys, which `histscan.LogRun` does not provide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from histscan._core.columns.column_types import merge_columns
from histscan.columns.chunks import build_chunks
from histscan.columns.options import DEFAULT_BATCH_ROWS
from histscan.errors import HistoryDecodeError
from histscan.runs.log_run import LogRun
from histscan.server.work import cancellable

if TYPE_CHECKING:
    from histscan._core.columns.column_chunk import ColumnChunk
    from histscan._core.pages.page import Page

__all__ = ["LogOutline", "outline_log"]

# Arrow formats, which the core uses for column types, in W&B's words.
_TYPE_NAMES = {"n": "nil", "b": "boolean", "l": "number", "L": "number", "g": "number", "u": "string"}
_LIST_FORMAT = "+l"


@dataclass
class LogOutline:
    """The size of a history and the types of its keys.

    Attributes:
        row_count: The number of rows.
        key_types: The type of each key's values, in W&B's words.
    """

    row_count: int = 0
    key_types: dict[str, str] = field(default_factory=dict)


class _ColumnTypes:
    """The names and type flags of a column chunk, kept after its values are freed."""

    def __init__(self, names: list[str], type_flags: list[int]) -> None:
        self.names = names
        self._type_flags = type_flags

    def type_flags(self) -> list[int]:
        return self._type_flags


def outline_log(run: LogRun) -> LogOutline:
    """Reads a run's whole history once.

    Args:
        run: The run, which must skip corrupt parts of its log.

    Returns:
        The outline.

    Raises:
        LogFormatError: The file is no log.
        OSError: The file can't be read.
    """
    outline = LogOutline()
    columns = []
    try:
        for chunk in build_chunks(_watch(run, outline), keys=None, flatten=True, rows=DEFAULT_BATCH_ROWS):
            columns.append(_ColumnTypes(chunk.names, chunk.type_flags()))
    except HistoryDecodeError:
        # A malformed row ends the columns. The other rows are still counted, without types.
        outline = LogOutline()
        for _ in _watch(run, outline):
            pass
    formats = merge_columns(cast("list[ColumnChunk]", columns))
    outline.key_types = {name: _type_name(column_format) for name, column_format in formats.items()}
    return outline


def _watch(run: LogRun, outline: LogOutline) -> Iterator[Page | list[Any]]:
    """Yields the history's pages, and counts their rows."""
    for page in cancellable(run.scan_history().pages()):
        outline.row_count += len(page)
        yield page


def _type_name(column_format: str) -> str:
    return "list" if column_format.startswith(_LIST_FORMAT) else _TYPE_NAMES.get(column_format, "other")
