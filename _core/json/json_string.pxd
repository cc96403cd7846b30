"""JSON strings: escapes to UTF-8 without the GIL; and the str objects of protobuf strings."""

from libc.stdint cimport uint8_t
from libcpp cimport bool as cpp_bool

from histscan._core.bytes.cursor cimport Cursor, byte_ptr


cdef extern from "json/string_text.hpp" namespace "histscan" nogil:
    # The room for the text of a string, beyond as many bytes as its encoded form has.
    const int string_room

    int escaped_unit(byte_ptr pos, byte_ptr end)
    uint8_t* unescape_string(Cursor* cursor, uint8_t* out, cpp_bool* has_surrogates)


cdef object utf8_object(Cursor* cursor, byte_ptr begin, byte_ptr end)
