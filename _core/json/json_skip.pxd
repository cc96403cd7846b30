"""Skips JSON values without decoding them, but checks them: they are as well-formed as decoded ones."""

from histscan._core.bytes.cursor cimport Cursor

cdef extern from "json/json_skip.hpp" namespace "histscan" nogil:
    # Skips one value and all it holds; the cursor must be past any white space.
    bint skip_value(Cursor* cursor)
    # Skips a key, its colon and the white space around them.
    bint skip_key(Cursor* cursor)
