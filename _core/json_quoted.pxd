"""JSON text read where it stands in a JSON string: each of its quotes has a backslash, and nothing else has one.

So stands nearly every row in a GraphQL body. As no string within the text can then have an escape, only quotes are
different from JSON that is not quoted; numbers, literals and punctuation are read by the same functions. For the rest,
objects and lists, there is `unquote`.
"""

from libc.stdint cimport uint8_t
from libcpp.vector cimport vector

from histscan._core.cursor cimport (
    JSON_COLON_EXPECTED, JSON_CONTROL_CHARACTER, JSON_KEY_EXPECTED, JSON_STRING_UNTERMINATED, Cursor, byte_at, byte_ptr,
    find_string_end, find_string_special, open_cursor, peek, stop,
)
from histscan._core.json_skip cimport skip_value
from histscan._core.json_string cimport unescape_string
from histscan._core.json_text cimport TOKEN_STRING, Token, read_token, skip_space


cdef inline bint read_quoted_string(Cursor* cursor, Token* token) noexcept nogil:
    """Takes a string; the cursor is at the backslash of its opening quote. UTF-8 is left for whoever wants the text."""
    cdef byte_ptr pos = cursor.pos
    cdef byte_ptr end = cursor.end
    cdef int byte
    if end - pos < 2:
        return stop(cursor, JSON_STRING_UNTERMINATED, cursor.pos)
    pos += 2
    token.kind = TOKEN_STRING
    token.begin = pos
    token.has_escapes = False
    pos = find_string_special(pos, end)
    byte = byte_at(pos, end)
    token.is_ascii = byte < 0x80
    if not token.is_ascii:
        pos = find_string_end(pos, end)
        byte = byte_at(pos, end)
    if byte != c'\\':
        return stop(cursor, JSON_STRING_UNTERMINATED if byte < 0 else JSON_CONTROL_CHARACTER, pos)
    if end - pos < 2:
        return stop(cursor, JSON_STRING_UNTERMINATED, cursor.pos)
    token.end = pos
    cursor.pos = pos + 2
    return True


cdef inline bint skip_quoted_key(Cursor* cursor) noexcept nogil:
    """Passes over a key, its colon and the white space around them."""
    cdef Token token
    if peek(cursor) != c'\\':
        return stop(cursor, JSON_KEY_EXPECTED, cursor.pos)
    if not read_quoted_string(cursor, &token):
        return False
    skip_space(cursor)
    if peek(cursor) != c':':
        return stop(cursor, JSON_COLON_EXPECTED, cursor.pos)
    cursor.pos += 1
    skip_space(cursor)
    return True


cdef inline bint read_quoted_token(Cursor* cursor, Token* token) noexcept nogil:
    """As `read_token`, which has its containers unquoted first."""
    return read_quoted_string(cursor, token) if peek(cursor) == c'\\' else read_token(cursor, token)


cdef inline bint skip_quoted_value(Cursor* cursor) noexcept nogil:
    """Passes over a scalar value."""
    cdef Token token
    return read_quoted_string(cursor, &token) if peek(cursor) == c'\\' else skip_value(cursor)


cdef inline bint unquote(Cursor* cursor, vector[uint8_t]& text) except -1 nogil:
    """Writes what is left to the cursor into `text` as JSON that is not quoted, and points the cursor there.

    The string's closing quote has to stand where the cursor's bytes end.
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
