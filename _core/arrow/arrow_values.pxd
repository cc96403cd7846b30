"""Single values out of the buffers of Arrow arrays that were imported through the C data interface."""

from libc.stdint cimport int32_t, int64_t
from libcpp.vector cimport vector

from histscan._core.arrow.arrow_abi cimport ArrowArray
from histscan._core.arrow.arrow_layout cimport ArrowLayout, ArrowNode
from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.json.json_value cimport JsonContext

cdef extern from "arrow/arrow_values.hpp" namespace "histscan" nogil:
    bint bit_at(byte_ptr buffer, int64_t index)
    int64_t load_int64 "histscan::load_value<int64_t>" (byte_ptr buffer, int64_t index)
    double load_double "histscan::load_value<double>" (byte_ptr buffer, int64_t index)


# The buffers of a node. Arrow says where they begin, but not where they end: only what they say of each other can be
# checked.
cdef struct ArrowColumn:
    const ArrowArray* array
    byte_ptr validity           # NULL where no value is null
    byte_ptr values             # of fixed-width types: the values; of text and lists: the offsets
    byte_ptr text
    int64_t offset              # of the array's first value in its buffers
    int64_t length
    int64_t first_end           # of text and lists: the first and the last offset
    int64_t last_end


cdef class ArrowValues:
    cdef ArrowArray array               # imported; released with this object
    cdef readonly ArrowLayout layout
    cdef vector[ArrowColumn] columns    # for each of the layout's nodes
    cdef JsonContext context
    cdef dict dictionaries              # for each node with a dictionary of text: the strings made of it so far

    cdef int take_array(self, ArrowArray* array) except -1
    cdef int read_arrays(self) except -1
    cdef int read_array(self, int32_t node, const ArrowArray* array, int64_t needed) except -1
    cdef str path_of(self, int32_t node)
    cdef int64_t shift_of(self, int32_t node) noexcept
    cdef bint is_null(self, int32_t place, int64_t index) noexcept nogil
    cdef int64_t read_integer(self, int32_t node, int64_t index) noexcept nogil
    cdef double read_float(self, int32_t node, int64_t index) noexcept nogil
    cdef int64_t read_time(self, int32_t place, int64_t index) noexcept nogil
    cdef size_t write_time(self, int32_t place, int64_t index, char* text) noexcept nogil
    cdef bint find_extent(self, int32_t place, int64_t index, int64_t* begin, int64_t* end) noexcept nogil
    cdef object decode_value(self, int32_t place, int64_t index)
    cdef object decode_item(self, int32_t node, int64_t index)
    cdef object decode_time(self, int32_t place, int64_t index)
    cdef object decode_extent(self, int32_t place, int64_t index)
    cdef object decode_dictionary(self, int32_t place, int64_t index)
    cdef dict decode_struct(self, int32_t place, int64_t index)
    cdef list decode_list(self, int32_t node, int64_t begin, int64_t end)
