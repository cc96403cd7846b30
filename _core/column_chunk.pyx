"""Columns of some consecutive rows, and the cells of values that are Python objects already."""

import json

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from histscan._core.column_cells cimport (
    CELL_FALSE, CELL_FLOAT64, CELL_INT64, CELL_JSON, CELL_NULL, CELL_TEXT, CELL_TRUE, CELL_UINT64, FACT_BOOL,
    FACT_FLOAT64, FACT_INT64, FACT_JSON, FACT_NEGATIVE, FACT_NUMBER_TEXT, FACT_TEXT, FACT_UINT64, FACT_WIDE_INT64,
    Column, fits_double, is_number_text, list_facts, put_text, reach_row,
)
from histscan._core.cursor cimport JSON_TOO_DEEP, byte_ptr
from histscan._core.faults cimport raise_fault_at


cdef class ColumnChunk:
    """Columns of some consecutive rows of a scan."""

    def __cinit__(self):
        self.names = []
        self.index_of = {}

    def __len__(self):
        return self.row_count

    def facts(self):
        """What was seen in each column.

        Returns:
            A bit set of `ColumnFact` for each of ``names``; see ``histscan._core.column_types``.
        """
        return [self.columns[index].facts for index in range(len(self.names))]

    cdef int clear_row(self, size_t row) except -1:
        """Takes back the cells of a row that was not finished."""
        cdef size_t index
        for index in range(self.columns.size()):
            if row < self.columns[index].tags.size():
                self.columns[index].tags[row] = CELL_NULL
        return 0

    cdef int32_t column_named(self, str name) except -2:
        """The index of a column, which is made if there is none of the name."""
        cdef int32_t index
        cdef object known = self.index_of.get(name)
        if known is not None:
            return known
        index = <int32_t> self.columns.size()
        self.columns.resize(index + 1)
        self.columns[index].facts = 0
        self.names.append(name)
        self.index_of[name] = index
        return index

    cdef int put_object(self, str name, object value, size_t row) except -1:
        """Makes one cell of a Python value."""
        cdef Column* column = &self.columns[self.column_named(name)]
        cdef double number
        cdef bytes text
        reach_row(column, row, row + 1)
        if value is None:
            column.tags[row] = CELL_NULL
        elif type(value) is bool:
            column.tags[row] = CELL_TRUE if value else CELL_FALSE
            column.facts |= FACT_BOOL
        elif type(value) is float:
            number = value
            memcpy(&column.bits[row], &number, sizeof(double))
            column.tags[row] = CELL_FLOAT64
            column.facts |= FACT_FLOAT64
        elif type(value) is int and -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
            column.bits[row] = <uint64_t> <int64_t> value
            column.tags[row] = CELL_INT64
            column.facts |= FACT_INT64 if fits_double(value) else FACT_WIDE_INT64
            if value < 0:
                column.facts |= FACT_NEGATIVE
        elif type(value) is int and 0 < value <= 0xFFFFFFFFFFFFFFFF:
            column.bits[row] = <uint64_t> value
            column.tags[row] = CELL_UINT64
            column.facts |= FACT_UINT64
        else:
            try:
                text = value.encode() if type(value) is str else None
            except UnicodeEncodeError:
                text = None
            if text is not None:
                put_text(column, row, CELL_TEXT, <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text))
                column.facts |= FACT_NUMBER_TEXT if is_number_text(
                    <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text)
                ) else FACT_TEXT
            else:
                try:
                    text = json.dumps(value).encode()
                except RecursionError:
                    raise_fault_at(JSON_TOO_DEEP, 0)
                put_text(column, row, CELL_JSON, <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text))
                column.facts |= FACT_JSON if type(value) is not list else list_facts(
                    <byte_ptr> <char*> text, <byte_ptr> <char*> text + len(text)
                )
        return 0
