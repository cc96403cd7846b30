"""The one pool of memory that columns are made of; see `buffer_pool.hpp`."""

from libc.stddef cimport size_t

cdef extern from "memory/buffer_pool.hpp" namespace "histscan" nogil:
    const size_t POOL_CAPACITY "histscan::pool_capacity"

    cdef cppclass BufferPool:
        BufferPool() except +
        size_t size()

    # Memory from the pool, or of its own; and its release, for which the size must be the same.
    void* take_buffer(BufferPool* pool, size_t size) except +
    void give_buffer(BufferPool* pool, void* buffer, size_t size)


cdef BufferPool* shared_pool() noexcept nogil
