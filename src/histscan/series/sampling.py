"""Some of each run's rows: enough for a picture, or the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import index
from typing import TYPE_CHECKING

from histscan._core.series.number_column import NumberColumn
from histscan._core.series.row_sampling import select_extremes, select_tail, select_triangles
from histscan.series.arrow_columns import axis_column, is_number, number_column, segments_of, take_rows

if TYPE_CHECKING:
    import pyarrow

__all__ = ["sample_rows", "tail_rows"]

_METHODS = ("minmax", "lttb")


def sample_rows(
    table: pyarrow.Table, offsets: Sequence[int], samples: int, *, x: str = "_step", method: str = "minmax"
) -> tuple[pyarrow.Table, list[int]]:
    """Selects at most `samples` rows of each run, for curves that look as all rows do.

    The result has only rows of the table, unchanged and in their order, and is the same on every call. A run of at most
    `samples` rows keeps all. Other runs keep their first and their last row, and rows between. All columns of numbers
    but `x` that vary in the run share the remaining budget, also those that have the same number in some rows and none
    in others; columns of other types stay with their rows. A run in which no number varies keeps rows at equal
    distances.

    ``"minmax"`` splits the rows between into buckets of equal size. Each keeps, of each column, the first row of the
    lowest and the first row of the highest number, so no spike is lost. With `k` columns, there are
    ``(samples - 2) // (2 * k)`` buckets. If that is less than one, there is one bucket, and the first columns take the
    budget. Null and NaN are no extremes; infinities are.

    ``"lttb"`` keeps the look of a line with fewer rows (S. Steinarsson, "Downsampling Time Series for Visual
    Representation", 2013), but may lose a spike. Each column has an equal share of the budget; if there are more
    columns than rows left, the first columns have one row each. Rows in which `x` or the number is null or not finite
    are no points of the curve.

    Args:
        table: The rows of all runs, one run after the other.
        offsets: The first row of each run, and the number of all rows.
        samples: The maximum number of rows of each run, at least 2.
        x: The column that is the x-axis. ``"minmax"`` does not need it.
        method: ``"minmax"`` or ``"lttb"``.

    Returns:
        The selected rows, and their offsets.

    Raises:
        ValueError: An argument is out of its range, or the table has no such x-axis of numbers.
    """
    if method not in _METHODS:
        raise ValueError(f"method must be 'minmax' or 'lttb', not {method!r}")
    samples = index(samples)
    if samples < 2:
        raise ValueError(f"samples must be at least 2, for the first and the last row of a run, not {samples}")
    segments = segments_of(table, offsets)
    axis = axis_column(table, x) if method == "lttb" else None
    starts = [index(start) for start in offsets]
    if all(end - begin <= samples for begin, end in pairwise(starts)):
        return table, starts
    columns = _numbers_beside(table, x)
    if axis is None:
        rows, kept = select_extremes(segments, columns, samples)
    else:
        rows, kept = select_triangles(segments, axis, columns, samples)
    return take_rows(table, rows), kept


def tail_rows(table: pyarrow.Table, offsets: Sequence[int], count: int) -> tuple[pyarrow.Table, list[int]]:
    """Selects the last rows of each run.

    Args:
        table: The rows of all runs, one run after the other.
        offsets: The first row of each run, and the number of all rows.
        count: The maximum number of rows of each run.

    Returns:
        The selected rows, and their offsets.

    Raises:
        ValueError: An argument is out of its range.
    """
    rows, kept = select_tail(segments_of(table, offsets), min(index(count), table.num_rows))
    return take_rows(table, rows), kept


def _numbers_beside(table: pyarrow.Table, x: str) -> list[NumberColumn]:
    """Returns the table's columns of numbers, without the x-axis."""
    return [
        number_column(table.column(position))
        for position, field in enumerate(table.schema)
        if field.name != x and is_number(field.type)
    ]
