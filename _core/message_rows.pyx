"""Rows that are protobuf messages whose items hold a key and a JSON value.

`HistoryRow.history_items` and `HistoryRecord.item` are both field 1 of their message. An item is nearly always a few
key fields followed by `value_json`, and is read as such; whatever else the wire format allows (fields in any order or
more than once, unknown ones, typed values) goes through `decode_odd_item`.
"""

from cpython.dict cimport PyDict_SetItem
from cpython.float cimport PyFloat_FromDouble
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from histscan._core.cursor cimport (
    JSON_EMPTY, WIRE_TRUNCATED, WIRE_UTF8_INVALID, Cursor, byte_ptr, find_invalid_utf8, hash_bytes,
    open_cursor, peek, stop,
)
from histscan._core.faults cimport raise_fault
from histscan._core.json_string cimport utf8_object
from histscan._core.json_value cimport JsonContext, decode_document
from histscan._core.key_memory cimport NOT_REMEMBERED, KeyMemory, RememberedKey, RowShape, has_key
from histscan._core.message_items cimport (
    ITEM_FAULT, ITEM_NONE, ITEM_ODD, ITEM_TAG, KEY_TAG, NESTED_KEY_TAG, RECORD_ITEM, TYPED_BOOLEAN, TYPED_JSON,
    TYPED_NONE, TYPED_NUMBER, TYPED_TEXT, ItemFields, ItemKind, ItemSchema, enter_known_item, read_item,
    read_item_fields, take_json_tag,
)
from histscan._core.wire cimport read_length, read_tag, read_varint, skip_field

cdef extern from "Python.h":
    object PyLong_FromLongLong(long long value)

cdef int put_nested(dict row, tuple path, object value) except -1:
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
    return 0


cdef int put_member(dict row, object key, object value) except -1:
    """Adds a member under its key, or under its path of keys."""
    if type(key) is tuple:
        return put_nested(row, <tuple> key, value)
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
        cdef uint32_t tag = 0
        cdef byte_ptr field_end = NULL
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
        if self.busy:
            # Freeing an object amid a row ran code that asks for another one.
            return MessageRowDecoder(self.schema).decode_row(cursor)
        self.busy = True
        try:
            return self.decode_items(cursor)
        finally:
            self.busy = False

    cdef dict decode_items(self, Cursor* cursor):
        """Takes a row by the template, and turns to the careful reader where the row leaves it."""
        cdef dict row
        cdef Py_ssize_t count = <Py_ssize_t> self.shape.template_order.size()
        cdef Py_ssize_t position
        # Nothing that runs amid a row changes these: this decoder is busy, and keys of nested values are kept apart.
        cdef const int32_t* order = self.shape.template_order.data()
        cdef const RememberedKey* entries = self.items.entries.data()
        cdef const RememberedKey* entry
        cdef byte_ptr row_end = cursor.end
        cdef byte_ptr before
        cdef byte_ptr item_end = NULL
        cdef uint32_t tag = 0
        row = self.shape.start_row()
        if self.shape.template is None:
            self.decode_rest(cursor, row, 0)
            return row
        for position in range(count):
            before = cursor.pos
            entry = &entries[order[position]]
            if not enter_known_item(cursor, entry):
                if peek(cursor) != ITEM_TAG:
                    break
                cursor.pos += 1
                if not read_length(cursor, &item_end):
                    raise_fault(cursor)
                cursor.end = item_end
                if not has_key(cursor, entry):
                    break
                cursor.pos += entry.length
                if not (take_json_tag(cursor) and read_length(cursor, &cursor.end) and cursor.end == item_end):
                    break
            PyDict_SetItem(row, <object> entry.key, decode_document(cursor, self.context))
            cursor.end = row_end
        else:
            # Behind the items of a HistoryRecord comes its step.
            while cursor.pos < row_end and peek(cursor) != ITEM_TAG:
                if not (read_tag(cursor, &tag) and skip_field(cursor, tag)):
                    raise_fault(cursor)
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
        cdef RowShape shape = self.shape
        cdef KeyMemory items = self.items
        cdef bint nested = self.schema == RECORD_ITEM
        cdef bint repeats = count == 0
        cdef byte_ptr row_end = cursor.end
        cdef byte_ptr begin = NULL
        cdef byte_ptr keys_end = NULL
        cdef byte_ptr item_end = NULL
        cdef uint64_t hash
        cdef int32_t index
        cdef ItemKind kind
        cdef object key
        while True:
            cursor.end = row_end
            kind = read_item(cursor, row_end, nested, &begin, &keys_end)
            if kind == ITEM_NONE:
                break
            if kind == ITEM_FAULT:
                raise_fault(cursor)
            item_end = cursor.end
            index = NOT_REMEMBERED
            if kind == ITEM_ODD:
                self.decode_odd_item(cursor, row)
            else:
                hash = hash_bytes(begin, keys_end - begin)
                index = items.find(begin, keys_end - begin, hash)
                if index == NOT_REMEMBERED:
                    key = self.item_key(cursor, begin, keys_end)
                    index = items.remember(begin, keys_end - begin, hash, key)
                else:
                    key = <object> items.entries[index].key
                if type(key) is tuple:
                    # Several items share the dict of their first name, which no template has.
                    put_member(row, key, decode_document(cursor, self.context))
                    index = NOT_REMEMBERED
                else:
                    PyDict_SetItem(row, key, decode_document(cursor, self.context))
            repeats &= shape.note_key(count, index)
            count += 1
            cursor.pos = item_end
        shape.finish_row(row, count, repeats)
        return 0

    cdef int decode_odd_item(self, Cursor* cursor, dict row) except -1:
        """Takes an item by all the rules of the wire format."""
        cdef object key = self.item_key_anywhere(cursor)
        return put_member(row, key, self.odd_item_value(cursor))

    cdef object odd_item_value(self, Cursor* cursor):
        """The value of the item that is all the cursor may read, wherever in the item it stands."""
        cdef ItemFields fields
        cdef byte_ptr item_end = cursor.end
        cdef object value
        if not read_item_fields(cursor, self.schema, &fields):
            raise_fault(cursor)
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
        return value

    cdef object item_key_anywhere(self, Cursor* cursor):
        """The key of the item that is all the cursor may read, wherever its key fields stand; takes nothing."""
        cdef ItemFields fields
        cdef Cursor item = cursor[0]
        cdef uint32_t tag = 0
        cdef byte_ptr field_end = NULL
        cdef list nested = []
        if not read_item_fields(&item, self.schema, &fields):
            stop(cursor, item.fault, item.fault_at)
            raise_fault(cursor)
        if fields.key_begin == fields.key_end and self.schema == RECORD_ITEM:
            item.pos = cursor.pos
            while item.pos < item.end and read_tag(&item, &tag):
                if tag == NESTED_KEY_TAG and read_length(&item, &field_end):
                    nested.append(utf8_object(cursor, item.pos, field_end, False))
                    item.pos = field_end
                elif not skip_field(&item, tag):
                    break
        if not nested:
            return utf8_object(cursor, fields.key_begin, fields.key_end, False)
        return nested[0] if len(nested) == 1 else tuple(nested)

    cdef object typed_value(self, Cursor* cursor, const ItemFields* fields):
        """The value of a typed field (`HistoryItem`'s oneof)."""
        cdef Cursor payload
        cdef uint64_t bits = 0
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
