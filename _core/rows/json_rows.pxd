"""Rows that are JSON objects."""

from libc.stdint cimport uint8_t
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport Cursor
from histscan._core.rows.dict_rows cimport RowDecoder
from histscan._core.json.json_value cimport JsonContext


cdef class JsonRowDecoder(RowDecoder):
    cdef JsonContext lenient_context    # for rows with surrogates, from escapes of the enclosing string
    cdef vector[uint8_t] unquoted       # the rest of a row within a string, from its first container on

    cdef dict decode_quoted(self, Cursor* cursor)
    cdef object decode_text(self, Cursor* cursor, bint has_surrogates)
    cdef object decode_row(self, Cursor* cursor, bint has_surrogates)
    cdef dict decode_members(self, Cursor* cursor, bint is_quoted)
