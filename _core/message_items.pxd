"""The items of a row that is a protobuf message: key fields, then a value. Read without the GIL.

`HistoryRow.history_items`, `HistoryRecord.item`, `SummaryRecord.update` and `ConfigRecord.update` are all field 1 of
their message, and hold items alike.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t

from histscan._core.cursor cimport WIRE_UTF8_INVALID, Cursor, byte_ptr, find_invalid_utf8, peek, stop
from histscan._core.key_memory cimport RememberedKey, begins_with, has_key
from histscan._core.wire cimport (
    WIRE_BYTES, WIRE_FIXED64, WIRE_VARINT, read_length, read_tag, skip_field,
)

cdef enum:
    ITEM_TAG = 1 << 3 | WIRE_BYTES
    KEY_TAG = 1 << 3 | WIRE_BYTES
    NESTED_KEY_TAG = 2 << 3 | WIRE_BYTES
    JSON_TAG = 16 << 3 | WIRE_BYTES
    TYPED_NONE = 3
    TYPED_BOOLEAN = 4
    TYPED_INTEGER = 5
    TYPED_NUMBER = 6
    TYPED_TEXT = 7
    TYPED_JSON = 8


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


cdef inline bint take_json_tag(Cursor* cursor) noexcept nogil:
    """Takes the tag of `value_json`, whose varint is two bytes, or nothing."""
    if cursor.end - cursor.pos >= 2 and cursor.pos[0] == 0x82 and cursor.pos[1] == 0x01:
        cursor.pos += 2
        return True
    return False


cdef inline bint enter_known_item(Cursor* cursor, const RememberedKey* key) noexcept nogil:
    """Goes to the value of the next item, if its key fields are those of `key` and all lengths are short.

    What an ordinary item is made of is compared here in one go: tag, length, key fields, tag and length of
    `value_json`. Then the cursor may read just the value's JSON; else nothing is taken, and another reader has to look.
    """
    cdef byte_ptr pos = cursor.pos
    cdef byte_ptr keys_end
    cdef size_t length
    # An item begins with two bytes before its key fields, and has three between them and the value.
    if cursor.end - pos < 5 or pos[0] != ITEM_TAG:
        return False
    if not begins_with(pos + 2, cursor.end - 3, key.text, key.length, key.head):
        return False
    keys_end = pos + 2 + key.length
    length = pos[1]
    # A longer length begins with a byte from 0x80 on. Where the lengths don't agree, the difference wraps around.
    if keys_end[0] != 0x82 or keys_end[1] != 0x01 or keys_end[2] != length - key.length - 3 or length >= 0x80:
        return False
    if not length <= <size_t> (cursor.end - pos) - 2:
        return False
    cursor.pos = keys_end + 3
    cursor.end = pos + 2 + length
    return True


cdef inline bint enter_item_of(Cursor* cursor, const RememberedKey* key) noexcept nogil:
    """As `enter_known_item`, with lengths of any size."""
    cdef byte_ptr begin = cursor.pos
    cdef byte_ptr end = cursor.end
    cdef byte_ptr item_end
    if peek(cursor) == ITEM_TAG:
        cursor.pos += 1
        if read_length(cursor, &item_end):
            cursor.end = item_end
            if has_key(cursor, key):
                cursor.pos += key.length
                if take_json_tag(cursor) and read_length(cursor, &cursor.end) and cursor.end == item_end:
                    return True
    cursor.pos = begin
    cursor.end = end
    return False


cdef inline bint skip_keys(Cursor* cursor, bint nested) noexcept nogil:
    """Passes over the key fields that an item begins with."""
    cdef byte_ptr field_end
    while peek(cursor) == KEY_TAG or (nested and peek(cursor) == NESTED_KEY_TAG):
        cursor.pos += 1
        if not read_length(cursor, &field_end):
            return False
        cursor.pos = field_end
    return True


cdef inline bint is_typed(uint32_t tag, ItemSchema schema) noexcept nogil:
    """Whether the tag is that of a typed value, of the wire type its field has."""
    cdef uint32_t field = tag >> 3
    cdef uint32_t wire_type = tag & 7
    if schema != RECORD_ITEM or field < TYPED_NONE or field > TYPED_JSON:
        return False
    if field == TYPED_TEXT or field == TYPED_JSON:
        return wire_type == WIRE_BYTES
    return wire_type == (WIRE_FIXED64 if field == TYPED_NUMBER else WIRE_VARINT)


cdef inline bint read_item_fields(Cursor* cursor, ItemSchema schema, ItemFields* fields) noexcept nogil:
    """Takes every field of an item, in whatever order, and checks the UTF-8 of its strings."""
    cdef uint32_t tag
    cdef byte_ptr begin
    cdef byte_ptr field_end
    fields.key_begin = fields.key_end = fields.json_begin = fields.typed_begin = NULL
    fields.typed_field = 0
    while cursor.pos < cursor.end:
        if not read_tag(cursor, &tag):
            return False
        if tag == KEY_TAG or tag == JSON_TAG or (schema == RECORD_ITEM and tag == NESTED_KEY_TAG):
            if not read_length(cursor, &field_end):
                return False
            begin = find_invalid_utf8(cursor.pos, field_end)
            if begin != field_end:
                return stop(cursor, WIRE_UTF8_INVALID, begin)
            if tag == KEY_TAG:
                fields.key_begin = cursor.pos
                fields.key_end = field_end
            elif tag == JSON_TAG:
                fields.json_begin = cursor.pos
                fields.json_end = field_end
            cursor.pos = field_end
        elif is_typed(tag, schema):
            begin = cursor.pos
            if tag & 7 == WIRE_BYTES:
                if not read_length(cursor, &field_end):
                    return False
                begin = cursor.pos
                cursor.pos = field_end
            elif not skip_field(cursor, tag):
                return False
            fields.typed_field = tag >> 3
            fields.typed_begin = begin
            fields.typed_end = cursor.pos
        elif not skip_field(cursor, tag):
            return False
    return True


# What `read_item` found.
cdef enum ItemKind:
    ITEM_PLAIN      # key fields, then value_json, and nothing else
    ITEM_ODD        # anything else the wire format allows; the cursor is clamped to it
    ITEM_NONE       # the row has ended
    ITEM_FAULT      # malformed; the cursor has the fault


cdef inline ItemKind read_item(
    Cursor* cursor, byte_ptr row_end, bint nested, byte_ptr* item_begin, byte_ptr* keys_end
) noexcept nogil:
    """Takes the next item of a row as far as its value, passing over fields that are not items.

    The caller sets `cursor.end` back to `row_end` before each call, and moves `cursor.pos` to the item's end. On
    return the cursor may read just the value's JSON of a plain item, or all of an odd one.
    """
    cdef uint32_t tag
    cdef byte_ptr item_end
    while cursor.pos < row_end:
        if not read_tag(cursor, &tag):
            return ITEM_FAULT
        if tag != ITEM_TAG:
            if not skip_field(cursor, tag):
                return ITEM_FAULT
            continue
        if not read_length(cursor, &item_end):
            return ITEM_FAULT
        item_begin[0] = cursor.pos
        cursor.end = item_end
        if not skip_keys(cursor, nested):
            return ITEM_FAULT
        keys_end[0] = cursor.pos
        if take_json_tag(cursor) and read_length(cursor, &cursor.end) and cursor.end == item_end:
            return ITEM_PLAIN
        cursor.pos = item_begin[0]
        cursor.end = item_end
        return ITEM_ODD
    return ITEM_NONE
