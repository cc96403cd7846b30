"""Rows that are protobuf messages whose items hold a key and a JSON value.

`HistoryRow.history_items` and `HistoryRecord.item` are both field 1 of their message. An item is nearly always a few
key fields followed by `value_json`, and is read as such; whatever else the wire format allows (fields in any order or
more than once, unknown ones, typed values) goes through `decode_odd_item`.
"""

from cpython.dict cimport PyDict_SetItem
from cpython.float cimport PyFloat_FromDouble
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from histscan._core.cursor cimport (
    JSON_EMPTY, WIRE_TRUNCATED, WIRE_UTF8_INVALID, Cursor, byte_ptr, find_invalid_utf8, has_text, hash_bytes,
    open_cursor, peek, stop,
)
from histscan._core.faults cimport raise_fault
from histscan._core.json_string cimport utf8_object
from histscan._core.json_value cimport JsonContext, decode_document
from histscan._core.key_memory cimport NOT_REMEMBERED, KeyMemory, RememberedKey, RowShape
from histscan._core.wire cimport (
    WIRE_BYTES, WIRE_FIXED64, WIRE_VARINT, read_length, read_tag, read_varint, skip_field,
)

cdef extern from "Python.h":
    object PyLong_FromLongLong(long long value)

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


cdef inline bint take_json_tag(Cursor* cursor) noexcept nogil:
    """Takes the tag of `value_json`, whose varint is two bytes, or nothing."""
    if cursor.end - cursor.pos >= 2 and cursor.pos[0] == 0x82 and cursor.pos[1] == 0x01:
        cursor.pos += 2
        return True
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
    if field == TYPED_NONE or field == TYPED_TEXT or field == TYPED_JSON:
        return wire_type == WIRE_BYTES
    return wire_type == (WIRE_FIXED64 if field == TYPED_NUMBER else WIRE_VARINT)


cdef inline bint read_item_fields(Cursor* cursor, ItemSchema schema, ItemFields* fields) noexcept nogil:
    """Takes every field of an item, in whatever order, and checks the UTF-8 of its strings."""
    cdef uint32_t tag
    cdef byte_ptr begin
    cdef byte_ptr field_end
    fields.key_begin = fields.json_begin = fields.typed_begin = NULL
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


cdef dict put_nested(dict row, tuple path, object value):
    """Puts `value` where `path` leads, through dicts made on the way."""
    cdef dict level = row
    cdef Py_ssize_t last = len(path) - 1
    cdef Py_ssize_t depth
    cdef object below, key
    for depth in range(last):
        key = path[depth]
        below = level.get(key)
        if type(below) is not dict:
            below = {}
            level[key] = below
        level = below
    level[path[last]] = value
    return row


cdef inline int put_member(dict row, object key, object value) except -1:
    """Adds a member under its key, or under its path of keys."""
    if type(key) is tuple:
        put_nested(row, <tuple> key, value)
        return 0
    return PyDict_SetItem(row, key, value)


