"""JSON strings: escapes to UTF-8 without the GIL; and the str objects of protobuf strings."""

from libc.stdint cimport uint8_t, uint32_t

from histscan._core.bytes.cursor cimport (
    JSON_CONTROL_CHARACTER, JSON_ESCAPE_INVALID, JSON_STRING_UNTERMINATED, Cursor, byte_at, byte_ptr, copy_string_run,
    stop,
)


cdef inline int hex_value(int byte) noexcept nogil:
    """The value of a hexadecimal digit, or -1."""
    if c'0' <= byte <= c'9':
        return byte - c'0'
    byte |= 0x20
    if c'a' <= byte <= c'f':
        return byte - c'a' + 10
    return -1


cdef inline int code_unit_at(byte_ptr pos, byte_ptr end) noexcept nogil:
    """The UTF-16 code unit of the escape `\\uXXXX` at `pos`, or -1 if there is no such escape."""
    cdef int unit = 0
    cdef int digit
    cdef int offset
    if end - pos < 6 or pos[0] != c'\\' or pos[1] != c'u':
        return -1
    for offset in range(2, 6):
        digit = hex_value(pos[offset])
        if digit < 0:
            return -1
        unit = unit << 4 | digit
    return unit


cdef inline uint8_t* put_code_point(uint8_t* out, uint32_t point) noexcept nogil:
    """Writes one code point as UTF-8, a lone surrogate as the three bytes it would have; returns where it ends."""
    if point < 0x80:
        out[0] = point
        return out + 1
    if point < 0x800:
        out[0] = 0xC0 | point >> 6
        out[1] = 0x80 | point & 0x3F
        return out + 2
    if point < 0x10000:
        out[0] = 0xE0 | point >> 12
        out[1] = 0x80 | point >> 6 & 0x3F
        out[2] = 0x80 | point & 0x3F
        return out + 3
    out[0] = 0xF0 | point >> 18
    out[1] = 0x80 | point >> 12 & 0x3F
    out[2] = 0x80 | point >> 6 & 0x3F
    out[3] = 0x80 | point & 0x3F
    return out + 4


cdef inline uint8_t* unescape_string(Cursor* cursor, uint8_t* out, bint* has_surrogates) noexcept nogil:
    """Reads the rest of a string, including its closing quote, and writes its text to `out`.

    The caller must provide room for as many bytes as the cursor has left: the text is never longer than its encoded
    form. `has_surrogates` is set, never cleared, when a lone surrogate was written. Bytes
    beyond ASCII are copied unchecked. Returns where the text ends, or NULL with a fault in the cursor.
    """
    cdef byte_ptr begin = cursor.pos
    cdef byte_ptr pos = begin
    cdef byte_ptr end = cursor.end
    cdef byte_ptr run_end
    cdef int byte, unit, low
    while True:
        run_end = copy_string_run(pos, end, out)
        out += run_end - pos
        pos = run_end
        byte = byte_at(pos, end)
        if byte == c'"':
            cursor.pos = pos + 1
            return out
        if byte < 0:
            stop(cursor, JSON_STRING_UNTERMINATED, begin)
            return NULL
        if byte != c'\\':
            stop(cursor, JSON_CONTROL_CHARACTER, pos)
            return NULL
        byte = byte_at(pos + 1, end)
        if byte == c'u':
            unit = code_unit_at(pos, end)
            if unit < 0:
                stop(cursor, JSON_ESCAPE_INVALID, pos)
                return NULL
            pos += 6
            if 0xD800 <= unit <= 0xDFFF:
                low = code_unit_at(pos, end) if unit <= 0xDBFF else -1
                if 0xDC00 <= low <= 0xDFFF:
                    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
                    pos += 6
                else:
                    has_surrogates[0] = True
            out = put_code_point(out, unit)
            continue
        if byte == c'"' or byte == c'\\' or byte == c'/':
            out[0] = byte
        elif byte == c'n':
            out[0] = c'\n'
        elif byte == c't':
            out[0] = c'\t'
        elif byte == c'r':
            out[0] = c'\r'
        elif byte == c'b':
            out[0] = c'\b'
        elif byte == c'f':
            out[0] = c'\f'
        else:
            stop(cursor, JSON_STRING_UNTERMINATED if byte < 0 else JSON_ESCAPE_INVALID, pos)
            return NULL
        out += 1
        pos += 2


cdef object utf8_object(Cursor* cursor, byte_ptr begin, byte_ptr end)
