"""The members of a JSON row that brings the keys of the row before in the same order: read in the fewest steps.

As in `expected_items`, what is not as expected is left where it stands, for a reader that takes any member.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from histscan._core.column_cells cimport Column, put_number
from histscan._core.column_keys cimport SKIPPED_COLUMN, KeyTarget
from histscan._core.cursor cimport Cursor, byte_at, byte_ptr
from histscan._core.json_text cimport find_number_end, skip_plain_number, skip_space
from histscan._core.key_memory cimport RememberedKey, begins_with


cdef inline size_t add_expected_members(
    Cursor* cursor, const RememberedKey* keys, const KeyTarget* targets, const int32_t* order, size_t count,
    Column* columns, size_t row,
) noexcept nogil:
    """Takes members as long as they have the expected keys, are numbers, and others follow; returns how many it took.

    The cursor is at the first key, and is left at the one that follows the last member taken. `order` has the `count`
    keys that are expected. The numbers that are asked for become cells of those columns that have room for the row.
    """
    cdef byte_ptr pos = cursor.pos
    cdef byte_ptr value
    cdef byte_ptr value_end
    cdef const RememberedKey* key
    cdef Column* column
    cdef int32_t place
    cdef size_t index = 0
    while index < count:
        key = keys + order[index]
        if not begins_with(pos, cursor.end, key.text, key.length, key.head):
            break
        value = pos + key.length
        place = targets[order[index]].column
        if place >= 0:
            value_end = find_number_end(value, cursor.end)
            column = columns + place
            if value_end == value or value_end[0] != c',' or column.tags.size() <= row:
                break
            if not put_number(column, row, value, value_end, cursor.start):
                break
        elif place == SKIPPED_COLUMN:
            value_end = skip_plain_number(value, cursor.end)
            if value_end == value:
                break
        else:
            break
        pos = value_end + 1
        index += 1
        if byte_at(pos, cursor.end) <= c' ':
            cursor.pos = pos
            skip_space(cursor)
            pos = cursor.pos
    cursor.pos = pos
    return index
