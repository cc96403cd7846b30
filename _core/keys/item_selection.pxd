"""Only the requested keys."""

from histscan._core.bytes.cursor cimport Cursor
from histscan._core.keys.key_objects cimport KeyObjects
from histscan._core.rows.message_rows cimport MessageRowDecoder
from histscan._core.keys.row_template cimport RowTemplate


cdef class ItemSelection:
    cdef readonly tuple keys        # the requested keys
    cdef dict keys_below    # the requested keys below each dotted name that they begin with
    cdef dict slots                 # the index of each in `keys`
    cdef MessageRowDecoder decoder
    cdef KeyObjects items           # item keys seen, as the bytes that spell them; with their places, by `resolve`
    cdef RowTemplate row_template
    cdef bint busy                  # a row is being read

    cdef tuple resolve(self, object key)
    cdef bint has_all(self, Cursor* cursor) except -1
    cdef dict decode_row(self, Cursor* cursor)


cdef object MISSING     # what `find_below` returns if there is nothing; None is a value

cdef object find_below(object value, str dotted)
