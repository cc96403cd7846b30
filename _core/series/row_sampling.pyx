"""Selects some rows of each run."""

from libc.stdint cimport int64_t
from libcpp.vector cimport vector

from histscan._core.series.number_column cimport NumberColumn, NumberView, Segments, int64_bytes

cdef extern from "series/row_sampling.hpp" namespace "histscan" nogil:
    cdef cppclass SelectedRows:
        vector[int64_t] rows
        vector[int64_t] offsets

    # These only allocate and read; `samples` must be at least 2, and columns must have all rows of the runs.
    SelectedRows c_select_extremes "histscan::select_extremes"(
        const vector[int64_t]&, const vector[NumberView]&, int64_t samples) except +
    SelectedRows c_select_triangles "histscan::select_triangles"(
        const vector[int64_t]&, const NumberView& x, const vector[NumberView]&, int64_t samples) except +
    SelectedRows c_select_tail "histscan::select_tail"(const vector[int64_t]&, int64_t count) except +


cdef int view_columns(Segments segments, columns, vector[NumberView]& views) except -1:
    cdef NumberColumn column
    for column in columns:
        if column is None:
            raise TypeError("columns must not be None")
        segments.check(column)
        views.push_back(column.view)
    return 0


cdef int check_samples(int64_t samples) except -1:
    if samples < 2:
        raise ValueError(f"samples must be at least 2, for the first and the last row of a run, not {samples}")
    return 0


cdef tuple result_of(SelectedRows& selected):
    return int64_bytes(selected.rows), list(selected.offsets)


def select_extremes(Segments segments not None, columns, int64_t samples):
    """Select the rows of the columns' extremes.

    A run of more than `samples` rows keeps its first and its last row. The rows between are split into parts of equal
    size, of which each keeps the first row of the lowest and that of the highest number of each column. There are as
    many parts as the columns that vary in the run allow; if there are too many columns for one part, the first columns
    count. A column varies if two rows have different numbers, or if some rows have one and others do not. Null and NaN
    are no extremes, infinities are. A run in which no column varies keeps rows at equal distances.

    Args:
        segments: The runs.
        columns: `NumberColumn` objects.
        samples: The maximum number of rows of each run, at least 2.

    Returns:
        The rows as bytes of int64, ascending, and the offsets of the runs in them.

    Raises:
        ValueError: An argument is out of its range.
    """
    cdef vector[NumberView] views
    cdef SelectedRows selected
    check_samples(samples)
    view_columns(segments, columns, views)
    with nogil:
        selected = c_select_extremes(segments.offsets, views, samples)
    return result_of(selected)


def select_triangles(Segments segments not None, NumberColumn x not None, columns, int64_t samples):
    """Select rows by LTTB (largest triangle, three buckets; S. Steinarsson, 2013).

    Each column that varies in a run has an equal share of the samples, and at least one while there are some left. Rows
    in which x or the column's number is null or not finite are no points of its curve.

    Args:
        segments: As for `select_extremes`.
        x: The axis.
        columns: As for `select_extremes`.
        samples: As for `select_extremes`.

    Returns:
        As `select_extremes`.

    Raises:
        ValueError: An argument is out of its range.
    """
    cdef vector[NumberView] views
    cdef SelectedRows selected
    check_samples(samples)
    segments.check(x)
    view_columns(segments, columns, views)
    with nogil:
        selected = c_select_triangles(segments.offsets, x.view, views, samples)
    return result_of(selected)


def select_tail(Segments segments not None, int64_t count):
    """Select the last rows of each run.

    Args:
        segments: The runs.
        count: The maximum number of rows of each run, at least 0.

    Returns:
        As `select_extremes`.

    Raises:
        ValueError: The count is negative.
    """
    cdef SelectedRows selected
    if count < 0:
        raise ValueError(f"the number of last rows must not be negative: {count}")
    with nogil:
        selected = c_select_tail(segments.offsets, count)
    return result_of(selected)
