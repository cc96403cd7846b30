"""The vector that the bits of a column's cells are in."""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

cdef extern from "cell_bits.hpp" namespace "histscan" nogil:
    # As std::vector; but what `resize` adds has no value yet.
    cdef cppclass CellBits:
        uint64_t& operator[](size_t)
        size_t size()
        size_t capacity()
        void reserve(size_t) except +
        void resize(size_t) except +
        void assign(size_t, uint64_t) except +
        void push_back(uint64_t) except +
        void swap(CellBits&)
