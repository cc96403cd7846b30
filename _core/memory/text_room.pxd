"""Room for text; see `text_room.hpp`."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

cdef extern from "memory/text_room.hpp" namespace "histscan" nogil:
    # Bytes that are written once: `resize` does not initialise them.
    cdef cppclass TextRoom:
        uint8_t* data()
        size_t size()
        bint empty()
        void clear()
        void resize(size_t) except +
        void push_back(uint8_t) except +
        void append(const uint8_t* bytes, size_t count) except +
        void swap(TextRoom&)
        # Makes room for bytes after the last one, and returns where they begin; `add` says how many were written.
        uint8_t* make_room(size_t count) except +
        void add(size_t count)
