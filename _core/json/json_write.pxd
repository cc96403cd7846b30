"""JSON text of scalar values, which reads back as the same value."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t

from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.memory.text_room cimport TextRoom


cdef extern from "json/json_write.hpp" namespace "histscan" nogil:
    void write_int64(int64_t number, TextRoom& out) except +
    void write_uint64(uint64_t number, TextRoom& out) except +
    void write_double(double number, TextRoom& out) except +
    void write_string(byte_ptr text, size_t length, TextRoom& out) except +
    void write_literal(const char* literal, TextRoom& out) except +
