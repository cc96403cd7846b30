"""The items of a row that brings the keys of the row before in the same order: read in the fewest steps.

Most rows are such, and most values are numbers. Whatever is not as expected is left where it stands, for a reader that
takes any item.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t

from histscan._core.cursor cimport byte_ptr

cdef extern from "expected_items.hpp" namespace "histscan" nogil:
    cdef cppclass ExpectedItem:
        pass

    # What became of rows.
    cdef cppclass AddedRows:
        size_t row_count    # how many are done
        size_t position     # the item that the next one has to be read from: those before have been added
        byte_ptr next       # where that item begins; NULL for the first one

    ExpectedItem expect_item(byte_ptr key, size_t key_length, uint8_t tag, int32_t column)
    size_t add_expected_items(
        byte_ptr* next, byte_ptr end, byte_ptr start, const ExpectedItem* expected, size_t count, size_t row,
    )
    AddedRows add_expected_rows(
        byte_ptr* rest, byte_ptr end, byte_ptr start, const ExpectedItem* expected, size_t count, size_t row,
        size_t stop,
    )
