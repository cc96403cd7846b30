"""The str objects of protobuf strings."""

from cpython.unicode cimport PyUnicode_DecodeUTF8

from histscan._core.bytes.cursor cimport JSON_UTF8_INVALID, Cursor, byte_ptr, find_invalid_utf8, stop
from histscan._core.bytes.faults cimport raise_fault


cdef object utf8_object(Cursor* cursor, byte_ptr begin, byte_ptr end):
    """The str of UTF-8 bytes within the cursor's."""
    try:
        return PyUnicode_DecodeUTF8(<char*> begin, end - begin, NULL)
    except UnicodeDecodeError:
        stop(cursor, JSON_UTF8_INVALID, find_invalid_utf8(begin, end))
    raise_fault(cursor)
