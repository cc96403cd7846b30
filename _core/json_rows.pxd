"""Rows that are JSON objects."""

from histscan._core.cursor cimport Cursor
from histscan._core.json_value cimport JsonContext
from histscan._core.key_memory cimport RowShape


cdef class JsonRowDecoder:
    cdef JsonContext context            # for rows whose bytes are UTF-8
    cdef JsonContext lenient_context    # for rows that hold surrogates, taken out of a string by its escapes
    cdef RowShape shape
    cdef bint busy                      # a row is being decoded

    cdef object decode_text(self, Cursor* cursor, bint has_surrogates)
    cdef object decode_row(self, Cursor* cursor, bint has_surrogates)
    cdef dict decode_members(self, Cursor* cursor)
    cdef dict decode_rest(self, Cursor* cursor, dict row, Py_ssize_t count)
