"""The one pool of memory that columns are made of."""

# Never freed: consumers may release buffers until the process ends.
cdef BufferPool* pool = new BufferPool()


cdef BufferPool* shared_pool() noexcept nogil:
    """The pool that all modules share."""
    return pool


def spare_bytes():
    """Return how much memory is kept for later columns.

    Returns:
        Bytes; 64 MiB at most.
    """
    return pool.size()
