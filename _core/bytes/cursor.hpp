// A bounds-checked cursor on the stack: every read of untrusted bytes goes through it.
//
// A reader returns true and advances, or returns false and leaves the fault and its place in the cursor. Nothing here
// needs the GIL; a caller that holds it turns a fault into an exception (`faults.raise_fault`).

#ifndef HISTSCAN_CURSOR_HPP
#define HISTSCAN_CURSOR_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/bytes.hpp"

namespace histscan {

// Why a reader stopped; `faults.FAULT_REASONS` has the message for each.
enum Fault {
    NO_FAULT,
    JSON_VALUE_EXPECTED,
    JSON_KEY_EXPECTED,
    JSON_COLON_EXPECTED,
    JSON_COMMA_EXPECTED,
    JSON_STRING_UNTERMINATED,
    JSON_CONTROL_CHARACTER,
    JSON_ESCAPE_INVALID,
    JSON_UTF8_INVALID,
    JSON_TRAILING_DATA,
    JSON_TOO_DEEP,
    WIRE_TRUNCATED,
    WIRE_VARINT_TOO_LONG,
    WIRE_TAG_INVALID,
    WIRE_LENGTH_TOO_LONG,
    WIRE_GROUP_INVALID,
    WIRE_UTF8_INVALID,
    JSON_EMPTY,
    LOG_CHECKSUM_WRONG,
    LOG_CHUNK_TYPE_UNKNOWN,
    LOG_CHUNK_TOO_LONG,
    LOG_CHUNK_ORDER_WRONG,
    LOG_RECORD_INVALID,
    LOG_ZEROS,
    COLUMN_TEXT_TOO_LONG,
};

struct Cursor {
    const uint8_t *start;     // the first byte of the text or message; offsets in errors count from here
    const uint8_t *pos;       // the next byte to read; start <= pos <= end
    const uint8_t *end;       // one past the last byte that may be read; clamped while inside a field
    Fault fault;              // why the last reader returned false
    const uint8_t *fault_at;  // the byte it stopped at, within [start, end]
};

// Points `cursor` at `length` bytes; the caller must keep them alive while it reads.
inline void open_cursor(Cursor *cursor, const uint8_t *start, size_t length) {
    cursor->start = start;
    cursor->pos = start;
    cursor->end = start + length;
    cursor->fault = NO_FAULT;
    cursor->fault_at = start;
}

// Points `cursor` at some of the bytes from `start` on; the caller must keep all of them alive.
inline void open_cursor_within(Cursor *cursor, const uint8_t *start, size_t begin, size_t end) {
    open_cursor(cursor, start, end);
    cursor->pos += begin;
}

// Records the fault; returns false, which the reader returns in turn.
inline bool stop(Cursor *cursor, Fault fault, const uint8_t *at) {
    cursor->fault = fault;
    cursor->fault_at = at;
    return false;
}

// The byte at `pos`, or -1 at the end of the data.
inline int byte_at(const uint8_t *pos, const uint8_t *end) { return pos < end ? *pos : -1; }

// The next byte, which is not consumed; -1 at the end of the data.
inline int peek(const Cursor *cursor) { return byte_at(cursor->pos, cursor->end); }

// Returns true if the next `length` bytes are `text`; consumes nothing.
inline bool has_text(const Cursor *cursor, const uint8_t *text, size_t length) {
    return length <= static_cast<size_t>(cursor->end - cursor->pos) && same_bytes(cursor->pos, text, length);
}

}  // namespace histscan

#endif
