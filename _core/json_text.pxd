"""JSON text (RFC 8259, and the NaN and Infinity tokens of Python's json) read without the GIL.

`read_token` takes one value and says what it is without making an object of it. The grammar is exactly that of
`json.loads`.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from histscan._core.cursor cimport (
    JSON_CONTROL_CHARACTER, JSON_STRING_UNTERMINATED, JSON_VALUE_EXPECTED, Cursor, byte_at, byte_ptr, find_string_end,
    find_string_special, has_text, peek, stop,
)

cdef enum TokenKind:
    TOKEN_NULL
    TOKEN_FALSE
    TOKEN_TRUE
    TOKEN_INT64
    TOKEN_BIG_INTEGER   # an integer beyond int64; its digits are the token's text
    TOKEN_FLOAT64       # has a fraction or an exponent, or is NaN or an infinity
    TOKEN_STRING        # its text is what stands between the quotes
    TOKEN_OBJECT        # the cursor is left at the opening bracket
    TOKEN_ARRAY         # the same


cdef struct Token:
    TokenKind kind
    int64_t integer     # of TOKEN_INT64
    double number       # of TOKEN_FLOAT64
    byte_ptr begin      # text of TOKEN_STRING and TOKEN_BIG_INTEGER, and where any other token begins
    byte_ptr end
    bint has_escapes    # of TOKEN_STRING: a backslash is among the text
    bint is_ascii       # of TOKEN_STRING: no byte is above 0x7F


cdef extern from "decimal.hpp" namespace "histscan" nogil:
    double not_a_number()
    double infinity()
    byte_ptr skip_digits(byte_ptr pos, byte_ptr end)
    byte_ptr take_digits(byte_ptr pos, byte_ptr end, byte_ptr start, uint64_t* digits)
    double nearest_double(uint64_t digits, long exponent, Py_ssize_t digit_count, byte_ptr pos, byte_ptr end)


cdef extern from "plain_number.hpp" namespace "histscan" nogil:
    cdef enum PlainKind:
        NOT_PLAIN       # for a reader that takes any number, or none
        PLAIN_INTEGER   # the bits are an int64 that a double holds exactly
        PLAIN_DOUBLE    # the bits are a double's

    cdef struct PlainNumber:
        uint64_t bits
        PlainKind kind

    byte_ptr find_number_end(byte_ptr pos, byte_ptr end)
    PlainNumber read_plain_number(byte_ptr pos, byte_ptr end, byte_ptr start)


cdef inline void skip_space(Cursor* cursor) noexcept nogil:
    """Passes over JSON's four white-space characters."""
    cdef int byte = peek(cursor)
    while byte == c' ' or byte == c'\n' or byte == c'\t' or byte == c'\r':
        cursor.pos += 1
        byte = peek(cursor)


cdef inline bint is_digit(int byte) noexcept nogil:
    return c'0' <= byte <= c'9'


cdef inline bint read_literal(Cursor* cursor, const char* text, size_t length) noexcept nogil:
    """Takes `text`, or faults."""
    if not has_text(cursor, <byte_ptr> text, length):
        return stop(cursor, JSON_VALUE_EXPECTED, cursor.pos)
    cursor.pos += length
    return True


cdef inline bint begins_number(int byte) noexcept nogil:
    """Whether the byte is a digit or a minus sign; one test for both, as which of them it is can't be guessed."""
    cdef unsigned int place = <unsigned int> (byte - c'-')
    return place <= 12 and (0b1111111111001 >> place) & 1


cdef inline bint read_number(Cursor* cursor, Token* token) noexcept nogil:
    """Takes a number, or `-Infinity`; the cursor is at its first byte."""
    cdef byte_ptr begin = cursor.pos
    cdef byte_ptr end = cursor.end
    cdef bint negative = begin[0] == c'-'
    cdef byte_ptr digits = begin + negative
    cdef byte_ptr fraction
    cdef byte_ptr pos
    cdef uint64_t mantissa = 0
    cdef Py_ssize_t digit_count
    cdef long exponent = 0
    cdef long written = 0
    cdef bint negative_exponent
    cdef int byte
    pos = take_digits(digits, end, cursor.start, &mantissa)
    digit_count = pos - digits
    if digit_count == 0:
        if not negative or byte_at(digits, end) != c'I':
            return stop(cursor, JSON_VALUE_EXPECTED, begin)
        cursor.pos = digits
        token.kind = TOKEN_FLOAT64
        token.number = -infinity()
        return read_literal(cursor, "Infinity", 8)
    if digits[0] == c'0' and digit_count > 1:
        return stop(cursor, JSON_VALUE_EXPECTED, begin)
    byte = byte_at(pos, end)
    if byte != c'.' and byte != c'e' and byte != c'E':
        cursor.pos = pos
        token.end = pos
        if digit_count < 19 or (digit_count == 19 and mantissa <= 0x7FFFFFFFFFFFFFFFULL + <uint64_t> negative):
            token.kind = TOKEN_INT64
            # The two's complement, without a branch.
            token.integer = <int64_t> ((mantissa ^ -<uint64_t> negative) + <uint64_t> negative)
        else:
            token.kind = TOKEN_BIG_INTEGER
        return True
    if byte == c'.':
        fraction = pos + 1
        pos = take_digits(fraction, end, cursor.start, &mantissa)
        if pos == fraction:
            return stop(cursor, JSON_VALUE_EXPECTED, fraction)
        exponent = fraction - pos
        digit_count -= exponent
        byte = byte_at(pos, end)
    if byte == c'e' or byte == c'E':
        pos += 1
        byte = byte_at(pos, end)
        negative_exponent = byte == c'-'
        if byte == c'-' or byte == c'+':
            pos += 1
            byte = byte_at(pos, end)
        if not is_digit(byte):
            return stop(cursor, JSON_VALUE_EXPECTED, pos)
        while is_digit(byte):
            # Far beyond any double's range the exponent's exact size no longer matters.
            if written < 100000000:
                written = written * 10 + (byte - c'0')
            pos += 1
            byte = byte_at(pos, end)
        exponent += -written if negative_exponent else written
    cursor.pos = pos
    token.end = pos
    token.kind = TOKEN_FLOAT64
    token.number = nearest_double(mantissa, exponent, digit_count, begin, pos)
    return True


