"""Pages whose rows lie in Arrow's record batches."""

from histscan._core.pages.page cimport Page


cdef class ArrowPage(Page):
    cdef readonly object last_step  # the highest step of its rows; None without rows, or if `take_rows` did not set it
    cdef list sources               # a span's `end` is the index of the row's batch, its `begin` that of the row in it

    cdef int add_row(self, Py_ssize_t batch, Py_ssize_t row) except -1
    cdef bint repeats_row(self, size_t first, Py_ssize_t batch, Py_ssize_t row) except -1
