"""From cells to the buffers of Arrow arrays."""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from histscan._core.arrow.arrow_abi cimport ArrayBuffers
from histscan._core.columns.column_cells cimport CellTable, Column

cdef size_t shared_words(CellTable* cells, Column* column, size_t row_count, char format) noexcept nogil
cdef int fill_buffers(
    CellTable* cells, Column* column, size_t row_count, char format, char item_format, uint64_t* words,
    ArrayBuffers* out
) except -1 nogil
cdef size_t null_words(size_t row_count) noexcept nogil
cdef int fill_nulls(size_t row_count, char format, const uint64_t* zeros, ArrayBuffers* out) except -1 nogil
