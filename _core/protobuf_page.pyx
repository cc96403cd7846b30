"""Pages in protobuf: `RunHistoryResponse`, whose field 1 repeats `HistoryRow`."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t

from histscan._core.buffer_pool cimport shared_pool, use_pool
from histscan._core.cursor cimport Cursor, byte_ptr, open_cursor, prefetch
from histscan._core.faults cimport raise_too_deep
from histscan._core.message_items cimport PARQUET_ITEM
from histscan._core.message_rows cimport MessageRowDecoder
from histscan._core.page cimport Page, RowSpan
from histscan._core.wire cimport WIRE_BYTES, read_length, read_tag, skip_field

from histscan._core.locate import locate_item

from histscan.errors import HistoryDecodeError

use_pool(shared_pool())

cdef enum:
    ROW_TAG = 1 << 3 | WIRE_BYTES
    # How many rows ahead the index asks for.
    PREFETCHED_ROWS = 12


cdef class ProtobufPage(Page):
    """A page as wandb-core sends it.

    Args:
        data: The bytes of a ``RunHistoryResponse``.
    """

    def __init__(self, bytes data not None):
        cdef Cursor cursor
        cdef RowSpan span
        cdef uint32_t tag
        cdef byte_ptr row_end
        cdef Py_ssize_t ahead
        self.owner = data
        self.data = <const unsigned char*> PyBytes_AS_STRING(data)
        open_cursor(&cursor, self.data, PyBytes_GET_SIZE(data))
        span.has_surrogates = False
        with nogil:
            while cursor.pos < cursor.end:
                if not read_tag(&cursor, &tag):
                    break
                if tag == ROW_TAG:
                    if not read_length(&cursor, &row_end):
                        break
                    span.begin = cursor.pos - cursor.start
                    span.end = row_end - cursor.start
                    self.spans.push_back(span)
                    # Each row says where the next one is, so without a guess each would be waited for: rows are about
                    # as long as those before.
                    ahead = PREFETCHED_ROWS * (row_end - cursor.start) // <Py_ssize_t> self.spans.size()
                    if ahead < cursor.end - row_end:
                        prefetch(row_end + ahead)
                    cursor.pos = row_end
                elif not skip_field(&cursor, tag):
                    break
        if cursor.pos < cursor.end or cursor.fault:
            self.note_fault(&cursor)

    cdef object decode_row(self, Py_ssize_t index):
        cdef Cursor cursor
        cdef RowSpan span = self.spans[index]
        if self.decoder is None:
            self.decoder = MessageRowDecoder(PARQUET_ITEM)
        open_cursor(&cursor, self.data, span.end)
        cursor.pos += span.begin
        try:
            try:
                return self.decoder.decode_row(&cursor)
            except RecursionError:
                raise_too_deep(&cursor)
        except HistoryDecodeError as error:
            error.add_location(path=locate_item(self.owner[span.begin:span.end], error.byte - span.begin))
            raise

    cdef int use_decoder_of(self, Page previous) except -1:
        if self.decoder is None and isinstance(previous, ProtobufPage):
            self.decoder = (<ProtobufPage> previous).decoder
        return 0
