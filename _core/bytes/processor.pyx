"""The processor as the core uses it."""


cdef extern from "bytes/vectors.hpp" namespace "histscan" nogil:
    const char* vectors_in_use()


def vector_instructions():
    """Names the vector instructions that the core uses in this process.

    Returns:
        ``"AVX-512"``, ``"AVX2"``, ``"SSE2"``, ``"NEON"``, or ``"none"`` for plain C++.
    """
    return vectors_in_use().decode("ascii")
