"""Only the keys that were asked for."""

from histscan._core.cursor cimport Cursor, byte_ptr
from histscan._core.key_memory cimport KeyMemory
from histscan._core.message_items cimport ItemKind
from histscan._core.message_rows cimport MessageRowDecoder


cdef class ItemSelection:
    cdef readonly tuple keys        # what was asked for
    cdef dict slots                 # the index of each in `keys`
    cdef MessageRowDecoder decoder
    # Item keys seen, as the bytes that spell them. Remembered for each are its places, as `resolve` gives them.
    cdef KeyMemory items

    cdef tuple resolve(self, object key)
    cdef tuple places_of_item(self, Cursor* cursor, ItemKind kind, byte_ptr begin, byte_ptr keys_end)
    cdef bint has_all(self, Cursor* cursor) except -1
    cdef dict decode_row(self, Cursor* cursor)


cdef object MISSING     # what `find_below` gives where nothing is; None is a value

cdef object find_below(object value, str dotted)
