"""Skips JSON values without decoding them, but checks them: they are as well-formed as decoded ones."""

from libcpp cimport bool as cpp_bool

from histscan._core.bytes.cursor cimport Cursor

cdef extern from "json/json_skip.hpp" namespace "histscan" nogil:
    # Skips one value and all it holds; the cursor must be past any white space.
    bint skip_value(Cursor* cursor)
    # The same; `is_plain` becomes False if any string or key is not all of ASCII without escapes.
    bint skip_value(Cursor* cursor, cpp_bool* is_plain)
    # Skips a key, its colon and the white space around them.
    bint skip_key(Cursor* cursor)
