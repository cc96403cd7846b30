"""Rows on an axis: one for each of its values in a run."""

from libc.stdint cimport int64_t, uint8_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

from histscan._core.series.number_column cimport NumberView

cdef extern from "series/row_alignment.hpp" namespace "histscan" nogil:
    cdef cppclass AlignedRows:
        vector[int64_t] offsets
        cpp_bool is_unchanged
        int64_t size()
        int64_t last_row(int64_t)

    # Columns must have all rows of the runs.
    AlignedRows align_rows(const vector[int64_t]& offsets, const NumberView& x) except +
