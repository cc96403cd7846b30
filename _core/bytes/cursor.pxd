"""A bounds-checked cursor on the stack: every read of untrusted bytes goes through it.

A reader returns True and advances, or returns False and leaves the fault and its place in the cursor. Nothing here
needs the GIL; a caller that holds it turns a fault into an exception (`faults.raise_fault`).
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stddef cimport size_t

ctypedef const uint8_t* byte_ptr


cdef extern from "bytes/bytes.hpp" namespace "histscan" nogil:
    void prefetch(byte_ptr pos)
    uint64_t hash_bytes(byte_ptr pos, size_t length)
    bint same_bytes(byte_ptr left, byte_ptr right, size_t length)
    byte_ptr find_invalid_utf8(byte_ptr pos, byte_ptr end)

cdef extern from "bytes/plain_string.hpp" namespace "histscan" nogil:
    byte_ptr find_plain_string_end(byte_ptr pos, byte_ptr end)


cdef extern from "bytes/cursor.hpp" namespace "histscan" nogil:
    # Why a reader stopped; `faults.FAULT_REASONS` has the message for each.
    cdef enum Fault:
        NO_FAULT
        JSON_VALUE_EXPECTED
        JSON_KEY_EXPECTED
        JSON_COLON_EXPECTED
        JSON_COMMA_EXPECTED
        JSON_STRING_UNTERMINATED
        JSON_CONTROL_CHARACTER
        JSON_ESCAPE_INVALID
        JSON_UTF8_INVALID
        JSON_TRAILING_DATA
        JSON_TOO_DEEP
        WIRE_TRUNCATED
        WIRE_VARINT_TOO_LONG
        WIRE_TAG_INVALID
        WIRE_LENGTH_TOO_LONG
        WIRE_GROUP_INVALID
        WIRE_UTF8_INVALID
        JSON_EMPTY
        LOG_CHECKSUM_WRONG
        LOG_CHUNK_TYPE_UNKNOWN
        LOG_CHUNK_TOO_LONG
        LOG_CHUNK_ORDER_WRONG
        LOG_RECORD_INVALID
        LOG_ZEROS
        COLUMN_TEXT_TOO_LONG

    cdef struct Cursor:
        byte_ptr start      # the first byte of the text or message; offsets in errors count from here
        byte_ptr pos        # the next byte to read; start <= pos <= end
        byte_ptr end        # one past the last byte that may be read; clamped while inside a field
        Fault fault         # why the last reader returned False
        byte_ptr fault_at   # the byte it stopped at, within [start, end]

    # Points `cursor` at `length` bytes; the caller must keep them alive while it reads.
    void open_cursor(Cursor* cursor, byte_ptr start, size_t length)
    # Points `cursor` at some of the bytes from `start` on; the caller must keep all of them alive.
    void open_cursor_within(Cursor* cursor, byte_ptr start, size_t begin, size_t end)
    # Records the fault; returns False, which the reader returns in turn.
    bint stop(Cursor* cursor, Fault fault, byte_ptr at)
    # The byte at `pos`, or -1 at the end of the data.
    int byte_at(byte_ptr pos, byte_ptr end)
    # The next byte, which is not consumed; -1 at the end of the data.
    int peek(const Cursor* cursor)
    # Returns True if the next `length` bytes are `text`; consumes nothing.
    bint has_text(const Cursor* cursor, byte_ptr text, size_t length)
