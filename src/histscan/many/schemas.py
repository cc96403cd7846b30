"""One schema for the rows of many runs: the types that are valid for all of them, and batches of these types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import column_format, merge_columns
from histscan.columns.frames import stream_batches
from histscan.many.options import FrameOptions
from histscan.many.run_chunks import RunChunk

if TYPE_CHECKING:
    import pyarrow

__all__ = ["find_flags", "find_formats", "flat_table", "key_schema", "make_batches"]


def find_formats(parts: Iterable[RunChunk]) -> dict[str, str]:
    """Finds the columns of all chunks and their types; keeps no chunk.

    Args:
        parts: The chunks.

    Returns:
        Each column's format by its name, in the order of their first appearance.
    """
    return {name: column_format(seen) for name, seen in find_flags(parts).items()}


def find_flags(parts: Iterable[RunChunk]) -> dict[str, int]:
    """Finds the columns of all chunks and what was seen in them; keeps no chunk.

    Args:
        parts: The chunks.

    Returns:
        Each column's type flags by its name, in the order of their first appearance.
    """
    flags: dict[str, int] = {}
    for part in parts:
        for name, seen in zip(part.chunk.names, part.chunk.type_flags(), strict=True):
            flags[name] = flags.get(name, 0) | seen
    return flags


def key_schema(formats: Mapping[str, str], options: FrameOptions) -> pyarrow.Schema:
    """Returns the schema of the chosen columns of keys.

    Args:
        formats: The format of each column that was found.
        options: Which columns, in which order.
    """
    import pyarrow

    return pyarrow.RecordBatchReader.from_stream(ArrowStream(_chosen(formats, options), [])).schema


def make_batches(
    parts: Iterable[RunChunk], formats: Mapping[str, str], options: FrameOptions
) -> Iterator[tuple[pyarrow.RecordBatch, Sequence[tuple[int, int]]]]:
    """Makes a record batch of each chunk.

    Args:
        parts: The chunks, which are consumed.
        formats: The format of each column that was found.
        options: Which columns, in which order.

    Yields:
        The columns of keys, and the runs of the rows.

    Raises:
        HistoryError: What reading the chunks raised.
    """
    columns = _chosen(formats, options)
    schema = key_schema(formats, options)
    for part in parts:
        yield _make_batch(part.chunk, columns, schema), part.counts


def _make_batch(chunk: ColumnChunk, columns: Mapping[str, str], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    """Makes a record batch of a chunk. Columns that it does not have share their memory: a run may have very many."""
    import pyarrow

    rows, there = len(chunk), set(chunk.names)
    found = {name: kind for name, kind in columns.items() if name in there}
    batch = next(stream_batches(ArrowStream(found, [chunk])))
    if len(found) == len(columns):
        return batch
    arrays = dict(zip(found, batch.columns, strict=True))
    nulls = {kind: pyarrow.nulls(rows, kind) for kind in set(schema.types)}
    made = [arrays.get(name, nulls[field.type]) for name, field in zip(columns, schema, strict=True)]
    return pyarrow.RecordBatch.from_arrays(made, schema=schema)


def _chosen(formats: Mapping[str, str], options: FrameOptions) -> dict[str, str]:
    return {name: formats.get(name, "n") for name in options.select(list(formats))}


def flat_table(rows: Iterable[Mapping[str, Any]], keys: Sequence[str] | None = None, *, flatten: bool) -> pyarrow.Table:
    """Makes a table of dicts by the rules of histories.

    Args:
        rows: The dicts, one for each row.
        keys: The columns; None for all keys.
        flatten: Nested values become columns with dotted names.

    Returns:
        The table.
    """
    import pyarrow

    builder = ColumnBuilder(keys, flatten=flatten)
    chunks = []
    for row in rows:
        builder.add_rows([row])
        if builder.is_full:
            chunks.append(builder.take_chunk())
    chunks.append(builder.take_chunk())
    return pyarrow.table(ArrowStream(merge_columns(chunks), chunks)).combine_chunks()
