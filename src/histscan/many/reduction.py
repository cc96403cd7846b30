"""Reduces the rows of runs as they are read: their last rows, aligned rows, samples. Keeps no others in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_types import JSON_FORMAT, column_format, merge_columns
from histscan.many.options import FrameOptions
from histscan.many.run_chunks import RunChunk
from histscan.many.schemas import key_schema, make_batches

if TYPE_CHECKING:
    import pyarrow

__all__ = ["RowReducer"]

_ROWS_AT_ONCE = 65_536
"""Whole runs with about this many rows are reduced together."""


class RowReducer:
    """Reduces rows, run by run.

    Args:
        options: How to reduce them.
    """

    def __init__(self, options: FrameOptions) -> None:
        self._options = options
        self._waiting: list[RunChunk] = []
        self._waiting_rows = 0
        self._reduced: list[tuple[pyarrow.Table, dict[str, str]]] = []
        self._rows: dict[int, int] = {}
        self._flags: dict[str, int] = {}

    def add(self, part: RunChunk) -> None:
        """Adds rows.

        Args:
            part: The next rows of the runs.
        """
        if (
            self._waiting_rows >= _ROWS_AT_ONCE
            and part.counts
            and self._waiting[-1].counts
            and part.counts[0][0] != self._waiting[-1].counts[-1][0]
        ):
            self._reduce_waiting()
        for name, seen in zip(part.chunk.names, part.chunk.type_flags(), strict=True):
            self._flags[name] = self._flags.get(name, 0) | seen
        self._waiting.append(part)
        self._waiting_rows += len(part.chunk)

    def result(self) -> tuple[pyarrow.Table, dict[int, int]]:
        """Returns the reduced rows of all runs.

        Returns:
            The columns of the keys, and the number of rows of each place. Types are valid for all rows that were added.
        """
        import pyarrow

        self._reduce_waiting()
        formats = {name: column_format(seen) for name, seen in self._flags.items()}
        if self._options.align == "interpolate":
            # Numbers between integers are no integers.
            formats = {
                name: "g" if kind in ("l", "L") and name != self._options.x else kind for name, kind in formats.items()
            }
        schema = key_schema(formats, self._options)
        pieces = [
            pyarrow.Table.from_arrays(
                [_as_format(table, field.name, known, formats, field.type) for field in schema], schema=schema
            )
            for table, known in self._reduced
        ]
        return pyarrow.concat_tables(pieces) if pieces else schema.empty_table(), self._rows

    def _reduce_waiting(self) -> None:
        import pyarrow

        parts, self._waiting, self._waiting_rows = self._waiting, [], 0
        if not parts:
            return
        flags: dict[str, int] = {}
        for part in parts:
            for name, seen in zip(part.chunk.names, part.chunk.type_flags(), strict=True):
                flags[name] = flags.get(name, 0) | seen
        formats = {name: column_format(seen) for name, seen in flags.items()}
        counts: dict[int, int] = {}
        batches = []
        for batch, found in make_batches(parts, formats, self._options):
            batches.append(batch)
            for place, count in found:
                counts[place] = counts.get(place, 0) + count
        table = pyarrow.Table.from_batches(batches, key_schema(formats, self._options))
        starts = [0, *accumulate(counts.values())]
        mixed = _mixed_columns(table, formats)
        if not mixed:
            self._reduce(table, formats, list(counts), starts)
            return
        # The rows that a run keeps depend on its own types, and not on the runs that are reduced with it.
        for place, (begin, end) in zip(counts, pairwise(starts), strict=True):
            own, own_formats = _with_own_types(table.slice(begin, end - begin), formats, mixed)
            self._reduce(own, own_formats, [place], [0, end - begin])

    def _reduce(
        self, table: pyarrow.Table, formats: dict[str, str], places: Sequence[int], starts: Sequence[int]
    ) -> None:
        table, offsets = self._options.apply(table, starts)
        for index, place in enumerate(places):
            self._rows[place] = offsets[index + 1] - offsets[index]
        # What is not kept would stay in memory if it shared buffers with what is.
        self._reduced.append((table.combine_chunks(), formats))


def _mixed_columns(table: pyarrow.Table, formats: Mapping[str, str]) -> list[str]:
    """Returns the columns of JSON text that have a number or a bool: those of some runs may have other types."""
    from pyarrow import compute

    names = [name for name in table.column_names if formats.get(name) == JSON_FORMAT]
    return [
        name for name in names if compute.any(compute.match_substring_regex(_texts(table, name), '^[^"{[]')).as_py()
    ]


def _with_own_types(
    table: pyarrow.Table, formats: Mapping[str, str], mixed: Sequence[str]
) -> tuple[pyarrow.Table, dict[str, str]]:
    """Gives columns of JSON text the types that the values of one run have.

    Args:
        table: The rows of the run.
        formats: The formats of the columns.
        mixed: The columns of JSON text.

    Returns:
        The rows, and the formats.
    """
    import pyarrow

    own = dict(formats)
    for name in mixed:
        builder = ColumnBuilder([name])
        texts = _texts(table, name).to_pylist()
        builder.add_rows([{} if text is None else {name: json.loads(text)} for text in texts])
        chunk = builder.take_chunk()
        own[name] = merge_columns([chunk])[name]
        column = pyarrow.table(ArrowStream({name: own[name]}, [chunk])).column(0)
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table, own


def _texts(table: pyarrow.Table, name: str) -> pyarrow.ChunkedArray:
    """Returns the texts of a column of JSON text."""
    return table.column(name).cast("string")


def _as_format(
    table: pyarrow.Table, name: str, known: dict[str, str], formats: dict[str, str], data_type: pyarrow.DataType
) -> Any:
    """Converts a column of some rows to the type that is valid for the rows of all runs."""
    import pyarrow

    place = table.schema.get_field_index(name)
    if place < 0 or known.get(name, "n") == "n":
        return pyarrow.nulls(len(table), data_type)
    column = table.column(place)
    wanted = formats.get(name, "n")
    becomes_json = wanted == JSON_FORMAT and known[name] != JSON_FORMAT
    if column.type == data_type and not becomes_json:
        return column
    if wanted != JSON_FORMAT:
        # Integers that a double holds exactly, or an aligned column.
        return column.cast(data_type)
    # The core writes JSON text of values of several types.
    builder = ColumnBuilder([name])
    values: Sequence[Any] = column.to_pylist()
    if known[name] == JSON_FORMAT:
        values = [None if text is None else json.loads(text) for text in values]
    builder.add_rows([{} if value is None else {name: value} for value in values])
    return pyarrow.table(ArrowStream({name: wanted}, [builder.take_chunk()])).column(0)
