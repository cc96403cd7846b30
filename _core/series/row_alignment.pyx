"""Rows on an axis: one for each of its values in a run."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

from histscan._core.series.number_column cimport (
    ColumnValidity, NumberColumn, NumberView, Segments, ValidityView, float64_bytes, int64_bytes,
)

cdef extern from "series/row_alignment.hpp" namespace "histscan" nogil:
    cdef cppclass NullableRows:
        vector[int64_t] values
        vector[uint8_t] bits

    cdef cppclass NullableNumbers:
        vector[double] values
        vector[uint8_t] bits

    NullableRows rows_of_values(const AlignedRows&, const ValidityView&, cpp_bool carries) except +
    NullableNumbers interpolate_rows(const AlignedRows&, const NumberView& x, const NumberView& column) except +


cdef bytes bits_of(vector[uint8_t]& bits):
    return PyBytes_FromStringAndSize(<const char*> bits.data(), bits.size())


cdef class Alignment:
    """The rows of each run by an axis. Rows whose x is null or not finite are left out; rows of the same x become one.

    Args:
        segments: The runs.
        x: The axis. Integers are compared as integers.

    Attributes:
        is_unchanged: True if all rows are there, in their own order.

    Raises:
        ValueError: The axis does not have the rows of the runs.
    """

    cdef AlignedRows aligned
    cdef Segments segments
    cdef NumberColumn x

    def __cinit__(self, Segments segments not None, NumberColumn x not None):
        segments.check(x)
        self.segments = segments
        self.x = x
        with nogil:
            self.aligned = align_rows(segments.offsets, x.view)

    def __len__(self):
        return self.aligned.size()

    @property
    def is_unchanged(self):
        return self.aligned.is_unchanged

    @property
    def offsets(self):
        """Where in the aligned rows each run begins, and the number of all."""
        return list(self.aligned.offsets)

    def last_rows(self):
        """Find the last row of each x.

        Returns:
            Bytes of int64.
        """
        cdef vector[int64_t] rows
        cdef int64_t index
        rows.resize(self.aligned.size())
        for index in range(self.aligned.size()):
            rows[index] = self.aligned.last_row(index)
        return int64_bytes(rows)

    def rows_of_values(self, ColumnValidity column not None, *, bint carries):
        """Find the row whose value each aligned row has: the last of the same x whose value is not null.

        Args:
            column: Which values are null.
            carries: An aligned row without a value has that of the one before, if that is of the same run.

        Returns:
            Bytes of int64, and the bits that tell which are valid.

        Raises:
            ValueError: The column does not have the rows of the runs.
        """
        cdef NullableRows rows
        self.segments.check(column)
        with nogil:
            rows = rows_of_values(self.aligned, column.validity, carries)
        return int64_bytes(rows.values), bits_of(rows.bits)

    def interpolate(self, NumberColumn column not None):
        """Interpolate a column linearly in x, where it has a value before and one after in the same run.

        Args:
            column: The numbers.

        Returns:
            Bytes of float64, and the bits that tell which are valid.

        Raises:
            ValueError: The column does not have the rows of the runs.
        """
        cdef NullableNumbers numbers
        self.segments.check(column)
        with nogil:
            numbers = interpolate_rows(self.aligned, self.x.view, column.view)
        return float64_bytes(numbers.values), bits_of(numbers.bits)
