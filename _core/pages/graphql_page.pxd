"""Pages in GraphQL's JSON."""

from libc.stdint cimport uint8_t
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.memory.text_room cimport TextRoom
from histscan._core.rows.json_rows cimport JsonRowDecoder
from histscan._core.pages.page cimport Page, RowSpan


cdef class JsonPage(Page):
    cdef JsonRowDecoder decoder

    cdef int index_body_rows(self, Cursor* cursor) except -1
    cdef int read_body(self, bytes body, str field) except -1
    cdef object decode_span(self, byte_ptr data, RowSpan span)
    cdef bytes row_text(self, Py_ssize_t index)


cdef class HistoryPage(JsonPage):
    # The texts of rows that can't be read in place, one after the other. Spans that are not quoted are offsets into it,
    # and open cursors point into it: it gets its room once, before the first of them, and is freed with the page.
    cdef TextRoom text

    cdef int take_text(self, Cursor* cursor, uint8_t** out) except -1 nogil
    cdef object decode_long_quoted(self, RowSpan span)
    cdef object decode_quoted(self, RowSpan span, uint8_t* text)


cdef class SampledPage(JsonPage):
    pass


cdef class TextPage(JsonPage):
    cdef vector[byte_ptr] texts     # where each row's text begins, in the str or bytes that `owner` holds
