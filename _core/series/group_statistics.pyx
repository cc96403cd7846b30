"""Statistics of groups of runs along an axis."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector
from operator import index

from histscan._core.series.number_column cimport NumberColumn, NumberView, Segments, float64_bytes, int64_bytes
from histscan._core.series.row_alignment cimport AlignedRows, align_rows

cdef extern from "series/group_statistics.hpp" namespace "histscan" nogil:
    cdef cppclass Moments:
        int64_t count
        double mean
        double low
        double high
        double deviation()

    cdef cppclass GroupCells:
        vector[int64_t] offsets
        vector[double] positions

    cdef cppclass AxisRange:
        pass

    # Columns must have all rows of the runs, and each run a group below `group_count`.
    AxisRange range_of(const NumberView& x)
    GroupCells equal_cells(AxisRange, int64_t group_count, int64_t count, cpp_bool are_points) except +
    GroupCells exact_cells(
        const vector[int64_t]& offsets, const vector[int64_t]& groups, int64_t group_count,
        const NumberView& x) except +
    vector[int64_t] cells_of_rows(
        const vector[int64_t]& offsets, const vector[int64_t]& groups, const NumberView& x, const GroupCells&,
        AxisRange, int64_t buckets) except +
    vector[Moments] bucket_moments(
        const vector[int64_t]& offsets, const vector[int64_t]& row_cells, int64_t cell_count,
        const NumberView& column) except +
    vector[Moments] interpolated_moments(
        const AlignedRows&, const vector[int64_t]& groups, const NumberView& x, const GroupCells&,
        const NumberView& column) except +

MOST_BUCKETS = 1_000_000


cdef class GroupAxis:
    """An axis that the runs of each group share: cells at ascending places.

    Args:
        segments: The runs.
        groups: The index of each run's group, below the number of runs.
        x: The axis. Numbers are read as float64; rows in which it is null or not finite are left out.
        buckets: The number of cells: equal parts of the range of x over all runs, or if `interpolates`, points at equal
            distances from the lowest x to the highest. 0 for one cell for each x of a group.
        interpolates: A run has a number at each place between its own numbers. Otherwise, it has the mean of its
            numbers in the cell.

    Raises:
        ValueError: An argument is out of its range, or the lengths don't match.
    """

    cdef Segments segments
    cdef NumberColumn x
    cdef vector[int64_t] groups
    cdef int64_t group_count
    cdef bint interpolates
    cdef GroupCells cells
    cdef vector[int64_t] row_cells
    cdef AlignedRows aligned

    def __cinit__(
        self, Segments segments not None, groups, NumberColumn x not None, *, int64_t buckets, bint interpolates
    ):
        cdef AxisRange axis
        segments.check(x)
        self.segments = segments
        self.x = x
        self.interpolates = interpolates
        self.set_groups(groups)
        least = 2 if interpolates else 1
        if buckets and not least <= buckets <= MOST_BUCKETS:
            raise ValueError(f"buckets must be {least} to {MOST_BUCKETS:,}, or 0 for one for each x, not {buckets}")
        with nogil:
            axis = range_of(x.view)
            if buckets:
                self.cells = equal_cells(axis, self.group_count, buckets, interpolates)
            else:
                self.cells = exact_cells(segments.offsets, self.groups, self.group_count, x.view)
            if interpolates:
                self.aligned = align_rows(segments.offsets, x.view)
            else:
                self.row_cells = cells_of_rows(segments.offsets, self.groups, x.view, self.cells, axis, buckets)

    def __len__(self):
        return self.cells.positions.size()

    cdef int set_groups(self, groups) except -1:
        cdef int64_t run_count = len(self.segments)
        cdef int64_t group
        for value in groups:
            value = index(value)
            if not 0 <= value < run_count:
                raise ValueError(
                    f"the group of run {self.groups.size()} is {value}: groups of {run_count} runs are 0 to "
                    f"{run_count - 1}"
                )
            group = value
            self.groups.push_back(group)
            self.group_count = max(self.group_count, group + 1)
        if <int64_t> self.groups.size() != run_count:
            raise ValueError(f"there are {run_count} runs, and groups of {self.groups.size()}")
        return 0

    def cell_groups(self):
        """List the group of each cell.

        Returns:
            Bytes of int64.
        """
        cdef vector[int64_t] groups
        cdef int64_t group, cell
        groups.resize(self.cells.positions.size())
        for group in range(self.group_count):
            for cell in range(self.cells.offsets[group], self.cells.offsets[group + 1]):
                groups[cell] = group
        return int64_bytes(groups)

    def cell_positions(self):
        """List the place of each cell: its x, or the centre of its part of the range.

        Returns:
            Bytes of float64.
        """
        return float64_bytes(self.cells.positions)

    def statistics(self, NumberColumn column not None):
        """Compute the statistics of one column over the runs of each group. Null and NaN are left out.

        Args:
            column: The numbers.

        Returns:
            A dict of bytes, with an element for each cell: ``"count"`` (int64), the number of runs, and as float64
            ``"mean"``, ``"std"`` (of a sample: divided by count - 1), ``"min"`` and ``"max"``. Where there are too few
            runs, the numbers have no meaning.

        Raises:
            ValueError: The column does not have the rows of the runs.
        """
        cdef vector[Moments] moments
        cdef vector[int64_t] counts
        cdef vector[double] means, deviations, lows, highs
        cdef size_t cell
        self.segments.check(column)
        with nogil:
            if self.interpolates:
                moments = interpolated_moments(self.aligned, self.groups, self.x.view, self.cells, column.view)
            else:
                moments = bucket_moments(
                    self.segments.offsets, self.row_cells, self.cells.positions.size(), column.view
                )
            counts.resize(moments.size())
            means.resize(moments.size())
            deviations.resize(moments.size())
            lows.resize(moments.size())
            highs.resize(moments.size())
            for cell in range(moments.size()):
                counts[cell] = moments[cell].count
                means[cell] = moments[cell].mean
                deviations[cell] = moments[cell].deviation()
                lows[cell] = moments[cell].low
                highs[cell] = moments[cell].high
        return {
            "count": int64_bytes(counts),
            "mean": float64_bytes(means),
            "std": float64_bytes(deviations),
            "min": float64_bytes(lows),
            "max": float64_bytes(highs),
        }
