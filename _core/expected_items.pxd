"""The items of a row that brings the keys of the row before in the same order: read in the fewest steps.

Most rows are such, and most values are numbers. Whatever is not as expected is left where it stands, for a reader that
takes any item.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t

from histscan._core.column_cells cimport Column, put_number
from histscan._core.cursor cimport Cursor, byte_ptr

cdef extern from "expected_item.hpp" namespace "histscan" nogil:
    cdef cppclass ExpectedItem:
        int32_t column      # where the item's value goes as it is read; or one of the numbers below

    ExpectedItem expect_item(byte_ptr key, size_t key_length, uint8_t tag, int32_t column)
    byte_ptr expected_item_end(byte_ptr pos, byte_ptr end, const ExpectedItem& item)
    byte_ptr expected_value(byte_ptr pos, const ExpectedItem& item)

cdef enum:
    UNREAD_ITEM = -1    # nobody asked for the value
    OTHER_ITEM = -2     # the value is for another reader


cdef inline size_t add_expected_items(
    Cursor* cursor, const ExpectedItem* expected, size_t count, Column* columns, size_t row
) noexcept nogil:
    """Takes items as long as they are the expected ones, and unread or numbers; returns how many these are.

    The numbers become cells of those columns that have room for the row; where one has not, it is taken no further.
    """
    cdef byte_ptr pos = cursor.pos
    cdef byte_ptr item_end
    cdef Column* column
    cdef size_t index = 0
    while index < count:
        item_end = expected_item_end(pos, cursor.end, expected[index])
        if item_end == NULL:
            break
        if expected[index].column != UNREAD_ITEM:
            if expected[index].column == OTHER_ITEM:
                break
            column = columns + expected[index].column
            if column.tags.size() <= row:
                break
            if not put_number(column, row, expected_value(pos, expected[index]), item_end, cursor.start):
                break
        pos = item_end
        index += 1
    cursor.pos = pos
    return index
