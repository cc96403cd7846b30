"""The one pool of memory that columns are made of; see `buffer_pool.hpp`."""

from libc.stddef cimport size_t

cdef extern from "memory/buffer_pool.hpp" namespace "histscan" nogil:
    const size_t POOL_CAPACITY "histscan::pool_capacity"

    cdef cppclass BufferPool:
        BufferPool() except +
        size_t size()


cdef BufferPool* shared_pool() noexcept nogil
