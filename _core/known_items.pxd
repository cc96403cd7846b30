"""The items of rows that bring known keys in whatever order, as those of Go's maps do: read in few steps, too."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

from histscan._core.column_cells cimport Column
from histscan._core.cursor cimport byte_ptr
from histscan._core.expected_items cimport ExpectedItem

cdef extern from "known_items.hpp" namespace "histscan" nogil:
    cdef cppclass KnownItems:
        void add(size_t index, const ExpectedItem& item) except +
        void leave(size_t index)

    size_t add_known_items(
        byte_ptr* next, byte_ptr end, byte_ptr start, const KnownItems& known, vector[Column]& columns, size_t row,
        int32_t* order, size_t count, cpp_bool* repeats,
    )
