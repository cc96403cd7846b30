"""The column of times as dates and times instead of seconds since 1970."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    import pyarrow

__all__ = ["TIMESTAMP", "Timestamps", "check_timestamps", "convert_schema", "convert_timestamps"]

TIMESTAMP = "_timestamp"

Timestamps = Literal["seconds", "datetime"]
"""How ``_timestamp`` is stored: as logged, in seconds since 1970, or as dates and times in UTC, to the microsecond."""

_Rows = TypeVar("_Rows")


def check_timestamps(timestamps: str) -> bool:
    """Checks an argument.

    Args:
        timestamps: One of `Timestamps`.

    Returns:
        True for dates and times.

    Raises:
        ValueError: It is none of them.
    """
    if timestamps not in ("seconds", "datetime"):
        raise ValueError(f"timestamps must be 'seconds' or 'datetime', not {timestamps!r}")
    return timestamps == "datetime"


def convert_schema(schema: pyarrow.Schema) -> pyarrow.Schema:
    """Returns a schema in which times are dates and times.

    Args:
        schema: The schema. A column of times that holds no numbers stays.
    """
    import pyarrow

    place = schema.get_field_index(TIMESTAMP)
    if place < 0 or not _is_number(schema.field(place).type):
        return schema
    return schema.set(place, pyarrow.field(TIMESTAMP, pyarrow.timestamp("us", "UTC")))


def convert_timestamps(rows: _Rows) -> _Rows:
    """Converts the column of times of a table or a batch.

    Args:
        rows: The ``pyarrow.Table`` or ``pyarrow.RecordBatch``.

    Returns:
        The same rows. NaN and the infinities are null.

    Raises:
        pyarrow.ArrowInvalid: A time is too far from 1970 for microseconds in 64 bits.
    """
    table: Any = rows
    schema = convert_schema(table.schema)
    if schema is table.schema or schema.equals(table.schema):
        return rows
    columns = list(table.columns)
    place = schema.get_field_index(TIMESTAMP)
    columns[place] = _as_times(columns[place], schema.field(place).type)
    converted: _Rows = type(table).from_arrays(columns, schema=schema)
    return converted


def _is_number(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind))


def _as_times(column: Any, kind: pyarrow.DataType) -> Any:
    import pyarrow
    from pyarrow import compute

    seconds = column.cast(pyarrow.float64())
    finite = compute.if_else(compute.is_finite(seconds), seconds, pyarrow.scalar(None, pyarrow.float64()))
    return compute.round(compute.multiply(finite, 1e6)).cast(pyarrow.int64()).cast(kind)
