"""Columns of some consecutive rows, and the cells of values that are Python objects already."""

import json

from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from histscan._core.memory.buffer_pool cimport shared_pool
from histscan._core.columns.column_cells cimport (
    CELL_JSON, CELL_NULL, TYPE_JSON, Column, complete_column, grow_column, list_type_flags, put_bool, put_double,
    put_int64, put_text, put_uint64, put_utf8, reach_row,
)
from histscan._core.bytes.cursor cimport JSON_TOO_DEEP, byte_ptr
from histscan._core.bytes.faults cimport raise_fault_at


cdef enum:
    # A chunk is ended when the text of one of its columns has grown to this: Arrow's offsets are 32 bits wide.
    TEXT_LIMIT = 1 << 29


cdef class ColumnChunk:
    """Columns of some consecutive rows of a scan."""

    def __cinit__(self):
        self.names = []
        self.first_rows = []
        self.index_of = {}

    def __len__(self):
        return self.row_count

    def type_flags(self):
        """What was seen in each column.

        Returns:
            A bit set of `TypeFlag` for each of ``names``; see ``histscan._core.columns.column_types``.
        """
        return [self.columns[<int32_t> self.index_of[name]].type_flags for name in self.names]

    def value_counts(self):
        """Count the values of each column.

        Returns:
            The number of rows that have one, for each of ``names``; null is none.
        """
        cdef list counts = []
        cdef size_t row
        cdef Py_ssize_t count
        cdef Column* column
        for name in self.names:
            column = &self.columns[<int32_t> self.index_of[name]]
            count = 0
            for row in range(min(column.tags.size(), <size_t> self.row_count)):
                count += column.tags[row] != CELL_NULL
            counts.append(count)
        return counts

    cdef int clear_row(self, size_t row) noexcept nogil:
        """Removes the cells of a row that was not finished."""
        cdef size_t index
        for index in range(self.columns.size()):
            if row < self.columns[index].tags.size():
                self.columns[index].tags[row] = CELL_NULL
        return 0

    cdef bint is_full(self) noexcept nogil:
        """Returns True if a column has so much text that the chunk should end."""
        cdef size_t index
        for index in range(self.columns.size()):
            if self.columns[index].text.size() >= TEXT_LIMIT:
                return True
        return False

    cdef int complete(self) except -1 nogil:
        """Gives every column a cell for each row, and marks which are null; no row may be added afterwards."""
        cdef size_t index
        for index in range(self.columns.size()):
            complete_column(self.columns[index], <size_t> self.row_count)
        return 0

    cdef int use_up(self) except -1:
        """Marks the columns' buffers as exported; raises if they already are."""
        if self.is_used_up:
            raise RuntimeError("the columns of this chunk have already been exported")
        self.is_used_up = True
        return 0

    cdef int make_room(self, size_t row, size_t row_limit) except -1 nogil:
        """Gives every column a cell for a row; `row_limit` is how many rows there will be at least."""
        cdef size_t index
        if row >= self.room:
            for index in range(self.columns.size()):
                grow_column(self.columns[index], row_limit)
            self.room = row_limit
        return 0

    cdef int32_t column_named(self, str name) except -2:
        """The index of a column, which is created if it is missing."""
        cdef int32_t index
        cdef object known = self.index_of.get(name)
        if known is not None:
            return known
        index = <int32_t> self.columns.size()
        self.columns.emplace_back(shared_pool())
        grow_column(self.columns[index], self.room)
        self.names.append(name)
        self.first_rows.append(self.row_at_hand)
        self.index_of[name] = index
        return index

    cdef Py_ssize_t first_name_since(self, size_t row) except -1:
        """The index of the first of `names` that appeared in a row or later; requested ones appear before all rows."""
        cdef Py_ssize_t index = len(self.names)
        while index > self.requested and <size_t> self.first_rows[index - 1] >= row:
            index -= 1
        return index

    cdef int sort_names_since(self, size_t row, object page, Py_ssize_t ahead) except -1:
        """Sorts the names that first appeared in a row of a page, unless the row has the order in which it was logged.

        Rows before `row` are not looked at. The index of a row in the page is that in the chunk and `ahead`.
        """
        cdef Py_ssize_t first = self.first_name_since(row)
        cdef list places
        if first == len(self.names):
            return 0
        names, rows = self.names[first:], self.first_rows[first:]
        has_order = {place: page.has_logged_order(place + ahead) for place in set(rows)}
        keys = [(place, "" if has_order[place] else name) for place, name in zip(rows, names)]
        places = sorted(range(len(names)), key=keys.__getitem__)
        self.names[first:] = [names[place] for place in places]
        self.first_rows[first:] = [rows[place] for place in places]
        return 0

    cdef int put_object(self, str name, object value, size_t row) except -1:
        """Makes one cell of a Python value."""
        cdef Column* column
        cdef bytes text
        self.row_at_hand = row
        column = &self.columns[self.column_named(name)]
        reach_row(column, row, row + 1)
        if value is None:
            column.tags[row] = CELL_NULL
        elif type(value) is bool:
            put_bool(column, row, value)
        elif type(value) is float:
            put_double(column, row, value)
        elif type(value) is int and -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
            put_int64(column, row, value)
        elif type(value) is int and 0 < value <= 0xFFFFFFFFFFFFFFFF:
            put_uint64(column, row, value)
        else:
            try:
                text = value.encode() if type(value) is str else None
            except UnicodeEncodeError:
                text = None
            if text is not None:
                put_utf8(column, row, <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text))
            else:
                try:
                    text = json.dumps(value).encode()
                except RecursionError:
                    raise_fault_at(JSON_TOO_DEEP, 0)
                put_text(column, row, CELL_JSON, <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text))
                column.type_flags |= TYPE_JSON if type(value) is not list else list_type_flags(
                    <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text)
                )
        return 0
