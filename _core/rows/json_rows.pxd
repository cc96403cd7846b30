"""Rows that are JSON objects."""

from histscan._core.bytes.cursor cimport Cursor
from histscan._core.rows.dict_rows cimport RowDecoder
from histscan._core.json.json_value cimport JsonContext


cdef class JsonRowDecoder(RowDecoder):
    cdef JsonContext lenient_context    # for rows with surrogates, from escapes of the enclosing string

    cdef object decode_text(self, Cursor* cursor, bint has_surrogates)
    cdef object decode_row(self, Cursor* cursor, bint has_surrogates)
    cdef dict decode_members(self, Cursor* cursor)
