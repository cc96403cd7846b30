"""Record batches as dict rows, and which of their rows belong to a range of steps."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from libcpp.vector cimport vector

from histscan._core.arrow.arrow_abi cimport ArrowArray
from histscan._core.arrow.arrow_layout cimport ArrowKind, ArrowTarget
from histscan._core.arrow.arrow_values cimport ArrowValues
from histscan._core.bytes.cursor cimport byte_ptr

cdef enum:
    PATTERN_WORDS = 8           # rows of up to 512 keys are made from templates


# All that is needed of a target to read most values.
cdef struct TargetReader:
    PyObject* key
    ArrowKind kind              # ARROW_UNKNOWN where the buffer alone does not give the value
    bint is_plain               # the validity bitmap alone shows if a row has the key
    byte_ptr validity           # NULL where no value is null
    byte_ptr values
    int64_t begin               # where in the buffers the batch's row 0 is


# A row that was not delivered yet.
cdef struct StepRow:
    int64_t step
    int64_t row


cdef class ArrowBatch(ArrowValues):
    cdef vector[TargetReader] readers   # for each of the layout's targets
    cdef vector[int64_t] target_shifts  # for each target: where the batch's row 0 is in its column
    cdef vector[int64_t] required_shifts
    cdef bint is_full                   # every row has all keys
    cdef dict gaps                      # None for all keys, where rows have None for missing ones; else None
    cdef dict templates                 # for each pattern, a row's keys with None
    cdef dict template                  # the latest of them; None before the first
    cdef uint64_t[PATTERN_WORDS] template_pattern   # which of the keys it has
    # In errors: what the batch belongs to, and how many rows of it came in batches before this one.
    cdef public str run
    cdef public str page
    cdef public Py_ssize_t first_row
    cdef public object source           # an object for the code that made the batch
    cdef public Py_ssize_t origin       # rows of batches of one origin are never taken for the same row
    cdef vector[int64_t] row_steps      # the step of each row, where it was given
    cdef bint has_row_steps
    cdef vector[StepRow] pending        # by step
    cdef size_t delivered               # how many of these were

    cdef int take_batch(self, ArrowArray* array) except -1
    cdef bint has_value(self, const ArrowTarget* target, int64_t shift, int64_t row) except -1
    cdef bint has_required(self, int64_t row) except -1
    cdef bint read_step(self, int64_t row, int64_t* step) except -1
    cdef bint has_plain_steps(self) noexcept
    cdef object decode_row(self, int64_t row)
    cdef bint put_value(self, size_t place, int64_t row, dict members) except -1
    cdef object decode_target(self, const ArrowTarget* target, int64_t shift, int64_t row)
