"""Columns of some consecutive rows, and the cells of values that are Python objects already."""

import json

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint32_t

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.memory.buffer_pool cimport shared_pool
from histscan._core.columns.column_cells cimport (
    CELL_JSON, CELL_NULL, TYPE_JSON, Cell, Column, SparseCell, cell_type_flags, list_type_flags, put_bool, put_double,
    put_int64, put_text, put_uint64, put_utf8,
)
from histscan._core.bytes.cursor cimport JSON_TOO_DEEP, byte_ptr
from histscan._core.bytes.faults cimport raise_fault_at


cdef enum:
    # A chunk is ended when the text of one of its columns has grown to this: Arrow's offsets are 32 bits wide.
    TEXT_LIMIT = 1 << 29
    # With so many columns, it is also ended when it has so many cells, of 9 bytes each, and 24 in sparse columns, or
    # when Arrow's arrays, which are never sparse, would have so many values of 8 bytes.
    MANY_COLUMNS = 4_096
    CELL_LIMIT = 1 << 25
    ARRAY_LIMIT = 1 << 27


cdef class ColumnChunk:
    """Columns of some consecutive rows of a scan."""

    def __cinit__(self):
        self.names = []
        self.index_of = {}

    def __len__(self):
        return self.row_count

    def type_flags(self):
        """What was seen in each column.

        Returns:
            A bit set of `TypeFlag` for each of ``names``; see ``histscan._core.columns.column_types``.
        """
        # A loop, here and elsewhere in the core: where a list can't grow, a comprehension of Cython 3.3 releases the
        # item twice.
        cdef list found = []
        for name in self.names:
            found.append(self.cells.columns[<int32_t> self.index_of[name]].type_flags)
        return found

    def value_counts(self):
        """Count the values of each column.

        Returns:
            The number of rows that have one, for each of ``names``; null is none.
        """
        cdef size_t row_count = <size_t> self.row_count
        cdef list found = []
        for name in self.names:
            found.append(self.cells.count_values(self.cells.columns[<int32_t> self.index_of[name]], row_count))
        return found

    cdef bint is_full(self) noexcept nogil:
        """Returns True if there are so many cells, or a column has so much text, that the chunk should end."""
        cdef size_t count = self.cells.columns.size()
        cdef size_t index
        if count >= MANY_COLUMNS and (
            self.cells.cell_count() >= CELL_LIMIT or <size_t> self.row_count * count >= ARRAY_LIMIT
        ):
            return True
        for index in range(count):
            if self.cells.columns[index].text.size() >= TEXT_LIMIT:
                return True
        return False

    cdef int complete(self) except -1 nogil:
        """Gives every column a cell for each row, and marks which are null; no row may be added afterwards."""
        cdef size_t index
        self.cells.complete(<size_t> self.row_count)
        if self.has_refused_row:
            for index in range(self.cells.columns.size()):
                self.renew_type_flags(&self.cells.columns[index])
        return 0

    cdef void renew_type_flags(self, Column* column) noexcept nogil:
        """Makes the type flags those of the cells, which no longer include those of a row that was refused."""
        cdef uint32_t type_flags = 0
        cdef const SparseCell* sparse
        cdef size_t row
        if column.is_dense:
            for row in range(<size_t> self.row_count):
                type_flags |= cell_type_flags(column, column.tags[row], column.bits[row])
        else:
            sparse = self.cells.sparse_begin(column[0])
            while sparse < self.cells.sparse_end(column[0]):
                type_flags |= cell_type_flags(column, sparse.tag, sparse.bits)
                sparse += 1
        column.type_flags = type_flags

    cdef int use_up(self) except -1:
        """Marks the columns' buffers as exported; raises if they already are."""
        cdef CriticalSection section
        section.enter(self)
        if self.is_used_up:
            raise RuntimeError("the columns of this chunk have already been exported")
        self.is_used_up = True
        return 0

    cdef int32_t column_named(self, str name) except -2:
        """The index of a column, which is created if it is missing."""
        cdef int32_t index
        cdef object known = self.index_of.get(name)
        if known is not None:
            return known
        index = <int32_t> self.cells.columns.size()
        self.first_rows.push_back(self.row_at_hand)
        try:
            self.cells.add_column(shared_pool())
            try:
                self.index_of[name] = index
                self.names.append(name)
            except BaseException:
                self.index_of.pop(name, None)
                self.cells.remove_last_column()
                raise
        except BaseException:
            self.first_rows.pop_back()
            raise
        return index

    cdef Py_ssize_t first_name_since(self, size_t row) except -1:
        """The index of the first of `names` that appeared in a row or later; requested ones appear before all rows."""
        cdef Py_ssize_t index = len(self.names)
        while index > self.requested and self.first_rows[index - 1] >= row:
            index -= 1
        return index

    cdef int sort_names_since(self, size_t row, object page, Py_ssize_t ahead) except -1:
        """Sorts the names that first appeared in a row of a page, unless the row has the order in which it was logged.

        Rows before `row` are not looked at. The index of a row in the page is that in the chunk and `ahead`.
        """
        cdef Py_ssize_t first = self.first_name_since(row)
        cdef list places, names
        cdef list rows = []
        cdef list keys = []
        cdef dict has_order = {}
        cdef Py_ssize_t index
        if first == len(self.names):
            return 0
        names = self.names[first:]
        for index in range(len(names)):
            row = self.first_rows[first + index]
            if row not in has_order:
                has_order[row] = page.has_logged_order(<Py_ssize_t> row + ahead)
            rows.append(row)
            keys.append((row, "" if has_order[row] else names[index]))
        places = sorted(range(len(names)), key=keys.__getitem__)
        for index in range(len(places)):
            self.names[first + index] = names[<Py_ssize_t> places[index]]
            self.first_rows[first + index] = rows[<Py_ssize_t> places[index]]
        return 0

    cdef int put_object(self, str name, object value, bytes text, size_t row) except -1:
        """Makes one cell of a Python value; of a nested one with its JSON text, if that is not None."""
        cdef Column* column
        cdef Cell cell
        cdef bint is_nested = type(value) is dict or type(value) is list
        self.row_at_hand = row
        column = &self.cells.columns[self.column_named(name)]
        cell = self.cells.cell(column[0], row, row + 1)
        if value is None:
            cell.tag[0] = CELL_NULL
            if self.notes_nulls:
                column.null_rows.push_back(row)
        elif type(value) is bool:
            put_bool(column, cell, value)
        elif type(value) is float:
            put_double(column, cell, value)
        elif type(value) is int and -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
            put_int64(column, cell, value)
        elif type(value) is int and 0 < value <= 0xFFFFFFFFFFFFFFFF:
            put_uint64(column, cell, value)
        else:
            if not is_nested:
                try:
                    text = value.encode() if type(value) is str else None
                except UnicodeEncodeError:
                    text = None
            if text is not None and not is_nested:
                put_utf8(column, cell, <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text))
            else:
                if text is None:
                    text = json_text(value)
                put_text(column, cell, CELL_JSON, <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text))
                column.type_flags |= TYPE_JSON if type(value) is not list else list_type_flags(
                    <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text)
                )
        return 0


cdef bytes json_text(object value):
    """A value as JSON text; where it has surrogates, which are no UTF-8, all that is not ASCII is escaped."""
    cdef bytes text = None
    try:
        try:
            text = json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            pass
        if text is None:
            text = json.dumps(value).encode()
    except RecursionError:
        raise_fault_at(JSON_TOO_DEEP, 0)
    return text
