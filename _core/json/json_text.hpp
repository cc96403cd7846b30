// JSON text (RFC 8259, and the NaN and Infinity tokens of Python's json) read without the GIL.
//
// `read_token` reads one value as a token, without making a Python object of it. The grammar is exactly that of
// `json.loads`.

#ifndef HISTSCAN_JSON_TEXT_HPP
#define HISTSCAN_JSON_TEXT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bytes/cursor.hpp"
#include "bytes/decimal.hpp"
#include "bytes/plain_number.hpp"

namespace histscan {

enum TokenKind {
    TOKEN_NULL,
    TOKEN_FALSE,
    TOKEN_TRUE,
    TOKEN_INT64,
    TOKEN_BIG_INTEGER,  // an integer beyond int64; its digits are the token's text
    TOKEN_FLOAT64,      // has a fraction or an exponent, or is NaN or an infinity
    TOKEN_STRING,       // its text is between the quotes
    TOKEN_OBJECT,       // the cursor is left at the opening bracket
    TOKEN_ARRAY,        // the same
};

struct Token {
    TokenKind kind;
    int64_t integer;       // of TOKEN_INT64
    double number;         // of TOKEN_FLOAT64
    const uint8_t *begin;  // text of TOKEN_STRING and TOKEN_BIG_INTEGER, and where any other token begins
    const uint8_t *end;
    bool has_escapes;  // of TOKEN_STRING: a backslash is among the text
    bool is_ascii;     // of TOKEN_STRING: it has no escapes, and no byte is above 0x7F
};

inline bool is_space(int byte) { return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r'; }

// Skips JSON's four white-space characters.
inline void skip_space(Cursor *cursor) {
    while (is_space(peek(cursor))) ++cursor->pos;
}

inline bool is_digit(int byte) { return '0' <= byte && byte <= '9'; }

// Reads `text`, or sets a fault.
inline bool read_literal(Cursor *cursor, const char *text, size_t length) {
    if (!has_text(cursor, reinterpret_cast<const uint8_t *>(text), length)) {
        return stop(cursor, JSON_VALUE_EXPECTED, cursor->pos);
    }
    cursor->pos += length;
    return true;
}

// True if the byte is a digit or a minus sign; one test for both, as which of them it is can't be predicted.
inline bool begins_number(int byte) {
    const unsigned place = static_cast<unsigned>(byte - '-');
    return place <= 12 && (0b1111111111001u >> place & 1);
}

// Reads a number, or `-Infinity`; the cursor must be at its first byte.
inline bool read_number(Cursor *cursor, Token *token) {
    const uint8_t *begin = cursor->pos, *end = cursor->end;
    const bool negative = *begin == '-';
    const uint8_t *digits = begin + negative;
    uint64_t mantissa = 0;
    const uint8_t *pos = take_digits(digits, end, cursor->start, &mantissa);
    ptrdiff_t digit_count = pos - digits;
    if (digit_count == 0) {
        if (!negative || byte_at(digits, end) != 'I') return stop(cursor, JSON_VALUE_EXPECTED, begin);
        cursor->pos = digits;
        token->kind = TOKEN_FLOAT64;
        token->number = -infinity();
        return read_literal(cursor, "Infinity", 8);
    }
    if (digits[0] == '0' && digit_count > 1) return stop(cursor, JSON_VALUE_EXPECTED, begin);
    int byte = byte_at(pos, end);
    if (byte != '.' && byte != 'e' && byte != 'E') {
        cursor->pos = token->end = pos;
        if (digit_count < 19 || (digit_count == 19 && mantissa <= uint64_t{0x7FFFFFFFFFFFFFFF} + negative)) {
            token->kind = TOKEN_INT64;
            // The two's complement, without a branch.
            token->integer = static_cast<int64_t>((mantissa ^ -uint64_t{negative}) + uint64_t{negative});
        } else {
            token->kind = TOKEN_BIG_INTEGER;
        }
        return true;
    }
    long exponent = 0;
    if (byte == '.') {
        const uint8_t *fraction = pos + 1;
        pos = take_digits(fraction, end, cursor->start, &mantissa);
        if (pos == fraction) return stop(cursor, JSON_VALUE_EXPECTED, fraction);
        exponent = static_cast<long>(fraction - pos);
        digit_count -= exponent;
        byte = byte_at(pos, end);
    }
    if (byte == 'e' || byte == 'E') {
        ++pos;
        byte = byte_at(pos, end);
        const bool negative_exponent = byte == '-';
        if (byte == '-' || byte == '+') {
            ++pos;
            byte = byte_at(pos, end);
        }
        if (!is_digit(byte)) return stop(cursor, JSON_VALUE_EXPECTED, pos);
        long written = 0;
        while (is_digit(byte)) {
            // Far beyond any double's range the exponent's exact size no longer matters.
            if (written < 100000000) written = written * 10 + (byte - '0');
            ++pos;
            byte = byte_at(pos, end);
        }
        exponent += negative_exponent ? -written : written;
    }
    cursor->pos = token->end = pos;
    token->kind = TOKEN_FLOAT64;
    token->number = nearest_double(mantissa, exponent, digit_count, begin, pos);
    return true;
}

// Continues to read a string at `pos`, where its first backslash is, or its first byte beyond ASCII.
HISTSCAN_NOINLINE bool read_special_token(Cursor *cursor, const uint8_t *pos, Token *token) {
    const uint8_t *const end = cursor->end;
    token->is_ascii = false;
    while (true) {
        const Bytes16 text = load_up_to(cursor->start, pos, end);
        ptrdiff_t done = 16;
        // The zeros after the last byte are control characters.
        for (Marks16 marks = marks_of(string_ends(text)); marks;) {
            const int place = first_mark(marks);
            const int byte = byte_at(pos + place, end);
            if (byte == '"') {
                token->end = pos + place;
                cursor->pos = token->end + 1;
                return true;
            }
            if (byte < 0) return stop(cursor, JSON_STRING_UNTERMINATED, cursor->pos);
            if (byte != '\\') return stop(cursor, JSON_CONTROL_CHARACTER, pos + place);
            token->has_escapes = true;
            const int escaped = byte_at(pos + place + 1, end);
            if (escaped < 0) return stop(cursor, JSON_STRING_UNTERMINATED, cursor->pos);
            if (escaped < 0x20) return stop(cursor, JSON_CONTROL_CHARACTER, pos + place + 1);
            if (place >= 14) {
                done = place + 2;
                break;
            }
            marks = marks_from(marks, place + 2);
        }
        pos += done;
    }
}

// Reads a string; the cursor must be at its opening quote. Escapes and UTF-8 are left to the reader of the text.
inline bool read_string(Cursor *cursor, Token *token) {
    const uint8_t *end = cursor->end;
    const uint8_t *pos = cursor->pos + 1;
    token->kind = TOKEN_STRING;
    token->begin = pos;
    token->has_escapes = false;
    token->is_ascii = true;
    pos = find_string_special(cursor->start, pos, end);
    const int byte = byte_at(pos, end);
    if (byte != '"') {
        if (byte < 0) return stop(cursor, JSON_STRING_UNTERMINATED, cursor->pos);
        if (byte < 0x20) return stop(cursor, JSON_CONTROL_CHARACTER, pos);
        return read_special_token(cursor, pos, token);
    }
    token->end = pos;
    cursor->pos = pos + 1;
    return true;
}

// Reads a number that ends at `end` if it is a plain one; otherwise consumes nothing, and `read_number` must read it.
inline bool take_number(Cursor *cursor, const uint8_t *end, Token *token) {
    const PlainNumber number = read_plain_number(cursor->pos, end, cursor->start);
    if (number.kind == PLAIN_DOUBLE) {
        token->kind = TOKEN_FLOAT64;
        std::memcpy(&token->number, &number.bits, sizeof token->number);
    } else if (number.kind == PLAIN_INTEGER) {
        token->kind = TOKEN_INT64;
        token->integer = static_cast<int64_t>(number.bits);
    } else {
        return false;
    }
    token->end = cursor->pos = end;
    return true;
}

// As `read_token`, where the value's first byte, which is `byte`, begins no number.
inline bool read_other_token(Cursor *cursor, int byte, Token *token) {
    token->begin = cursor->pos;
    switch (byte) {
    case '"':
        return read_string(cursor, token);
    case '{':
        token->kind = TOKEN_OBJECT;
        return true;
    case '[':
        token->kind = TOKEN_ARRAY;
        return true;
    case 'n':
        token->kind = TOKEN_NULL;
        return read_literal(cursor, "null", 4);
    case 't':
        token->kind = TOKEN_TRUE;
        return read_literal(cursor, "true", 4);
    case 'f':
        token->kind = TOKEN_FALSE;
        return read_literal(cursor, "false", 5);
    case 'N':
        token->kind = TOKEN_FLOAT64;
        token->number = not_a_number();
        return read_literal(cursor, "NaN", 3);
    case 'I':
        token->kind = TOKEN_FLOAT64;
        token->number = infinity();
        return read_literal(cursor, "Infinity", 8);
    default:
        return stop(cursor, JSON_VALUE_EXPECTED, cursor->pos);
    }
}

// Reads one scalar value, or stops at the bracket of a container. The cursor must be past any white space.
inline bool read_token(Cursor *cursor, Token *token) {
    const int byte = peek(cursor);
    if (!begins_number(byte)) return read_other_token(cursor, byte, token);
    token->begin = cursor->pos;
    return take_number(cursor, find_number_end(cursor->pos, cursor->end), token) || read_number(cursor, token);
}

// As `read_token`, where the value is likely to be all that is left: then most numbers are read faster.
inline bool read_whole_token(Cursor *cursor, Token *token) {
    const int byte = peek(cursor);
    if (!begins_number(byte)) return read_other_token(cursor, byte, token);
    token->begin = cursor->pos;
    return take_number(cursor, cursor->end, token) || read_number(cursor, token);
}

}  // namespace histscan

#endif
