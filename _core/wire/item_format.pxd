"""The items of a row that is a protobuf message: key fields, then a value. Read without the GIL."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.keys.key_table cimport KeyTable

cdef enum:
    TYPED_NONE = 3
    TYPED_BOOLEAN = 4
    TYPED_INTEGER = 5
    TYPED_NUMBER = 6
    TYPED_TEXT = 7
    TYPED_JSON = 8

cdef extern from "wire/item_format.hpp" namespace "histscan" nogil:
    const uint8_t ITEM_TAG "histscan::item_tag"
    const uint8_t KEY_TAG "histscan::key_tag"
    const uint8_t NESTED_KEY_TAG "histscan::nested_key_tag"

    # The messages that hold items, and where: both have the item's key in field 1 and its JSON in field 16.
    cdef enum ItemSchema:
        PARQUET_ITEM    # ParquetHistoryItem: key 1, value_json 16
        RECORD_ITEM     # HistoryItem: key 1, repeated nested_key 2, typed values 3 to 8, value_json 16
        UPDATE_ITEM     # SummaryItem and ConfigItem: as HistoryItem; field 2 of the message is an item that is removed

    # What the fields of one item are; of a field given more than once, the last.
    cdef struct ItemFields:
        byte_ptr key_begin      # field 1, NULL if absent
        byte_ptr key_end
        byte_ptr json_begin     # field 16, NULL if absent
        byte_ptr json_end
        uint32_t typed_field    # the typed value given last, 3 to 8; 0 if there is none
        byte_ptr typed_begin    # its payload
        byte_ptr typed_end

    # Reads every field of an item, in any order, and checks the UTF-8 of its strings.
    bint read_item_fields(Cursor* cursor, ItemSchema schema, ItemFields* fields)
    # Adds an item's key; see KeyTable.add.
    int32_t add_item_key(KeyTable& table, byte_ptr key, ptrdiff_t length) except +
