"""JSON text read in place within a JSON string: each of its quotes has a backslash, and nothing else has one."""

from libc.stdint cimport uint8_t
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport Cursor, byte_ptr, open_cursor
from histscan._core.json.json_text cimport Token

cdef extern from "json/json_quoted.hpp" namespace "histscan" nogil:
    # Skips a key, its colon and the white space around them.
    bint skip_quoted_key(Cursor* cursor)
    # As `read_token`; the caller must unquote containers first.
    bint read_quoted_token(Cursor* cursor, Token* token)
    # Skips a scalar value.
    bint skip_quoted_value(Cursor* cursor)
    # Writes [pos, end) without its backslashes, and returns the end; there must be room for 16 bytes more.
    uint8_t* unquote_text(byte_ptr pos, byte_ptr end, uint8_t* out)


cdef inline bint unquote(Cursor* cursor, vector[uint8_t]& text) except -1 nogil:
    """Writes the rest of the cursor's bytes into `text` as JSON that is not quoted, and points the cursor there."""
    # Whole vectors are stored.
    cdef size_t room = cursor.end - cursor.pos + 16
    cdef uint8_t* text_end
    if text.size() < room:
        text.resize(room)
    text_end = unquote_text(cursor.pos, cursor.end, text.data())
    open_cursor(cursor, text.data(), text_end - text.data())
    return True
