"""JSON text read in place within a JSON string: each of its quotes has a backslash, and nothing else has one."""

from libc.stdint cimport uint8_t
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport Cursor, open_cursor, stop
from histscan._core.json.json_string cimport unescape_string
from histscan._core.json.json_text cimport Token

cdef extern from "json/json_quoted.hpp" namespace "histscan" nogil:
    # Skips a key, its colon and the white space around them.
    bint skip_quoted_key(Cursor* cursor)
    # As `read_token`; the caller must unquote containers first.
    bint read_quoted_token(Cursor* cursor, Token* token)
    # Skips a scalar value.
    bint skip_quoted_value(Cursor* cursor)


cdef inline bint unquote(Cursor* cursor, vector[uint8_t]& text) except -1 nogil:
    """Writes the rest of the cursor's bytes into `text` as JSON that is not quoted, and points the cursor there.

    The string's closing quote must be right after the cursor's bytes.
    """
    cdef Cursor string
    cdef bint has_surrogates = False
    cdef uint8_t* text_end
    open_cursor(&string, cursor.pos, cursor.end - cursor.pos + 1)
    if text.size() < <size_t> (string.end - string.pos):
        text.resize(string.end - string.pos)
    text_end = unescape_string(&string, text.data(), &has_surrogates)
    if text_end == NULL:
        return stop(cursor, string.fault, cursor.pos)
    open_cursor(cursor, text.data(), text_end - text.data())
    return True
