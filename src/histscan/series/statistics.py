"""Statistics of groups of runs, such as the mean over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from histscan._core.series.group_statistics import GroupAxis
from histscan.series.arrow_columns import array_of, axis_column, column_index, is_number, number_column, segments_of

if TYPE_CHECKING:
    import pyarrow

__all__ = ["STATISTICS", "aggregate_rows"]

STATISTICS = ("mean", "std", "min", "max", "count", "ci95")
"""The statistics that `aggregate_rows` knows."""

_GROUP = "group"
_METHODS = ("bucket", "interpolate")

# The 97.5 % quantile of the normal distribution.
_NORMAL_95 = 1.96


def aggregate_rows(
    table: pyarrow.Table,
    offsets: Sequence[int],
    groups: Sequence[int],
    keys: Sequence[str],
    *,
    method: str,
    x: str = "_step",
    statistics: Sequence[str] = ("mean", "std", "min", "max", "count"),
    buckets: int | None = None,
) -> pyarrow.Table:
    """Computes statistics over the runs of each group, along an axis that they share.

    Each run counts once at each place of the axis, however often it has logged there:

    - ``"bucket"``: by the mean of its numbers in the bucket. The range of x over all runs is split into `buckets` equal
      parts, whose x is their centre. Without `buckets`, each x of a group's runs is a bucket.
    - ``"interpolate"``: by its number at the place, interpolated linearly between its own numbers (of several at one x,
      the last one); a run does not count before its first number or after its last one. The places are `buckets` points
      at equal distances, from the lowest x of all runs to the highest. Without `buckets`, they are all x of the
      group's runs, which takes time in proportion to these times the runs.

    Null and NaN are missing numbers: a run that has nothing else at a place does not count there, as ``count`` shows.
    Infinities are numbers, so a mean may be infinite. Rows whose x is null, NaN or infinite are left out.

    Args:
        table: The rows of all runs, one run after the other.
        offsets: The first row of each run, and the number of all rows.
        groups: The index of each run's group, below the number of runs.
        keys: The columns to aggregate; of numbers or of bools, which count as 0 and 1.
        method: ``"bucket"`` or ``"interpolate"``.
        x: The column that is the x-axis; any column of numbers. Its numbers are read as float64.
        statistics: Any of ``"mean"``, ``"std"`` (of a sample: divided by count - 1), ``"min"``, ``"max"``, ``"count"``
            (of runs), and ``"ci95"``: half the width of the 95 % confidence interval of the mean,
            ``1.96 * std / sqrt(count)``.
        buckets: The number of buckets, at least 1; or of points, at least 2. None for each x.

    Returns:
        A table with the columns ``group`` (int64), `x`, and ``key.statistic`` for each key and statistic, ordered by
        group and x. A row has a number of at least one run. Counts are int64, and all else is float64; `x` is int64 if
        it holds integers and `buckets` is None. Numbers are null where no run counts; ``std`` and ``ci95`` also where
        one does.

    Raises:
        ValueError: An argument is out of its range, or the table has no such columns of numbers.
    """
    import pyarrow
    from pyarrow import compute

    _check_arguments(keys, method, statistics, buckets)
    names = [_GROUP, x, *(f"{key}.{statistic}" for key in keys for statistic in statistics)]
    if len(set(names)) < len(names):
        repeated = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"the result would have several columns named {repeated!r}")
    values = [_values_of(table, key) for key in keys]
    axis = GroupAxis(
        segments_of(table, offsets),
        groups,
        axis_column(table, x),
        buckets=buckets or 0,
        interpolates=method == "interpolate",
    )
    places = array_of(pyarrow.float64(), axis.cell_positions())
    if buckets is None and pyarrow.types.is_integer(table.schema.field(x).type):
        places = _as_integers(places)
    columns: list[Any] = [array_of(pyarrow.int64(), axis.cell_groups()), places]
    has_runs = pyarrow.repeat(False, len(axis))
    for column in values:
        found = _statistics(axis.statistics(number_column(column)))
        has_runs = compute.or_(has_runs, compute.greater(found["count"], 0))
        columns += [found[statistic] for statistic in statistics]
    return pyarrow.Table.from_arrays(columns, names=names).filter(has_runs)


def _check_arguments(keys: Sequence[str], method: str, statistics: Sequence[str], buckets: int | None) -> None:
    if method not in _METHODS:
        raise ValueError(f"method must be 'bucket' or 'interpolate', not {method!r}")
    for name, wanted in (("keys", keys), ("statistics", statistics)):
        if isinstance(wanted, str) or not wanted:
            raise ValueError(f"{name} must be a list of at least one name, not {wanted!r}")
    unknown = [statistic for statistic in statistics if statistic not in STATISTICS]
    if unknown:
        raise ValueError(f"unknown statistic {unknown[0]!r}; known are {', '.join(STATISTICS)}")
    least = 2 if method == "interpolate" else 1
    if buckets is not None and buckets < least:
        raise ValueError(f"buckets must be at least {least} with method={method!r}, not {buckets}")


def _values_of(table: pyarrow.Table, key: str) -> Any:
    """Returns a column that has statistics."""
    from pyarrow import types

    column = table.column(column_index(table, key))
    if not (is_number(column.type) or types.is_boolean(column.type) or types.is_null(column.type)):
        raise ValueError(f"statistics need numbers, and {key!r} holds {column.type}")
    return column


def _as_integers(places: Any) -> Any:
    """Returns places that are whole numbers as int64, unless one is beyond it."""
    import pyarrow

    try:
        return places.cast(pyarrow.int64())
    except pyarrow.ArrowInvalid:
        return places


def _statistics(found: dict[str, bytes]) -> dict[str, Any]:
    """Returns the core's statistics as arrays, with null where there are too few runs."""
    import pyarrow
    from pyarrow import compute

    count = array_of(pyarrow.int64(), found["count"])
    result = {"count": count}
    for name, least in (("mean", 1), ("min", 1), ("max", 1), ("std", 2)):
        numbers = array_of(pyarrow.float64(), found[name])
        result[name] = compute.if_else(compute.greater_equal(count, least), numbers, None)
    result["ci95"] = compute.divide(compute.multiply(result["std"], _NORMAL_95), compute.sqrt(count))
    return result
