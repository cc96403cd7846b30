"""Where the values go of keys that rows are expected to bring, as the row before did."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t
from libcpp.vector cimport vector

from histscan._core.column_cells cimport Column

cdef extern from "expected_keys.hpp" namespace "histscan" nogil:
    # Values that become no cells as they are read.
    const int32_t UNREAD_COLUMN "histscan::unread_column"    # nobody asked for them
    const int32_t OTHER_COLUMN "histscan::other_column"      # they are for another reader

    # What the next row is expected to bring, one after the other; nothing, where that is not known.
    cdef cppclass ExpectedRow[Expected]:
        vector[Expected] keys
        size_t row_count        # how many rows can be put, as `can_put` has found out

        # Whether all columns that the keys belong to have reached a row; the keys then know where it is.
        bint can_put(size_t row, vector[Column]& columns)
        void forget()
