"""Bytes in memory from the pool: windows of files, which are read one after the other."""

from cpython.buffer cimport PyBuffer_FillInfo

from histscan._core.memory.buffer_pool cimport give_buffer, shared_pool, take_buffer


cdef class PooledBytes:
    """Memory that a file is read into. Others see it through Python's buffer protocol, and keep it alive.

    The C library may return freed memory of this size to the system, which clears every page of it for the next window:
    that takes longer than copying the window from the system's cache.

    Args:
        size: Bytes. They have any value: the caller must not read what was not written before, and must not write to
            them once a page refers to them.
    """

    cdef void* data
    cdef size_t size

    def __cinit__(self, size_t size):
        self.data = take_buffer(shared_pool(), size)
        self.size = size

    def __dealloc__(self):
        if self.data != NULL:
            give_buffer(shared_pool(), self.data, self.size)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, <Py_ssize_t> self.size, False, flags)
