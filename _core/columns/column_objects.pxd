"""Rows of Python objects as cells."""

from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.keys.item_selection cimport ItemSelection


cdef int add_object_row(ColumnChunk chunk, ItemSelection selection, bint flatten, object row, dict texts) except -1
