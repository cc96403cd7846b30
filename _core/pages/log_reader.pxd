"""From the bytes of a `.wandb` log to its records."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport Fault, byte_ptr
from histscan._core.pages.log_page cimport LogPage


cdef class LogReader:
    cdef readonly int64_t offset        # file offset of the next window
    cdef int64_t window_offset          # file offset of the bytes being read; before `offset` where some were held back
    cdef readonly int64_t block_shift   # file offset of the first block: 0, or 7 in logs of wandb-core before 0.17.6
    cdef bytes held                     # bytes of earlier windows that were not read yet: less than two blocks
    cdef readonly int64_t last_step     # step of the latest row
    cdef readonly bint is_ascending     # no row has a lower step than the one before
    cdef readonly int64_t odd_steps     # rows whose `_step` is not a whole number
    cdef int64_t odd_step_offset        # file offset of the first of them
    cdef readonly bint skip_corrupt     # continue at the next block after corrupt chunks, instead of stopping
    cdef uint64_t kept                  # bit n: records of field n of `Record` are kept
    cdef readonly bint is_finished      # the last window was read, or the log was corrupt
    cdef bint is_broken                 # a window was read in part: an error ended it
    cdef int64_t truncated              # file offset where the file ends within a record; -1 if it does not
    cdef vector[int64_t] corrupt        # file offsets of the corrupt chunks that were skipped
    cdef vector[uint8_t] partial        # the chunks so far of a record whose last one has yet to come
    cdef bint in_record                 # there is such a record
    cdef bint resyncing                 # chunks in the middle of a record belong to one lost to corruption
    cdef int64_t zeros_offset           # file offset where zeros began that may be the file's tail; -1 if none did
    cdef int64_t record_offset          # file offset of that record's first chunk

    # These grow vectors, which may run out of memory: a lost record must not go unnoticed.
    cdef Py_ssize_t read_block(self, LogPage page, Py_ssize_t pos, Py_ssize_t block_end) except -2 nogil
    cdef bint add_record(self, LogPage page, Py_ssize_t begin, Py_ssize_t end, int64_t offset) except -1 nogil
    cdef int add_row(self, LogPage page, Py_ssize_t begin, Py_ssize_t end, int64_t offset) except -1 nogil
    cdef Py_ssize_t stop_at(self, LogPage page, Fault fault, Py_ssize_t pos, Py_ssize_t block_end) except -2 nogil
