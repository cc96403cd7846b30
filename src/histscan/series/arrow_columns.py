"""Columns of Arrow tables as the core reads them, and the core's results as Arrow arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from histscan._core.series.number_column import ColumnValidity, NumberColumn, Segments

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "array_of",
    "axis_column",
    "column_index",
    "column_validity",
    "is_number",
    "number_column",
    "segments_of",
    "take_rows",
]


def segments_of(table: pyarrow.Table, offsets: Sequence[int]) -> Segments:
    """Returns the runs of a table, checked against its number of rows.

    Args:
        table: The rows of all runs, one run after the other.
        offsets: The first row of each run, and the number of all rows.

    Raises:
        ValueError: The offsets don't begin with 0, descend, or don't end with the number of rows.
    """
    return Segments(offsets, table.num_rows)


def is_number(data_type: pyarrow.DataType) -> bool:
    """Returns True for the types of numbers; bool is none.

    Args:
        data_type: The type of a column.
    """
    from pyarrow import types

    return bool(types.is_integer(data_type) or types.is_floating(data_type) or types.is_decimal(data_type))


def column_index(table: pyarrow.Table, name: str) -> int:
    """Returns the index of a column.

    Args:
        table: The table.
        name: The column's name.

    Raises:
        ValueError: The table has no such column, or several.
    """
    found: list[int] = table.schema.get_all_field_indices(name)
    if len(found) != 1:
        raise ValueError(f"the table has {len(found) or 'no'} columns named {name!r}; it has {table.column_names}")
    return found[0]


def axis_column(table: pyarrow.Table, x: str) -> NumberColumn:
    """Returns the column that is the axis.

    Args:
        table: The table.
        x: The column's name.

    Raises:
        ValueError: The table has no such column, or several, or it does not hold numbers.
    """
    from pyarrow import types

    column = table.column(column_index(table, x))
    if not is_number(column.type) and not types.is_null(column.type):
        raise ValueError(f"the x-axis must be a column of numbers, and {x!r} holds {column.type}")
    return number_column(column)


def number_column(column: pyarrow.ChunkedArray) -> NumberColumn:
    """Returns a column of numbers, bools or nulls as int64 or float64, without a copy if it has one chunk of these.

    Args:
        column: The column. Unsigned integers beyond int64 become floats; bools become 0 and 1.
    """
    import pyarrow
    from pyarrow import compute, types

    array = _one_array(column)
    is_integer = types.is_integer(array.type) or types.is_boolean(array.type)
    if is_integer and not types.is_int64(array.type):
        try:
            array = compute.cast(array, pyarrow.int64())
        except pyarrow.ArrowInvalid:
            is_integer = False
    if not is_integer:
        array = compute.cast(array, pyarrow.float64(), safe=False)
    validity, values = array.buffers()
    return NumberColumn(
        len(array),
        validity if array.null_count else None,
        array.offset,
        values=b"" if values is None else values,
        is_integer=is_integer,
    )


def column_validity(column: pyarrow.ChunkedArray) -> ColumnValidity:
    """Returns which values of a column are null.

    Args:
        column: A column of any type.
    """
    from pyarrow import compute

    if not column.null_count:
        return ColumnValidity(len(column))
    # Not all types have the bits in their first buffer.
    bits = _one_array(compute.is_valid(column))
    return ColumnValidity(len(bits), bits.buffers()[1], bits.offset)


def take_rows(table: pyarrow.Table, rows: bytes) -> pyarrow.Table:
    """Returns some rows of a table.

    Args:
        table: The table.
        rows: The rows, as bytes of int64.
    """
    import pyarrow

    return table.combine_chunks().take(array_of(pyarrow.int64(), rows))


def array_of(data_type: pyarrow.DataType, values: bytes, bits: bytes | None = None) -> pyarrow.Array:
    """Returns a result of the core as an array.

    Args:
        data_type: ``int64`` or ``float64``.
        values: The values.
        bits: The bits that tell which values are valid; None if all are.
    """
    import pyarrow

    validity = None if bits is None else pyarrow.py_buffer(bits)
    return pyarrow.Array.from_buffers(data_type, len(values) // 8, [validity, pyarrow.py_buffer(values)])


def _one_array(column: pyarrow.ChunkedArray) -> Any:
    """Returns a column as one array; copies it if it has several chunks."""
    import pyarrow

    if column.num_chunks == 1:
        return column.chunk(0)
    return pyarrow.concat_arrays(column.chunks) if column.num_chunks else pyarrow.array([], column.type)
