"""Rows that are protobuf messages whose items hold a key and a JSON value, as dicts.

`HistoryRow.history_items` and `HistoryRecord.item` are both field 1 of their message. An item is nearly always a few
key fields followed by `value_json`, and is read as such; anything else that the format allows (fields in any order or
more than once, unknown ones, typed values) goes through `put_rare_item`.
"""

from cpython.float cimport PyFloat_FromDouble
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy
from libcpp cimport bool as cpp_bool

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.rows.called_sink cimport ROW_DONE
from histscan._core.rows.dict_sink cimport DictRow, read_item_dict
from histscan._core.bytes.cursor cimport (
    JSON_EMPTY, WIRE_TRUNCATED, WIRE_UTF8_INVALID, Cursor, byte_ptr, find_invalid_utf8, open_cursor, stop,
)
from histscan._core.rows.dict_rows cimport RowDecoder
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.wire.item_format cimport (
    KEY_TAG, NESTED_KEY_TAG, PARQUET_ITEM, TYPED_BOOLEAN, TYPED_JSON, TYPED_NONE, TYPED_NUMBER, TYPED_TEXT, ItemFields,
    ItemSchema, read_item_fields,
)
from histscan._core.json.json_string cimport utf8_object
from histscan._core.json.json_value cimport JsonContext, decode_document
from histscan._core.keys.key_objects cimport KeyObjects
from histscan._core.wire.wire cimport read_length, read_tag, read_varint, skip_field

cdef extern from "Python.h":
    object PyLong_FromLongLong(long long value)
    int PyDict_SetItem(PyObject* members, PyObject* key, PyObject* value) except -1

cdef int put_nested(dict row, tuple path, object value) except -1:
    """Stores `value` at `path`, creating dicts on the way."""
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
    return PyDict_SetItem(<PyObject*> row, <PyObject*> key, <PyObject*> value)


cdef int put_path(void* self, PyObject* path, PyObject* value) except -1:
    """Puts a value under a path of keys."""
    # Several items share the dict of their first name, which no template has.
    (<MessageRowDecoder> self).has_paths = True
    put_nested((<MessageRowDecoder> self).row, <tuple> path, <object> value)
    return ROW_DONE


cdef object make_key(void* self, Cursor* value, byte_ptr begin, byte_ptr end):
    """The key that some key fields spell."""
    return (<MessageRowDecoder> self).item_key(value, begin, end)


cdef int32_t add_key(void* self, byte_ptr begin, size_t length, object key) except -2:
    return (<MessageRowDecoder> self).items.add(begin, length, key)


cdef int put_rare_item(void* self, Cursor* item, cpp_bool is_removal) except -1:
    """Reads an item by all the rules of the wire format."""
    cdef MessageRowDecoder decoder = <MessageRowDecoder> self
    cdef object key = decoder.item_key_anywhere(item)
    put_member(decoder.row, key, decoder.odd_item_value(item))
    return ROW_DONE


cdef class MessageRowDecoder(RowDecoder):
    """Decodes the rows of one scan, predicting the keys of each from the rows before."""

    def __cinit__(self, ItemSchema schema):
        self.context = JsonContext()
        self.items = KeyObjects(are_items=True)
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
                nested.append(utf8_object(cursor, region.pos, field_end))
            region.pos = field_end
        if key_begin != key_end or not nested:
            return utf8_object(cursor, key_begin, key_end)
        return nested[0] if len(nested) == 1 else tuple(nested)

    cdef dict decode_row(self, Cursor* cursor):
        """The row that is all of the cursor's message."""
        cdef CriticalSection section
        section.enter(self)
        if self.busy:
            # Freeing an object within a row ran code that decodes another row.
            return MessageRowDecoder(self.schema).decode_row(cursor)
        self.busy = True
        try:
            return self.decode_items(cursor)
        finally:
            self.row = None
            self.busy = False

    cdef dict decode_items(self, Cursor* cursor):
        """The row that is all of the cursor's message, where no other row is being decoded."""
        cdef DictRow row
        self.start_row(self.items, &row)
        row.make_key = make_key
        row.add_key = add_key
        row.put_path = put_path
        row.put_rare_member = put_rare_item
        if read_item_dict(cursor, self.schema, self.items.table, self.row_template, row) != ROW_DONE:
            raise_fault(cursor)
        return self.finish_row()

    cdef object odd_item_value(self, Cursor* cursor):
        """The value of the item that is all the cursor may read, wherever in the item it is."""
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
        """The key of the item that is all the cursor may read, wherever its key fields are; consumes nothing."""
        cdef ItemFields fields
        cdef Cursor item = cursor[0]
        cdef uint32_t tag = 0
        cdef byte_ptr field_end = NULL
        cdef list nested = []
        if not read_item_fields(&item, self.schema, &fields):
            stop(cursor, item.fault, item.fault_at)
            raise_fault(cursor)
        if fields.key_begin == fields.key_end and self.schema != PARQUET_ITEM:
            item.pos = cursor.pos
            while item.pos < item.end and read_tag(&item, &tag):
                if tag == NESTED_KEY_TAG and read_length(&item, &field_end):
                    nested.append(utf8_object(cursor, item.pos, field_end))
                    item.pos = field_end
                elif not skip_field(&item, tag):
                    break
        if not nested:
            return utf8_object(cursor, fields.key_begin, fields.key_end)
        return nested[0] if len(nested) == 1 else tuple(nested)

    cdef object typed_value(self, Cursor* cursor, const ItemFields* fields):
        """The value of a typed field (`HistoryItem`'s oneof)."""
        cdef Cursor payload
        cdef uint64_t bits = 0
        cdef double number
        if fields.typed_field == TYPED_NONE:
            return None
        if fields.typed_field == TYPED_TEXT:
            return utf8_object(cursor, fields.typed_begin, fields.typed_end)
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
