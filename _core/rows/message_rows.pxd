"""Rows that are protobuf messages whose items hold a key and a value."""

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.rows.dict_rows cimport RowDecoder
from histscan._core.wire.item_format cimport ItemFields, ItemSchema
from histscan._core.keys.key_objects cimport KeyObjects


cdef class MessageRowDecoder(RowDecoder):
    cdef KeyObjects items           # item keys, as the bytes of the fields that spell them
    cdef ItemSchema schema

    cdef dict decode_row(self, Cursor* cursor)
    cdef dict decode_items(self, Cursor* cursor)
    cdef object item_key(self, Cursor* cursor, byte_ptr begin, byte_ptr end)
    cdef object item_key_anywhere(self, Cursor* cursor)
    cdef object odd_item_value(self, Cursor* cursor)
    cdef object typed_value(self, Cursor* cursor, const ItemFields* fields)


cdef int put_member(dict row, object key, object value) except -1
