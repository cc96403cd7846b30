"""Pages in GraphQL's JSON."""

from libc.stdint cimport uint8_t
from libcpp.vector cimport vector

from histscan._core.cursor cimport Cursor, byte_ptr
from histscan._core.json_rows cimport JsonRowDecoder
from histscan._core.page cimport Page, RowSpan


cdef class JsonPage(Page):
    cdef JsonRowDecoder decoder

    cdef int index_body_rows(self, Cursor* cursor) except -1
    cdef int read_body(self, bytes body, str field) except -1
    cdef object decode_span(self, byte_ptr data, RowSpan span)


cdef class HistoryPage(JsonPage):
    cdef vector[uint8_t] text       # the rows' texts one behind the other, out of their strings


cdef class SampledPage(JsonPage):
    pass


cdef class TextPage(JsonPage):
    cdef vector[byte_ptr] texts     # where each row's text begins, in the str or bytes that `owner` holds
