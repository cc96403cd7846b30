"""Chunks as an Arrow stream."""

from libcpp.vector cimport vector

from histscan._core.arrow.arrow_abi cimport ArrowArray, ArrowSchema
from histscan._core.columns.column_chunk cimport ColumnChunk


cdef class ArrowStream:
    cdef dict columns               # each column's format by its name, as `column_types.merge_columns` gives them
    cdef vector[char] formats       # the first character of each, `j` for JSON text
    cdef vector[char] item_formats  # the last character: of a list, its items' format
    cdef object chunks              # the iterator of chunks still to come
    cdef object latest_error        # `error`
    cdef bytes last_error           # its text, as `get_last_error` returns it

    cdef int note_error(self, object error) except -1
    cdef int export_schema(self, ArrowSchema* out) except -1
    cdef int export_chunk(self, ColumnChunk chunk, ArrowArray* out) except -1
