// Skips JSON values without decoding them, but checks them: they are as well-formed as decoded ones.
//
// Escapes and UTF-8 inside of skipped strings are the exception: their text is never used.

#ifndef HISTSCAN_JSON_SKIP_HPP
#define HISTSCAN_JSON_SKIP_HPP

#include <cstdint>

#include "json/json_text.hpp"

namespace histscan {

// CPython decodes up to 10,000 levels; that is the limit of 3.13, the highest of all versions.
constexpr int skip_depth_limit = 16384;

// Skips a number; the cursor must be at its first byte.
inline bool skip_number(Cursor *cursor) {
    const uint8_t *pos = cursor->pos, *end = cursor->end;
    if (byte_at(pos, end) == '-') {
        ++pos;
        if (byte_at(pos, end) == 'I') {
            cursor->pos = pos;
            return read_literal(cursor, "Infinity", 8);
        }
    }
    if (byte_at(pos, end) == '0') {
        ++pos;
    } else if (is_digit(byte_at(pos, end))) {
        pos = skip_digits(pos, end);
    } else {
        return stop(cursor, JSON_VALUE_EXPECTED, pos);
    }
    if (byte_at(pos, end) == '.') {
        ++pos;
        if (!is_digit(byte_at(pos, end))) return stop(cursor, JSON_VALUE_EXPECTED, pos);
        pos = skip_digits(pos, end);
    }
    if (byte_at(pos, end) == 'e' || byte_at(pos, end) == 'E') {
        ++pos;
        if (byte_at(pos, end) == '-' || byte_at(pos, end) == '+') ++pos;
        if (!is_digit(byte_at(pos, end))) return stop(cursor, JSON_VALUE_EXPECTED, pos);
        pos = skip_digits(pos, end);
    }
    cursor->pos = pos;
    return true;
}

// Reads the colon after a key, and the white space around it.
inline bool take_colon(Cursor *cursor) {
    skip_space(cursor);
    if (peek(cursor) != ':') return stop(cursor, JSON_COLON_EXPECTED, cursor->pos);
    ++cursor->pos;
    skip_space(cursor);
    return true;
}

// Skips a key, its colon and the white space around them.
inline bool skip_key(Cursor *cursor) {
    Token token;
    if (peek(cursor) != '"') return stop(cursor, JSON_KEY_EXPECTED, cursor->pos);
    return read_string(cursor, &token) && take_colon(cursor);
}

// Skips one value and all it holds; the cursor must be past any white space.
inline bool skip_value(Cursor *cursor) {
    // One bit for each open container: set for objects.
    uint64_t objects[skip_depth_limit / 64];
    int depth = 0;
    while (true) {
        // A value is expected.
        int byte = peek(cursor);
        if (byte == '{' || byte == '[') {
            if (depth == skip_depth_limit) return stop(cursor, JSON_TOO_DEEP, cursor->pos);
            const bool in_object = byte == '{';
            if ((depth & 63) == 0) objects[depth >> 6] = 0;
            const uint64_t bit = uint64_t{1} << (depth & 63);
            objects[depth >> 6] = in_object ? objects[depth >> 6] | bit : objects[depth >> 6] & ~bit;
            ++depth;
            ++cursor->pos;
            skip_space(cursor);
            if (peek(cursor) != (in_object ? '}' : ']')) {
                if (in_object && !skip_key(cursor)) return false;
                continue;
            }
            ++cursor->pos;
            --depth;
        } else if (is_digit(byte) || byte == '-') {
            if (!skip_number(cursor)) return false;
        } else {
            Token token;
            if (!read_token(cursor, &token)) return false;
        }
        // A value has ended, and perhaps the containers around it.
        while (true) {
            if (depth == 0) return true;
            const bool in_object = objects[(depth - 1) >> 6] >> ((depth - 1) & 63) & 1;
            skip_space(cursor);
            byte = peek(cursor);
            if (byte == ',') {
                ++cursor->pos;
                skip_space(cursor);
                if (in_object && !skip_key(cursor)) return false;
                break;
            }
            if (byte != (in_object ? '}' : ']')) return stop(cursor, JSON_COMMA_EXPECTED, cursor->pos);
            ++cursor->pos;
            --depth;
        }
    }
}

}  // namespace histscan

#endif