cdef class MessageRowDecoder:
    """Decodes the rows of one scan, learning from each what the next will look like."""

    def __cinit__(self, ItemSchema schema):
        self.context = JsonContext()
        self.items = KeyMemory()
        self.shape = RowShape(self.items)
        self.schema = schema

    cdef object item_key(self, Cursor* cursor, byte_ptr begin, byte_ptr end):
        """The key spelt by the key fields in [begin, end): a str, or a tuple of them where keys are nested."""
        cdef Cursor region
        cdef uint32_t tag
        cdef byte_ptr field_end
        cdef byte_ptr key_begin = NULL
        cdef byte_ptr key_end = NULL
        cdef list nested = []
        open_cursor(&region, begin, end - begin)
        while region.pos < region.end:
            if not (read_tag(&region, &tag) and read_length(&region, &field_end)):
                stop(cursor, region.fault, region.fault_at)
                raise_fault(cursor)
            if find_invalid_utf8(region.pos, field_end) != field_end:
                stop(cursor, WIRE_UTF8_INVALID, find_invalid_utf8(region.pos, field_end))
                raise_fault(cursor)
            if tag == KEY_TAG:
                key_begin = region.pos
                key_end = field_end
            else:
                nested.append(utf8_object(cursor, region.pos, field_end, False))
            region.pos = field_end
        if key_begin != key_end or not nested:
            return utf8_object(cursor, key_begin, key_end, False)
        return nested[0] if len(nested) == 1 else tuple(nested)

    cdef dict decode_row(self, Cursor* cursor):
        """The row that is all of the cursor's message."""
        cdef dict row
        cdef Py_ssize_t count = <Py_ssize_t> self.shape.template_order.size()
        cdef Py_ssize_t position
        cdef const RememberedKey* entry
        cdef byte_ptr row_end = cursor.end
        cdef byte_ptr before
        cdef byte_ptr item_end
        cdef PyObject* key
        row = self.shape.start_row()
        if self.shape.template is None:
            self.decode_rest(cursor, row, 0)
            return row
        for position in range(count):
            before = cursor.pos
            if peek(cursor) != ITEM_TAG:
                break
            cursor.pos += 1
            if not read_length(cursor, &item_end):
                raise_fault(cursor)
            cursor.end = item_end
            entry = &self.items.entries[self.shape.template_order[position]]
            if not has_text(cursor, entry.text, entry.length):
                break
            cursor.pos += entry.length
            if not (take_json_tag(cursor) and read_length(cursor, &cursor.end) and cursor.end == item_end):
                break
            key = entry.key
            PyDict_SetItem(row, <object> key, decode_document(cursor, self.context))
            cursor.end = row_end
        else:
            if cursor.pos == row_end:
                self.shape.misses = 0
                return row
            position = count
            before = cursor.pos
        cursor.pos = before
        cursor.end = row_end
        row = self.shape.keep_members(row, position)
        self.decode_rest(cursor, row, position)
        return row

    cdef int decode_rest(self, Cursor* cursor, dict row, Py_ssize_t count) except -1:
        """Takes what follows the first `count` items, noting the keys' order."""
        cdef byte_ptr row_end = cursor.end
        cdef bint repeats = count == 0
        cdef uint32_t tag
        cdef byte_ptr item_end
        while cursor.pos < row_end:
            if not read_tag(cursor, &tag):
                raise_fault(cursor)
            if tag != ITEM_TAG:
                if not skip_field(cursor, tag):
                    raise_fault(cursor)
                continue
            if not read_length(cursor, &item_end):
                raise_fault(cursor)
            cursor.end = item_end
            self.decode_item(cursor, row, count, &repeats)
            cursor.end = row_end
            cursor.pos = item_end
            count += 1
        self.shape.finish_row(row, count, repeats)
        return 0

    cdef int decode_item(self, Cursor* cursor, dict row, Py_ssize_t position, bint* repeats) except -1:
        """Takes the item that is all the cursor may read."""
        cdef RowShape shape = self.shape
        cdef KeyMemory items = self.items
        cdef byte_ptr begin = cursor.pos
        cdef byte_ptr item_end = cursor.end
        cdef byte_ptr keys_end
        cdef uint64_t hash
        cdef int32_t index = NOT_REMEMBERED
        cdef object key = None
        if position < <Py_ssize_t> shape.order.size():
            index = shape.order[position]
        else:
            shape.order.push_back(NOT_REMEMBERED)
        if index != NOT_REMEMBERED and has_text(cursor, items.entries[index].text, items.entries[index].length):
            cursor.pos += items.entries[index].length
        else:
            index = NOT_REMEMBERED
            repeats[0] = False
            if not skip_keys(cursor, self.schema == RECORD_ITEM):
                raise_fault(cursor)
        keys_end = cursor.pos
        if not (take_json_tag(cursor) and read_length(cursor, &cursor.end) and cursor.end == item_end):
            repeats[0] = False
            shape.order[position] = NOT_REMEMBERED
            cursor.pos = begin
            cursor.end = item_end
            return self.decode_odd_item(cursor, row)
        if index == NOT_REMEMBERED:
            hash = hash_bytes(begin, keys_end - begin)
            index = items.find(begin, keys_end - begin, hash)
            if index == NOT_REMEMBERED:
                key = self.item_key(cursor, begin, keys_end)
                index = items.remember(begin, keys_end - begin, hash, key)
            shape.order[position] = index
        if index != NOT_REMEMBERED:
            key = <object> items.entries[index].key
        if type(key) is tuple:
            # Several members share the dict of their first name, which no template has.
            repeats[0] = False
        return put_member(row, key, decode_document(cursor, self.context))

    cdef int decode_odd_item(self, Cursor* cursor, dict row) except -1:
        """Takes an item by all the rules of the wire format."""
        cdef ItemFields fields
        cdef byte_ptr begin = cursor.pos
        cdef byte_ptr item_end = cursor.end
        cdef object key, value
        if not read_item_fields(cursor, self.schema, &fields):
            raise_fault(cursor)
        key = self.odd_item_key(cursor, begin, &fields)
        if fields.json_begin != NULL and (fields.json_begin != fields.json_end or not fields.typed_field):
            cursor.pos = fields.json_begin
            cursor.end = fields.json_end
            value = decode_document(cursor, self.context)
        elif fields.typed_field:
            value = self.typed_value(cursor, &fields)
        else:
            stop(cursor, JSON_EMPTY, item_end)
            raise_fault(cursor)
        cursor.end = item_end
        return put_member(row, key, value)

    cdef object odd_item_key(self, Cursor* cursor, byte_ptr begin, const ItemFields* fields):
        """The key of an item whose key fields may stand anywhere in it."""
        cdef Cursor item
        cdef uint32_t tag
        cdef byte_ptr field_end
        cdef list nested = []
        if fields.key_begin != fields.key_end or self.schema != RECORD_ITEM:
            return utf8_object(cursor, fields.key_begin, fields.key_end, False)
        open_cursor(&item, begin, cursor.end - begin)
        while item.pos < item.end and read_tag(&item, &tag):
            if tag == NESTED_KEY_TAG and read_length(&item, &field_end):
                nested.append(utf8_object(cursor, item.pos, field_end, False))
                item.pos = field_end
            elif not skip_field(&item, tag):
                break
        if not nested:
            return ""
        return nested[0] if len(nested) == 1 else tuple(nested)

    cdef object typed_value(self, Cursor* cursor, const ItemFields* fields):
        """The value of a typed field (`HistoryItem`'s oneof)."""
        cdef Cursor payload
        cdef uint64_t bits
        cdef double number
        if fields.typed_field == TYPED_NONE:
            return None
        if fields.typed_field == TYPED_TEXT:
            return utf8_object(cursor, fields.typed_begin, fields.typed_end, False)
        if fields.typed_field == TYPED_JSON:
            cursor.pos = fields.typed_begin
            cursor.end = fields.typed_end
            return decode_document(cursor, self.context)
        if fields.typed_field == TYPED_NUMBER:
            memcpy(&number, fields.typed_begin, sizeof(double))
            return PyFloat_FromDouble(number)
        open_cursor(&payload, fields.typed_begin, fields.typed_end - fields.typed_begin)
        if not read_varint(&payload, &bits):
            stop(cursor, WIRE_TRUNCATED, fields.typed_begin)
            raise_fault(cursor)
        if fields.typed_field == TYPED_BOOLEAN:
            return bits != 0
        # sint64's zigzag: the sign is the lowest bit.
        return PyLong_FromLongLong(<int64_t> (bits >> 1) ^ -<int64_t> (bits & 1))
