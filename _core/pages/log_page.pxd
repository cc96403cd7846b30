"""Pages of a `.wandb` log: the records that end within one window of the file."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.keys.item_selection cimport ItemSelection
from histscan._core.rows.message_rows cimport MessageRowDecoder
from histscan._core.pages.page cimport Page, RowSpan


# The numbers of the Record fields that readers keep by default.
cdef enum RecordField:
    HISTORY_RECORD = 2
    SUMMARY_RECORD = 3
    CONFIG_RECORD = 5
    RUN_RECORD = 17
    EXIT_RECORD = 18


# A record that is not a row.
cdef struct OtherRecord:
    uint32_t field
    RowSpan span


cdef class LogPage(Page):
    cdef Py_ssize_t window_length   # spans that begin here or later are in `joined`, as if it followed the window
    cdef vector[uint8_t] joined     # records that came in several chunks, and rows that were assigned a step
    cdef vector[int64_t] offsets    # for each row, the file offset of the chunk that its record begins in
    cdef vector[int64_t] places     # for each row, the file offset of its bytes; -1 where they came in several chunks
    cdef vector[int64_t] steps      # for each row, its step; UNKNOWN_STEP where the row is malformed
    cdef vector[OtherRecord] others
    cdef int64_t fault_offset       # where in the file the fault is
    cdef MessageRowDecoder decoder
    cdef ItemSelection selection    # the requested keys; None for all

    cdef object decode_span(self, Py_ssize_t index, ItemSelection selection)
    cdef int keep_rows(self, const vector[size_t]& kept) except -1
    cdef int raise_if_stepless(self, byte_ptr data, Py_ssize_t length) except -1
    cdef void keep_row(self, size_t index, size_t place) noexcept nogil
    cdef int resize_rows(self, size_t count) except -1 nogil
    cdef int copy_with_step(self, RowSpan* span, int64_t step) except -1 nogil
    cdef byte_ptr span_data(self, Py_ssize_t begin) noexcept nogil
