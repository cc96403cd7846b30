"""Where the values go of keys that rows are expected to bring, as the row before did."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t
from libcpp.vector cimport vector

from histscan._core.column_cells cimport Column

cdef extern from "expected_keys.hpp" namespace "histscan" nogil:
    # Values that become no cells as they are read.
    const int32_t UNREAD_COLUMN "histscan::unread_column"    # nobody asked for them
    const int32_t OTHER_COLUMN "histscan::other_column"      # they are for another reader

    # Looks up where the cells are now, and returns how many rows can be put there: true until a column is made to reach
    # one more, or a new column is made.
    size_t point_to_cells[Expected](vector[Expected]& expected, vector[Column]& columns)
