"""The one pool of memory that columns are made of."""

# Never freed: consumers may give buffers back as long as there is a process.
cdef BufferPool* pool = new BufferPool()


cdef BufferPool* shared_pool() noexcept:
    """The pool that all modules share."""
    return pool


def spare_bytes():
    """How much memory is kept for columns to come.

    Returns:
        Bytes; 64 MiB at most.
    """
    return pool.size()
