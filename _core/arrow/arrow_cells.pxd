"""Values in Arrow's buffers as cells of columns."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from histscan._core.memory.text_room cimport TextRoom
from histscan._core.arrow.arrow_batch cimport ArrowBatch
from histscan._core.arrow.arrow_layout cimport ArrowNode
from histscan._core.arrow.arrow_rows cimport ArrowPage
from histscan._core.arrow.arrow_values cimport ArrowColumn
from histscan._core.columns.column_cells cimport Cell, Column
from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.keys.item_selection cimport ItemSelection


# A bitmap that must have a row's bit set for the row to have the value: of the value, or of a struct that it is in.
cdef struct ValueMask:
    byte_ptr validity
    int64_t begin           # where in it the batch's row 0 is


# A column that a batch's values become.
cdef struct CellSource:
    int32_t node            # whose values
    int64_t begin           # where in the node's buffers the batch's row 0 is
    size_t first_mask       # of the masks, in `masks`
    size_t mask_count
    int32_t column          # the index of the column in the chunk; NO_COLUMN until a row has a value
    bint is_step            # becomes an integer, whatever its numeric type
    bint is_empty_struct    # stands for the structs of which every member is null


cdef class ArrowCells:
    cdef readonly bint needs_slow_path  # rows of the batch take the slow path
    cdef ArrowBatch batch
    cdef ColumnChunk chunk              # whose columns the values become
    cdef bint flatten                   # nested values become columns with dotted names, instead of JSON text
    cdef const ArrowNode* nodes         # the batch's
    cdef const ArrowColumn* columns     # the same
    cdef vector[CellSource] sources
    cdef list names                     # of the sources' columns
    cdef vector[ValueMask] masks
    cdef vector[string] member_texts    # for each node that is a struct's member, its name and a colon as JSON text

    cdef int add_key(self, str key, int32_t node, ItemSelection selection) except -1
    cdef int add_sources(self, str name, int32_t node) except -1
    cdef int add_source(self, str name, int32_t node, bint is_empty_struct) except -1
    cdef list members_named(self, int32_t node, str dotted)
    cdef bint is_json(self, int32_t node) noexcept
    cdef bint is_writable(self, int32_t node) except -1
    cdef bint has_value(self, const CellSource* source, int64_t row) noexcept nogil
    cdef Column* column_of(self, CellSource* source, str name) except NULL
    cdef int add_row(self, int64_t row, size_t place, size_t row_limit) except -1 nogil
    cdef dict texts_of(self, int64_t row)
    cdef int put_step(self, Column* column, Cell cell, int32_t node, int64_t index) except -1 nogil
    cdef int put_value(self, Column* column, Cell cell, int32_t node, int64_t index) except -1 nogil
    cdef bint find_text(self, int32_t node, int64_t index, byte_ptr* begin, byte_ptr* end) noexcept nogil
    cdef int write_value(self, int32_t node, int64_t index, TextRoom& out) except -1 nogil
    cdef int write_list(self, int32_t node, int64_t index, TextRoom& out) except -1 nogil
    cdef int write_struct(self, int32_t node, int64_t index, TextRoom& out) except -1 nogil


cdef Py_ssize_t add_arrow_rows(
    ArrowPage page, list readers, ColumnChunk chunk, ItemSelection selection, bint flatten,
    Py_ssize_t first, Py_ssize_t end,
) except -1


cdef dict arrow_texts(ArrowPage page, list readers, Py_ssize_t index)
