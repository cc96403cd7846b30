"""Keys that were logged at different steps on a common axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from histscan._core.series.row_alignment import Alignment
from histscan.series.arrow_columns import (
    array_of,
    axis_column,
    column_index,
    column_validity,
    is_number,
    number_column,
    segments_of,
)

if TYPE_CHECKING:
    import pyarrow

__all__ = ["align_rows"]

_METHODS = ("outer", "ffill", "interpolate")


def align_rows(
    table: pyarrow.Table, offsets: Sequence[int], *, x: str = "_step", how: str = "outer"
) -> tuple[pyarrow.Table, list[int]]:
    """Makes one row of all rows of a run that have the same x, in the order of x.

    Of several values of one key at the same x, the last one counts; null is no value, NaN is one. Rows whose x is null,
    NaN or infinite have no place on the axis and are left out.

    ``"outer"`` leaves null where a key has no value at an x. ``"ffill"`` fills in the last value before, from the key's
    first value in the run on. ``"interpolate"`` fills columns of numbers linearly in x, between the values before and
    after; nothing is filled before the first value or after the last one, and other columns stay as they are in
    ``"outer"``. A number that is interpolated between NaN and another is NaN.

    Args:
        table: The rows of all runs, one run after the other.
        offsets: The first row of each run, and the number of all rows.
        x: The column that is the x-axis; any column of numbers.
        how: ``"outer"``, ``"ffill"`` or ``"interpolate"``.

    Returns:
        A table of the same columns, and its offsets. With ``"interpolate"``, columns of numbers other than `x` are
        float64.

    Raises:
        ValueError: An argument is out of its range, or the table has no such x-axis of numbers.
    """
    import pyarrow

    if how not in _METHODS:
        raise ValueError(f"how must be 'outer', 'ffill' or 'interpolate', not {how!r}")
    alignment = Alignment(segments_of(table, offsets), axis_column(table, x))
    axis = column_index(table, x)
    table = table.combine_chunks()
    last_rows = None if alignment.is_unchanged else array_of(pyarrow.int64(), alignment.last_rows())
    columns: list[Any] = []
    fields: list[Any] = []
    for position, field in enumerate(table.schema):
        column = table.column(position)
        if how == "interpolate" and position != axis and is_number(field.type):
            column = _interpolated(alignment, column)
            field = field.with_type(pyarrow.float64())
        elif column.null_count and (how == "ffill" or last_rows is not None):
            column = _merged(alignment, column, carries=how == "ffill")
        elif last_rows is not None:
            column = column.take(last_rows)
        columns.append(column)
        fields.append(field.with_nullable(True))
    return pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields, table.schema.metadata)), alignment.offsets


def _merged(alignment: Alignment, column: Any, *, carries: bool) -> Any:
    """Returns the last value of each x, or with `carries` the last one until there."""
    import pyarrow

    rows, bits = alignment.rows_of_values(column_validity(column), carries=carries)
    return column.take(array_of(pyarrow.int64(), rows, bits))


def _interpolated(alignment: Alignment, column: Any) -> Any:
    import pyarrow

    return array_of(pyarrow.float64(), *alignment.interpolate(number_column(column)))
