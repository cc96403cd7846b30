// JSON text read in place within a JSON string: each of its quotes has a backslash, and nothing else has one.
//
// Nearly every row in a GraphQL body is such text. As no string within the text can then have an escape, only quotes
// differ from JSON that is not quoted; numbers, literals and punctuation are read by the same functions. Objects and
// lists are read after `unquote`.

#ifndef HISTSCAN_JSON_QUOTED_HPP
#define HISTSCAN_JSON_QUOTED_HPP

#include <cstdint>

#include "json/json_skip.hpp"

namespace histscan {

// Reads a string; the cursor must be at the backslash of its opening quote. UTF-8 is left to the reader of the text.
inline bool read_quoted_string(Cursor *cursor, Token *token) {
    const uint8_t *pos = cursor->pos, *end = cursor->end;
    if (end - pos < 2) return stop(cursor, JSON_STRING_UNTERMINATED, cursor->pos);
    pos += 2;
    token->kind = TOKEN_STRING;
    token->begin = pos;
    token->has_escapes = false;
    pos = find_string_special(cursor->start, pos, end);
    int byte = byte_at(pos, end);
    token->is_ascii = byte < 0x80;
    if (!token->is_ascii) {
        pos = find_string_end(cursor->start, pos, end);
        byte = byte_at(pos, end);
    }
    if (byte != '\\') return stop(cursor, byte < 0 ? JSON_STRING_UNTERMINATED : JSON_CONTROL_CHARACTER, pos);
    if (end - pos < 2) return stop(cursor, JSON_STRING_UNTERMINATED, cursor->pos);
    token->end = pos;
    cursor->pos = pos + 2;
    return true;
}

// Skips a key, its colon and the white space around them.
inline bool skip_quoted_key(Cursor *cursor) {
    Token token;
    if (peek(cursor) != '\\') return stop(cursor, JSON_KEY_EXPECTED, cursor->pos);
    return read_quoted_string(cursor, &token) && take_colon(cursor);
}

// As `read_token`; the caller must unquote containers first.
inline bool read_quoted_token(Cursor *cursor, Token *token) {
    return peek(cursor) == '\\' ? read_quoted_string(cursor, token) : read_token(cursor, token);
}

// Skips a scalar value.
inline bool skip_quoted_value(Cursor *cursor) {
    Token token;
    return peek(cursor) == '\\' ? read_quoted_string(cursor, &token) : skip_value(cursor);
}

// As `unquote_text`, on any processor.
inline uint8_t *unquote_text_narrow(const uint8_t *pos, const uint8_t *end, uint8_t *out) {
    constexpr int block_size = 16;
    const Bytes16 backslash = fill16('\\');
    for (; end - pos >= 2 * block_size; pos += block_size) {
        const Bytes16 text = load16(pos);
        store16(out, text);
        int done = 0;
        for (Marks16 marks = marks_of(equal(text, backslash)); marks; marks = marks_from(marks, done)) {
            const int place = first_mark(marks);
            out += place - done;
            done = place + 1;
            store16(out, load16(pos + done));
        }
        out += block_size - done;
    }
    for (; pos < end; ++pos) {
        if (*pos != '\\') *out++ = *pos;
    }
    return out;
}

#if HISTSCAN_HAS_WIDE_VECTORS
// As `unquote_text`.
HISTSCAN_WIDEST HISTSCAN_NOINLINE uint8_t *unquote_text_widest(const uint8_t *pos, const uint8_t *end, uint8_t *out) {
    for (; pos < end; pos += widest_vector_size) {
        const Bytes64 text = load64_up_to(pos, end);
        const auto count = static_cast<unsigned>(end - pos < widest_vector_size ? end - pos : widest_vector_size);
        const uint64_t kept = low_bits(~bits_equal(text, '\\'), count);
        const uint32_t length = count_bits(kept);
        store64(out, packed(text, kept), low_bits(~uint64_t{0}, length));
        out += length;
    }
    return out;
}
#endif

// Writes the text of [pos, end) as JSON that is not quoted, without the backslashes, and returns its end. `out` must
// have room for 16 bytes more than there are.
inline uint8_t *unquote_text(const uint8_t *pos, const uint8_t *end, uint8_t *out) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (widest_vectors) return unquote_text_widest(pos, end, out);
#endif
    return unquote_text_narrow(pos, end, out);
}

}  // namespace histscan

#endif
