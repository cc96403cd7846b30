"""Rows of Python objects as cells."""

from histscan._core.column_chunk cimport ColumnChunk
from histscan._core.item_selection cimport ItemSelection


cdef int add_object_row(ColumnChunk chunk, ItemSelection selection, bint flatten, object row) except -1
