"""Pages in protobuf: `RunHistoryResponse`."""

from libc.stdint cimport uint32_t

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.rows.message_rows cimport MessageRowDecoder
from histscan._core.pages.page cimport Page, RowSpan
from histscan._core.wire.wire cimport WIRE_BYTES, read_length, read_tag, skip_field

cdef enum:
    ROW_TAG = 1 << 3 | WIRE_BYTES


cdef inline bint find_row(Cursor* cursor, RowSpan* span) noexcept nogil:
    """Finds the next row of a page whose bytes the cursor starts with, and skips it.

    Returns False at the end of the page, and where a fault ends it early.
    """
    cdef uint32_t tag
    cdef byte_ptr row_end
    while cursor.pos < cursor.end:
        if not read_tag(cursor, &tag):
            return False
        if tag == ROW_TAG:
            if not read_length(cursor, &row_end):
                return False
            span.begin = cursor.pos - cursor.start
            span.end = row_end - cursor.start
            span.needs_slow_path = False
            span.is_quoted = False
            cursor.pos = row_end
            return True
        if not skip_field(cursor, tag):
            return False
    return False


cdef class ProtobufPage(Page):
    cdef Py_buffer view         # of the page's bytes, which it keeps alive
    cdef MessageRowDecoder decoder

    cdef void open_all(self, Cursor* cursor) noexcept
