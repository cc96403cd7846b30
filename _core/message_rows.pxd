"""Rows that are protobuf messages whose items hold a key and a value."""

from libc.stdint cimport uint32_t

from histscan._core.cursor cimport Cursor, byte_ptr
from histscan._core.json_value cimport JsonContext
from histscan._core.key_memory cimport KeyMemory, RowShape


# The messages that hold items, and where: both have the item's key in field 1 and its JSON in field 16.
cdef enum ItemSchema:
    PARQUET_ITEM    # ParquetHistoryItem: key 1, value_json 16
    RECORD_ITEM     # HistoryItem: key 1, repeated nested_key 2, typed values 3 to 8, value_json 16


# What the fields of one item said; of a field given more than once, the last.
cdef struct ItemFields:
    byte_ptr key_begin      # field 1, NULL if absent
    byte_ptr key_end
    byte_ptr json_begin     # field 16, NULL if absent
    byte_ptr json_end
    uint32_t typed_field    # the typed value given last, 3 to 8; 0 if there is none
    byte_ptr typed_begin    # its payload
    byte_ptr typed_end


cdef class MessageRowDecoder:
    cdef JsonContext context
    cdef KeyMemory items            # item keys, as the bytes of the fields that spell them
    cdef RowShape shape
    cdef ItemSchema schema

    cdef dict decode_row(self, Cursor* cursor)
    cdef int decode_rest(self, Cursor* cursor, dict row, Py_ssize_t count) except -1
    cdef int decode_item(self, Cursor* cursor, dict row, Py_ssize_t position, bint* repeats) except -1
    cdef int decode_odd_item(self, Cursor* cursor, dict row) except -1
    cdef object item_key(self, Cursor* cursor, byte_ptr begin, byte_ptr end)
    cdef object odd_item_key(self, Cursor* cursor, byte_ptr begin, const ItemFields* fields)
    cdef object typed_value(self, Cursor* cursor, const ItemFields* fields)
