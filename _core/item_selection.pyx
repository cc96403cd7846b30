"""Only the keys that were asked for: rows that lack one are passed over, and what was not asked for stays unread."""

from libc.stdint cimport int32_t, uint64_t
from libcpp.vector cimport vector

from histscan._core.cursor cimport Cursor, byte_ptr, hash_bytes
from histscan._core.faults cimport raise_fault
from histscan._core.json_value cimport decode_document
from histscan._core.key_memory cimport NOT_REMEMBERED, KeyMemory
from histscan._core.message_items cimport (
    ITEM_FAULT, ITEM_NONE, ITEM_ODD, RECORD_ITEM, ItemKind, read_item,
)
from histscan._core.message_rows cimport MessageRowDecoder, put_member


cdef class ItemSelection:
    """The keys asked for, and which items they mean.

    A key means the item of that name. Where names are nested it may be dotted (``"validation.loss"``), or name the
    dict that several items make up (``"validation"``).

    Args:
        keys: What is asked for; rows have just these, in this order.
    """

    def __init__(self, keys):
        self.keys = tuple(dict.fromkeys(keys))
        self.slots = {key: slot for slot, key in enumerate(self.keys)}
        self.decoder = MessageRowDecoder(RECORD_ITEM)
        self.items = KeyMemory()

    cdef tuple resolve(self, object key):
        """The places of a name, or of a path of names: for each key asked for that it belongs to, the key's index in
        `keys` and the path below it. More than one only where the keys asked for overlap."""
        cdef Py_ssize_t depth
        cdef list places = []
        if type(key) is str:
            key = (key,)
        for depth in range(1, len(key) + 1):
            slot = self.slots.get(".".join(key[:depth]))
            if slot is not None:
                places.append((slot, tuple(key[depth:])))
        return tuple(places)

    cdef tuple places_of_item(self, Cursor* cursor, ItemKind kind, byte_ptr begin, byte_ptr keys_end):
        """The places of the item that `read_item` just found; none if it was not asked for."""
        cdef uint64_t hash
        cdef int32_t index
        cdef tuple places
        if kind == ITEM_ODD:
            return self.resolve(self.decoder.item_key_anywhere(cursor))
        hash = hash_bytes(begin, keys_end - begin)
        index = self.items.find(begin, keys_end - begin, hash)
        if index != NOT_REMEMBERED:
            return <tuple> <object> self.items.entries[index].key
        places = self.resolve(self.decoder.item_key(cursor, begin, keys_end))
        self.items.remember(begin, keys_end - begin, hash, places)
        return places

    cdef bint has_all(self, Cursor* cursor) except -1:
        """Whether the row that is the cursor's message has every key that was asked for; decodes nothing."""
        cdef byte_ptr row_end = cursor.end
        cdef byte_ptr begin = NULL
        cdef byte_ptr keys_end = NULL
        cdef byte_ptr item_end = NULL
        cdef ItemKind kind
        cdef Py_ssize_t missing = len(self.keys)
        cdef tuple places
        cdef Py_ssize_t slot
        cdef vector[char] found     # which of the keys the row has
        found.assign(missing, False)
        while True:
            cursor.end = row_end
            kind = read_item(cursor, row_end, True, &begin, &keys_end)
            if kind == ITEM_FAULT:
                raise_fault(cursor)
            if kind == ITEM_NONE:
                return missing == 0
            item_end = cursor.end
            places = self.places_of_item(cursor, kind, begin, keys_end)
            for place in places:
                slot = place[0]
                if not found[slot]:
                    found[slot] = True
                    missing -= 1
            cursor.pos = item_end

    cdef dict decode_row(self, Cursor* cursor):
        """The row that is the cursor's message, with just the keys asked for; `has_all` holds for it."""
        cdef byte_ptr row_end = cursor.end
        cdef byte_ptr begin = NULL
        cdef byte_ptr keys_end = NULL
        cdef byte_ptr item_end = NULL
        cdef ItemKind kind
        cdef dict row = dict.fromkeys(self.keys)
        cdef tuple places
        while True:
            cursor.end = row_end
            kind = read_item(cursor, row_end, True, &begin, &keys_end)
            if kind == ITEM_FAULT:
                raise_fault(cursor)
            if kind == ITEM_NONE:
                return row
            item_end = cursor.end
            places = self.places_of_item(cursor, kind, begin, keys_end)
            if places:
                value = self.decoder.odd_item_value(cursor) if kind == ITEM_ODD else decode_document(
                    cursor, self.decoder.context
                )
                for slot, path in places:
                    if path:
                        put_member(row, (self.keys[slot], *path), value)
                    else:
                        row[self.keys[slot]] = value
            cursor.pos = item_end


MISSING = object()


cdef object find_below(object value, str dotted):
    """What is nested in a value under a dotted name, whose parts may have dots themselves; MISSING if nothing is."""
    cdef object found
    if type(value) is not dict:
        return MISSING
    if dotted in value:
        return (<dict> value)[dotted]
    for name, below in (<dict> value).items():
        if dotted.startswith(f"{name}."):
            found = find_below(below, dotted[len(name) + 1:])
            if found is not MISSING:
                return found
    return MISSING