cdef inline bint read_string(Cursor* cursor, Token* token) noexcept nogil:
    """Takes a string; the cursor is at its opening quote. Escapes and UTF-8 are left for whoever wants the text."""
    cdef byte_ptr pos = cursor.pos + 1
    cdef byte_ptr end = cursor.end
    cdef int byte
    token.kind = TOKEN_STRING
    token.begin = pos
    token.has_escapes = False
    token.is_ascii = True
    pos = find_string_special(pos, end)
    byte = byte_at(pos, end)
    while byte != c'"':
        if byte < 0:
            return stop(cursor, JSON_STRING_UNTERMINATED, cursor.pos)
        if byte < 0x20:
            return stop(cursor, JSON_CONTROL_CHARACTER, pos)
        if byte == c'\\':
            token.has_escapes = True
            if end - pos < 2:
                return stop(cursor, JSON_STRING_UNTERMINATED, cursor.pos)
            if pos[1] < 0x20:
                return stop(cursor, JSON_CONTROL_CHARACTER, pos + 1)
            pos += 2
        else:
            token.is_ascii = False
            pos += 1
        if token.is_ascii:
            pos = find_string_special(pos, end)
        else:
            pos = find_string_end(pos, end)
        byte = byte_at(pos, end)
    token.end = pos
    cursor.pos = pos + 1
    # A byte just behind a backslash was stepped over unseen.
    if token.has_escapes:
        token.is_ascii = False
    return True


cdef inline bint take_number(Cursor* cursor, byte_ptr end, Token* token) noexcept nogil:
    """Takes a number that ends at `end` if it is an ordinary one; otherwise nothing, for `read_number` to do."""
    cdef PlainNumber number = read_plain_number(cursor.pos, end, cursor.start)
    if number.kind == PLAIN_DOUBLE:
        token.kind = TOKEN_FLOAT64
        memcpy(&token.number, &number.bits, sizeof(double))
    elif number.kind == PLAIN_INTEGER:
        token.kind = TOKEN_INT64
        token.integer = <int64_t> number.bits
    else:
        return False
    token.end = cursor.pos = end
    return True


cdef inline bint read_token(Cursor* cursor, Token* token) noexcept nogil:
    """Takes one scalar value, or stops at the bracket of a container. The cursor is past any white space."""
    cdef int byte = peek(cursor)
    token.begin = cursor.pos
    if begins_number(byte):
        return take_number(cursor, find_number_end(cursor.pos, cursor.end), token) or read_number(cursor, token)
    if byte == c'"':
        return read_string(cursor, token)
    if byte == c'{':
        token.kind = TOKEN_OBJECT
        return True
    if byte == c'[':
        token.kind = TOKEN_ARRAY
        return True
    if byte == c'n':
        token.kind = TOKEN_NULL
        return read_literal(cursor, "null", 4)
    if byte == c't':
        token.kind = TOKEN_TRUE
        return read_literal(cursor, "true", 4)
    if byte == c'f':
        token.kind = TOKEN_FALSE
        return read_literal(cursor, "false", 5)
    if byte == c'N':
        token.kind = TOKEN_FLOAT64
        token.number = not_a_number()
        return read_literal(cursor, "NaN", 3)
    if byte == c'I':
        token.kind = TOKEN_FLOAT64
        token.number = infinity()
        return read_literal(cursor, "Infinity", 8)
    return stop(cursor, JSON_VALUE_EXPECTED, cursor.pos)


cdef inline bint read_whole_token(Cursor* cursor, Token* token) noexcept nogil:
    """As `read_token`, where the value is likely to be all that is left: then most numbers are read faster."""
    if not begins_number(peek(cursor)):
        return read_token(cursor, token)
    token.begin = cursor.pos
    return take_number(cursor, cursor.end, token) or read_number(cursor, token)
