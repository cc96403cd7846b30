"""Pages: raw bytes and where their rows are."""

from histscan._core.bytes.cursor cimport Cursor, Fault
from histscan._core.memory.pooled_vectors cimport PooledVector


# Where a row's bytes are, as offsets from the start of the page's bytes.
cdef struct RowSpan:
    Py_ssize_t begin
    Py_ssize_t end
    bint needs_slow_path    # the row's text has lone surrogates, or can't be read on the fast path for another reason
    bint is_quoted          # of JSON pages only: the text is in a string as `json_quoted` reads it, then a quote


cdef inline int add_span(
    PooledVector[RowSpan]& spans, Py_ssize_t begin, Py_ssize_t end, bint needs_slow_path=False, bint is_quoted=False
) except -1 nogil:
    """Appends a span. It is written in its place: to copy one that was just written waits until it is in the cache."""
    cdef RowSpan* span = &spans.emplace_back()
    span.begin = begin
    span.end = end
    span.needs_slow_path = needs_slow_path
    span.is_quoted = is_quoted
    return 0


cdef class Page:
    cdef object owner           # keeps the bytes alive that the spans point into
    cdef const unsigned char* data
    cdef PooledVector[RowSpan] spans
    cdef bint is_indexed        # the spans are those of all rows; until then, `index` finds them
    cdef Fault fault            # what ended the index early; every row before it is there
    cdef Py_ssize_t fault_byte  # where, as an offset into the page
    cdef object page_label      # `label`

    cdef object located_row(self, Py_ssize_t index)
    cdef object decode_row(self, Py_ssize_t index)
    cdef object decode_whole_row(self, Py_ssize_t index)
    cdef int index(self) except -1
    cdef void open_span(self, RowSpan span, Cursor* cursor) noexcept nogil
    cdef void open_row(self, size_t index, Cursor* cursor) noexcept nogil
    cdef int use_decoder_of(self, Page previous) except -1
    cdef int note_fault(self, const Cursor* cursor) except -1
    cdef int raise_if_faulty(self) except -1
