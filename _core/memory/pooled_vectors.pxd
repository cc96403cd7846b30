"""Vectors whose memory comes from the pool that they are created with; see `pooled_vectors.hpp`."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from histscan._core.memory.buffer_pool cimport BufferPool

cdef extern from "memory/pooled_vectors.hpp" namespace "histscan" nogil:
    # As std::vector.
    cdef cppclass PooledVector[Element]:
        PooledVector()
        PooledVector(BufferPool*)
        Element& operator[](size_t)
        Element* data()
        size_t size()
        void clear()
        void reserve(size_t) except +
        void resize(size_t) except +
        void push_back(const Element&) except +
        Element& emplace_back() except +
        void swap(PooledVector[Element]&)

    # The bits of a column's cells: `resize` does not initialise new elements.
    cdef cppclass CellBits:
        uint64_t& operator[](size_t)
        uint64_t* data()
        size_t size()
        size_t capacity()
        void reserve(size_t) except +
        void resize(size_t) except +
        void assign(size_t, uint64_t) except +
        void push_back(uint64_t) except +
        void swap(CellBits&)
