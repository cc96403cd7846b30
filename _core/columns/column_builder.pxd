"""From pages to columns of cells."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t
from libcpp.vector cimport vector

from histscan._core.columns.cell_sink cimport CellRow
from histscan._core.columns.column_cells cimport CellTable
from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.columns.column_keys cimport ColumnKeys, KnownKeys
from histscan._core.bytes.cursor cimport Cursor
from histscan._core.wire.item_format cimport ItemSchema
from histscan._core.keys.item_selection cimport ItemSelection
from histscan._core.columns.nested_items cimport NestedItem
from histscan._core.memory.text_room cimport TextRoom
from histscan._core.pages.page cimport Page, RowSpan


# A row while it is read. It points at what belongs to the builder, for reading without the GIL.
cdef struct RowContext:
    PyObject* builder
    CellTable* cells
    vector[NestedItem]* nested      # the row's nested items
    vector[uint8_t]* unquoted       # the row's text from the first value on that is a container
    TextRoom* text                  # of the string at hand, with its escapes decoded
    size_t row
    ItemSchema schema
    bint flatten
    bint notes_nulls


cdef class ColumnBuilder:
    cdef readonly bint flatten          # nested values become columns with dotted names, instead of JSON text
    cdef bint notes_nulls               # rows whose value is null are noted, for statistics
    cdef size_t expected_rows           # at least how many rows the chunk will have; 0 if unknown
    cdef ItemSelection selection        # the requested keys; None for all
    cdef ColumnChunk chunk              # what is being built
    cdef ColumnKeys keys                # of the chunk's rows
    cdef vector[NestedItem] nested      # of the row at hand: the nested items
    cdef vector[uint8_t] unquoted       # of the row at hand: its text from the first value on that is a container
    cdef TextRoom text                  # of the string at hand, with its escapes decoded
    cdef bint busy                      # a thread is using the builder; set by `claim`

    cdef int start_chunk(self) except -1
    cdef int claim(self) except -1
    cdef void open_items(self, RowContext* context, CellRow* cells, ItemSchema schema) noexcept nogil
    cdef void open_members(self, RowContext* context, CellRow* cells) noexcept nogil
    cdef void open_cells(self, RowContext* context, CellRow* cells, KnownKeys* keys) noexcept nogil
    cdef int add_item_rows(
        self, Page page, const RowSpan* spans, size_t count, ItemSchema schema, size_t* row, size_t row_limit
    ) except -1 nogil
    cdef int add_slow_row(self, Page page, Py_ssize_t index, list readers) except -1
    cdef Py_ssize_t add_plain_rows(self, Page page, Py_ssize_t first, Py_ssize_t end) except -1
    cdef tuple add_found_pages(self, tuple pages, size_t limit)
    cdef int find_and_add_rows(self, Cursor* rest, size_t* row_count, size_t stop) except -1 nogil
