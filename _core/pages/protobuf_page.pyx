"""Pages in protobuf: `RunHistoryResponse`, whose field 1 repeats `HistoryRow`."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.memory.buffer_pool cimport shared_pool
from histscan._core.bytes.cursor cimport Cursor, open_cursor, prefetch
from histscan._core.bytes.faults cimport check_memory, raise_too_deep
from histscan._core.wire.item_format cimport PARQUET_ITEM
from histscan._core.rows.message_rows cimport MessageRowDecoder
from histscan._core.pages.page cimport Page, RowSpan, add_span
from histscan._core.memory.pooled_vectors cimport PooledVector

from histscan._core.rows.locate import locate_item

from histscan.errors import HistoryDecodeError

cdef enum:
    # How many rows ahead the index prefetches.
    PREFETCHED_ROWS = 12
    # How many rows the length of the others is estimated from.
    GUESSED_FROM = 8


cdef class ProtobufPage(Page):
    """A page as wandb-core sends it.

    Args:
        data: The bytes of a ``RunHistoryResponse``, or a view of them: the page does not copy them.

    Raises:
        TypeError: The bytes may change.
    """

    def __cinit__(self, data not None):
        PyObject_GetBuffer(data, &self.view, PyBUF_SIMPLE)
        if not self.view.readonly:
            raise TypeError("a page needs bytes that cannot change, such as bytes or a memoryview of them")
        self.data = <const unsigned char*> self.view.buf
        # Columns are built of rows as they are found: most pages need no index.
        self.is_indexed = False

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    cdef void open_all(self, Cursor* cursor) noexcept:
        """Points a cursor at the page's bytes, for `find_row`."""
        open_cursor(cursor, self.data, self.view.len)

    def has_logged_order(self, Py_ssize_t index):
        return False

    def guess_length(self):
        cdef Cursor cursor
        cdef RowSpan span
        cdef Py_ssize_t found = 0
        cdef Py_ssize_t guess
        if self.is_indexed:
            return len(self)
        self.open_all(&cursor)
        while found < GUESSED_FROM and find_row(&cursor, &span):
            found += 1
        if found < GUESSED_FROM:
            return found
        # Rows are about as long as the first ones; where they are somewhat shorter, there is still room for them.
        guess = found * (cursor.end - cursor.start) // (cursor.pos - cursor.start)
        return guess + guess // 8

    cdef int index(self) except -1:
        cdef CriticalSection section
        section.enter(self)
        cdef Cursor cursor
        cdef RowSpan span
        cdef Py_ssize_t ahead
        cdef PooledVector[RowSpan] spans = PooledVector[RowSpan](shared_pool())
        if self.is_indexed:
            return 0
        self.open_all(&cursor)
        with nogil:
            while find_row(&cursor, &span):
                add_span(spans, span.begin, span.end)
                # Each row says where the next one is, so without prediction each would be waited for: rows are about as
                # long as those before.
                ahead = PREFETCHED_ROWS * span.end // <Py_ssize_t> spans.size()
                if ahead < cursor.end - cursor.pos:
                    prefetch(cursor.pos + ahead)
        # Another thread may have indexed the page meanwhile.
        if not self.is_indexed:
            self.spans.swap(spans)
            if cursor.fault:
                self.note_fault(&cursor)
            self.is_indexed = True
        return 0

    cdef object decode_row(self, Py_ssize_t index):
        cdef CriticalSection section
        section.enter(self)
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
            check_memory(error)
            error.add_location(path=locate_item(self.data[span.begin:span.end], error.byte - span.begin))
            raise

    cdef int use_decoder_of(self, Page previous) except -1:
        cdef CriticalSection section
        if self.decoder is None and isinstance(previous, ProtobufPage):
            section.enter(previous)
            self.decoder = (<ProtobufPage> previous).decoder
        return 0
