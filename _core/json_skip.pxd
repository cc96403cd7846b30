"""Passing over JSON values unread, but not unchecked: what is skipped is as well-formed as what is decoded.

Escapes and UTF-8 inside of skipped strings are the exception: nobody will ask for their text.
"""

from libc.stdint cimport uint64_t

from histscan._core.cursor cimport (
    JSON_COLON_EXPECTED, JSON_COMMA_EXPECTED, JSON_KEY_EXPECTED, JSON_TOO_DEEP, JSON_VALUE_EXPECTED, Cursor, byte_at,
    byte_ptr, peek, stop,
)
from histscan._core.json_text cimport Token, is_digit, read_literal, read_string, read_token, skip_digits, skip_space

cdef enum:
    SKIP_DEPTH_LIMIT = 16384    # CPython decodes up to 10,000 levels, 3.13 the most of all
    SKIP_DEPTH_WORDS = 256      # SKIP_DEPTH_LIMIT / 64


cdef inline bint skip_number(Cursor* cursor) noexcept nogil:
    """Passes over a number; the cursor is at its first byte."""
    cdef byte_ptr pos = cursor.pos
    cdef byte_ptr end = cursor.end
    if byte_at(pos, end) == c'-':
        pos += 1
        if byte_at(pos, end) == c'I':
            cursor.pos = pos
            return read_literal(cursor, "Infinity", 8)
    if byte_at(pos, end) == c'0':
        pos += 1
    elif is_digit(byte_at(pos, end)):
        pos = skip_digits(pos, end)
    else:
        return stop(cursor, JSON_VALUE_EXPECTED, pos)
    if byte_at(pos, end) == c'.':
        pos += 1
        if not is_digit(byte_at(pos, end)):
            return stop(cursor, JSON_VALUE_EXPECTED, pos)
        pos = skip_digits(pos, end)
    if byte_at(pos, end) == c'e' or byte_at(pos, end) == c'E':
        pos += 1
        if byte_at(pos, end) == c'-' or byte_at(pos, end) == c'+':
            pos += 1
        if not is_digit(byte_at(pos, end)):
            return stop(cursor, JSON_VALUE_EXPECTED, pos)
        pos = skip_digits(pos, end)
    cursor.pos = pos
    return True


cdef inline bint skip_key(Cursor* cursor) noexcept nogil:
    """Passes over a key, its colon and the white space around them."""
    cdef Token token
    if peek(cursor) != c'"':
        return stop(cursor, JSON_KEY_EXPECTED, cursor.pos)
    if not read_string(cursor, &token):
        return False
    skip_space(cursor)
    if peek(cursor) != c':':
        return stop(cursor, JSON_COLON_EXPECTED, cursor.pos)
    cursor.pos += 1
    skip_space(cursor)
    return True


cdef inline bint skip_value(Cursor* cursor) noexcept nogil:
    """Passes over one value and all it holds; the cursor is past any white space."""
    # One bit for each open container: set for objects.
    cdef uint64_t[SKIP_DEPTH_WORDS] objects
    cdef int depth = 0
    cdef int byte
    cdef bint in_object
    cdef Token token
    while True:
        # A value is due.
        byte = peek(cursor)
        if byte == c'{' or byte == c'[':
            if depth == SKIP_DEPTH_LIMIT:
                return stop(cursor, JSON_TOO_DEEP, cursor.pos)
            in_object = byte == c'{'
            if depth & 63 == 0:
                objects[depth >> 6] = 0
            if in_object:
                objects[depth >> 6] |= <uint64_t> 1 << (depth & 63)
            else:
                objects[depth >> 6] &= ~(<uint64_t> 1 << (depth & 63))
            depth += 1
            cursor.pos += 1
            skip_space(cursor)
            if peek(cursor) != (c'}' if in_object else c']'):
                if in_object and not skip_key(cursor):
                    return False
                continue
            cursor.pos += 1
            depth -= 1
        elif is_digit(byte) or byte == c'-':
            if not skip_number(cursor):
                return False
        elif not read_token(cursor, &token):
            return False
        # A value has ended, and perhaps the containers around it.
        while depth:
            in_object = objects[(depth - 1) >> 6] >> ((depth - 1) & 63) & 1
            skip_space(cursor)
            byte = peek(cursor)
            if byte == c',':
                cursor.pos += 1
                skip_space(cursor)
                if in_object and not skip_key(cursor):
                    return False
                break
            if byte != (c'}' if in_object else c']'):
                return stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
            cursor.pos += 1
            depth -= 1
        else:
            return True
