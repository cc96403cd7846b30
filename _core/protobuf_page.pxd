"""Pages in protobuf: `RunHistoryResponse`."""

from histscan._core.message_rows cimport MessageRowDecoder
from histscan._core.page cimport Page


cdef class ProtobufPage(Page):
    cdef MessageRowDecoder decoder
