"""Rows that are protobuf messages whose items hold a key and a value."""

from histscan._core.cursor cimport Cursor, byte_ptr
from histscan._core.json_value cimport JsonContext
from histscan._core.key_memory cimport KeyMemory, RowShape
from histscan._core.message_items cimport ItemFields, ItemSchema


cdef class MessageRowDecoder:
    cdef JsonContext context
    cdef KeyMemory items            # item keys, as the bytes of the fields that spell them
    cdef RowShape shape
    cdef ItemSchema schema
    cdef bint busy                  # a row is being decoded

    cdef dict decode_row(self, Cursor* cursor)
    cdef dict decode_items(self, Cursor* cursor)
    cdef int decode_rest(self, Cursor* cursor, dict row, Py_ssize_t count) except -1
    cdef int decode_odd_item(self, Cursor* cursor, dict row) except -1
    cdef object item_key(self, Cursor* cursor, byte_ptr begin, byte_ptr end)
    cdef object item_key_anywhere(self, Cursor* cursor)
    cdef object odd_item_value(self, Cursor* cursor)
    cdef object typed_value(self, Cursor* cursor, const ItemFields* fields)


cdef int put_member(dict row, object key, object value) except -1
