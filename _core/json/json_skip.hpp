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

// Finds the ends of strings, with vectors of 16 bytes or of 64.
struct NarrowStrings {
    const uint8_t *find_special(const Cursor *cursor, const uint8_t *pos) const {
        return find_string_special(cursor->start, pos, cursor->end);
    }
};

#if HISTSCAN_HAS_WIDE_VECTORS
struct WidestStrings {
    HISTSCAN_WIDEST const uint8_t *find_special(const Cursor *cursor, const uint8_t *pos) const {
        return find_string_special_widest(pos, cursor->end);
    }
};
#endif

// Skips a string; the cursor must be at its opening quote. `is_plain` becomes false if not all of it is ASCII without
// escapes.
template <typename Strings>
HISTSCAN_INLINE bool skip_string(Cursor *cursor, const Strings &strings, bool *is_plain) {
    const uint8_t *const found = strings.find_special(cursor, cursor->pos + 1);
    if (HISTSCAN_LIKELY(byte_at(found, cursor->end) == '"')) {
        cursor->pos = found + 1;
        return true;
    }
    *is_plain = false;
    Token token;
    return read_string(cursor, &token);
}

// As `skip_value`.
template <typename Strings>
HISTSCAN_INLINE bool skip_value_by(Cursor *cursor, const Strings &strings, bool *is_plain) {
    // One bit for each open container: set for objects.
    uint64_t objects[skip_depth_limit / 64];
    int depth = 0;
    // What comes next is a value, unless it is a key.
    bool is_key = false;
    while (true) {
        int byte = peek(cursor);
        if (is_key) {
            if (byte != '"') return stop(cursor, JSON_KEY_EXPECTED, cursor->pos);
            if (!skip_string(cursor, strings, is_plain) || !take_colon(cursor)) return false;
            byte = peek(cursor);
        }
        if (byte == '"') {
            if (!skip_string(cursor, strings, is_plain)) return false;
        } else if (byte == '{' || byte == '[') {
            if (depth == skip_depth_limit) return stop(cursor, JSON_TOO_DEEP, cursor->pos);
            const bool in_object = byte == '{';
            if ((depth & 63) == 0) objects[depth >> 6] = 0;
            const uint64_t bit = uint64_t{1} << (depth & 63);
            objects[depth >> 6] = in_object ? objects[depth >> 6] | bit : objects[depth >> 6] & ~bit;
            ++depth;
            ++cursor->pos;
            skip_space(cursor);
            if (peek(cursor) != (in_object ? '}' : ']')) {
                is_key = in_object;
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
                is_key = in_object;
                break;
            }
            if (byte != (in_object ? '}' : ']')) return stop(cursor, JSON_COMMA_EXPECTED, cursor->pos);
            ++cursor->pos;
            --depth;
        }
    }
}

HISTSCAN_NOINLINE bool skip_value_narrow(Cursor *cursor, bool *is_plain) {
    return skip_value_by(cursor, NarrowStrings(), is_plain);
}
#if HISTSCAN_HAS_WIDE_VECTORS
HISTSCAN_WIDEST HISTSCAN_NOINLINE bool skip_value_widest(Cursor *cursor, bool *is_plain) {
    return skip_value_by(cursor, WidestStrings(), is_plain);
}
#endif

// Skips one value and all it holds; the cursor must be past any white space. `is_plain` becomes false if any string or key
// is not all of ASCII without escapes.
inline bool skip_value(Cursor *cursor, bool *is_plain) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (widest_vectors) return skip_value_widest(cursor, is_plain);
#endif
    return skip_value_narrow(cursor, is_plain);
}
inline bool skip_value(Cursor *cursor) {
    bool is_plain = true;
    return skip_value(cursor, &is_plain);
}

}  // namespace histscan

#endif
