"""The text of nested values, as the writer of a row wrote them.

Cells of nested values are copies of their text. A row that takes the slow path has been decoded to Python objects; so
that its cells have the same text, it is looked up here. The row is known to be valid. A value whose text the fast path
would not copy, because it is not UTF-8, has none here.
"""

import json

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint32_t

from histscan._core.bytes.cursor cimport Cursor, byte_ptr, open_cursor, peek
from histscan._core.columns.column_cells cimport is_sound_text, is_sound_value
from histscan._core.json.json_skip cimport skip_value
from histscan._core.json.json_text cimport skip_space
from histscan._core.json.json_value cimport JsonContext, read_key
from histscan._core.rows.message_rows cimport MessageRowDecoder
from histscan._core.wire.item_format cimport ITEM_TAG, TYPED_JSON, ItemFields, read_item_fields
from histscan._core.wire.wire cimport read_length, read_tag, skip_field

cdef bytes SPACE = b" \t\n\r"


cdef bint needs_texts(dict values, bint flatten) except -1:
    """Returns True if a cell of one of the values has a text: that of a list or a dict.

    Flattened, a dict with members has no cell of its own.
    """
    for value in values.values():
        if type(value) is list:
            return True
        if type(value) is dict and (not flatten or not value or needs_texts(<dict> value, True)):
            return True
    return False


cdef dict member_texts(bytes text):
    """The texts of the nested members of an object, by their keys; of a key that occurs twice, the last counts."""
    cdef JsonContext context = JsonContext(allow_surrogates=True)
    cdef dict texts = {}
    cdef Cursor cursor
    cdef int32_t unused = 0
    cdef byte_ptr begin
    cdef int byte
    open_cursor(&cursor, <byte_ptr> PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    skip_space(&cursor)
    if peek(&cursor) != c'{':
        return texts
    cursor.pos += 1
    skip_space(&cursor)
    while peek(&cursor) == c'"':
        key = read_key(&cursor, context, &unused)
        begin = cursor.pos
        byte = peek(&cursor)
        if not skip_value(&cursor):
            break
        texts.pop(key, None)
        if (byte == c'{' or byte == c'[') and is_sound_text(begin, cursor.pos):
            texts[key] = begin[:cursor.pos - begin]
        skip_space(&cursor)
        if peek(&cursor) != c',':
            break
        cursor.pos += 1
        skip_space(&cursor)
    return texts


cdef dict item_texts(Cursor* cursor, MessageRowDecoder decoder):
    """The texts of the nested values of a message of items, by the first names of their keys."""
    cdef dict texts = {}
    cdef dict paths = {}        # for each first name, the items below it: their paths and texts
    cdef set names = set()      # of items without a path
    cdef Cursor item
    cdef byte_ptr item_end = NULL
    cdef uint32_t tag = 0
    while cursor.pos < cursor.end and read_tag(cursor, &tag):
        if tag != ITEM_TAG:
            if not skip_field(cursor, tag):
                break
            continue
        if not read_length(cursor, &item_end):
            break
        open_cursor(&item, cursor.pos, item_end - cursor.pos)
        cursor.pos = item_end
        key = decoder.item_key_anywhere(&item)
        text = text_of_item(&item, decoder)
        if type(key) is tuple:
            paths.setdefault(key[0], []).append(((<tuple> key)[1:], text))
        else:
            names.add(key)
            texts[key] = None if text is None else text.strip(SPACE)
    for name, items in paths.items():
        # An object of its own and items below it never take the fast path together.
        texts[name] = None if name in names else object_text(items)
    return texts


cdef bytes text_of_item(Cursor* item, MessageRowDecoder decoder):
    """The JSON text of an item's value; None if it is of another kind, or not UTF-8."""
    cdef ItemFields fields
    cdef Cursor value
    if not read_item_fields(item, decoder.schema, &fields):
        return None
    if fields.json_begin != NULL and (fields.json_begin != fields.json_end or not fields.typed_field):
        open_cursor(&value, fields.json_begin, fields.json_end - fields.json_begin)
    elif fields.typed_field == TYPED_JSON:
        open_cursor(&value, fields.typed_begin, fields.typed_end - fields.typed_begin)
    else:
        return None
    if not is_sound_value(&value):
        return None
    return value.start[:value.end - value.start]


cdef bytes object_text(list items):
    """The text of the object that items make up, as `nested_items.hpp` writes it; None if they are no tree."""
    cdef list sorted_items = []
    cdef list pieces = []
    cdef list before = None
    cdef Py_ssize_t shared, depth
    for path, text in items:
        if text is None:
            return None
        names = []
        for name in path:
            names.append(json.dumps(name, ensure_ascii=False).encode())
        sorted_items.append((names, text))
    sorted_items.sort()
    for names, text in sorted_items:
        shared = 0
        if before is None:
            pieces.append(b"{")
        else:
            while shared < len(before) and shared < len(names) and before[shared] == names[shared]:
                shared += 1
            if shared == len(before) or shared == len(names):
                return None
            pieces.append(b"}" * (len(before) - shared - 1))
            pieces.append(b",")
        for depth in range(shared, len(names)):
            pieces.append(names[depth])
            pieces.append(b":" if depth == len(names) - 1 else b":{")
        pieces.append(text)
        before = names
    pieces.append(b"}" * len(before))
    return b"".join(pieces)
