"""Keys by the very bytes they are spelt in: the one table of them."""

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t

from histscan._core.cursor cimport byte_ptr

cdef extern from "bytes.hpp" namespace "histscan" nogil:
    cdef struct Prefix32:
        pass

    # What a member begins with whose key is spelt so: of JSON, where a member begins with its key.
    Prefix32 prefix_of(byte_ptr text, size_t length)

cdef extern from "key_table.hpp" namespace "histscan" nogil:
    const int32_t UNKNOWN_KEY "histscan::unknown_key"

    cdef cppclass KeyTable:
        size_t size()
        # The index of the key spelt as `length` bytes, or UNKNOWN_KEY; `end` is where readable bytes end.
        int32_t find(byte_ptr text, ptrdiff_t length, byte_ptr end)
        # Adds a key that `find` did not find, and copies its text; returns its index, or UNKNOWN_KEY if there is no
        # room.
        int32_t add(byte_ptr text, ptrdiff_t length, const Prefix32& prefix) except +
