"""From cells to the buffers of Arrow arrays."""

from libc.stddef cimport size_t

from histscan._core.arrow.arrow_abi cimport ArrayBuffers
from histscan._core.columns.column_cells cimport Column

cdef int fill_buffers(
    Column* column, size_t row_count, char format, char item_format, ArrayBuffers* out
) except -1 nogil
cdef int fill_nulls(size_t row_count, char format, ArrayBuffers* out) except -1 nogil
