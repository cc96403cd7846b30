"""Arrow arrays, read in place through the buffer protocol."""

from cpython.buffer cimport Py_buffer
from libc.stdint cimport int64_t, uint8_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

cdef extern from "series/number_view.hpp" namespace "histscan" nogil:
    cdef cppclass ValidityView:
        const uint8_t* bits
        int64_t offset
        int64_t length

    cdef cppclass NumberView:
        ValidityView validity
        const uint8_t* values
        cpp_bool is_integer


cdef class ColumnValidity:
    cdef ValidityView validity
    cdef Py_buffer bits
    cdef bint has_bits


cdef class NumberColumn(ColumnValidity):
    cdef NumberView view
    cdef Py_buffer values
    cdef bint has_values


cdef class Segments:
    cdef vector[int64_t] offsets
    cdef readonly int64_t row_count

    cdef int check(self, ColumnValidity column) except -1


cdef bytes int64_bytes(vector[int64_t]& numbers)
cdef bytes float64_bytes(vector[double]& numbers)
