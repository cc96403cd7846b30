"""JSON text (RFC 8259, and the NaN and Infinity tokens of Python's json) read without the GIL.

`read_token` reads one value as a token, without making a Python object of it. The grammar is exactly that of
`json.loads`.
"""

from libc.stdint cimport int64_t, uint64_t

from histscan._core.bytes.cursor cimport Cursor, byte_ptr

cdef extern from "json/json_text.hpp" namespace "histscan" nogil:
    cdef enum TokenKind:
        TOKEN_NULL
        TOKEN_FALSE
        TOKEN_TRUE
        TOKEN_INT64
        TOKEN_BIG_INTEGER   # an integer beyond int64; its digits are the token's text
        TOKEN_FLOAT64       # has a fraction or an exponent, or is NaN or an infinity
        TOKEN_STRING        # its text is between the quotes
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

    # Skips JSON's four white-space characters.
    void skip_space(Cursor* cursor)
    # Reads a string; the cursor must be at its opening quote. Escapes and UTF-8 are left to the reader of the text.
    bint read_string(Cursor* cursor, Token* token)
    # Reads one scalar value, or stops at the bracket of a container. The cursor must be past any white space.
    bint read_token(Cursor* cursor, Token* token)
    # As `read_token`, where the value is likely to be all that is left: then most numbers are read faster.
    bint read_whole_token(Cursor* cursor, Token* token)

cdef extern from "bytes/plain_number.hpp" namespace "histscan" nogil:
    cdef enum PlainKind:
        NOT_PLAIN       # not a plain number: for the slow path
        PLAIN_INTEGER   # the bits are an int64 that a double holds exactly
        PLAIN_DOUBLE    # the bits are a double's

    cdef struct PlainNumber:
        uint64_t bits
        PlainKind kind

    # Reads the number that is all of [pos, end) if it is a plain one; `start` is where the readable bytes begin.
    PlainNumber read_plain_number(byte_ptr pos, byte_ptr end, byte_ptr start)
    byte_ptr find_number_end(byte_ptr pos, byte_ptr end)

cdef extern from "bytes/decimal.hpp" namespace "histscan" nogil:
    double not_a_number()
    double infinity()
