// JSON text of scalar values, which reads back as the same value: floats keep a point or an exponent.

#ifndef HISTSCAN_JSON_WRITE_HPP
#define HISTSCAN_JSON_WRITE_HPP

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace histscan {

// A Text is a vector of bytes, to which they append.

template <typename Text>
inline void write_literal(const char *literal, Text &out) {
    out.insert(out.end(), literal, literal + std::strlen(literal));
}

template <typename Number, typename Text>
inline void write_number(Number number, Text &out) {
    char digits[32];
    const auto result = std::to_chars(digits, digits + sizeof digits, number);
    out.insert(out.end(), digits, result.ptr);
}

template <typename Text>
inline void write_int64(int64_t number, Text &out) {
    write_number(number, out);
}

template <typename Text>
inline void write_uint64(uint64_t number, Text &out) {
    write_number(number, out);
}

// The shortest text that reads as the same double, as Python's `repr` writes it: with an exponent only below 1e-4 and
// from 1e16 on.
template <typename Text>
inline void write_double(double number, Text &out) {
    if (std::isnan(number)) return write_literal("NaN", out);
    if (std::isinf(number)) return write_literal(number < 0 ? "-Infinity" : "Infinity", out);
    const double magnitude = std::fabs(number);
    char digits[32];
    if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
        const auto result = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::scientific);
        out.insert(out.end(), digits, result.ptr);
        return;
    }
    const auto result = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed);
    out.insert(out.end(), digits, result.ptr);
    if (!std::memchr(digits, '.', static_cast<size_t>(result.ptr - digits))) write_literal(".0", out);
}

// A string in quotes, as Python's `json.dumps(ensure_ascii=False)` writes it: only what JSON requires is escaped.
template <typename Text>
inline void write_string(const uint8_t *text, size_t length, Text &out) {
    static const char hex[] = "0123456789abcdef";
    static const char short_escapes[] = "btn-fr";  // of the bytes from 8 on
    out.push_back('"');
    for (size_t index = 0; index < length; ++index) {
        const uint8_t byte = text[index];
        if (byte == '"' || byte == '\\') {
            out.push_back('\\');
            out.push_back(byte);
        } else if (byte >= 8 && byte <= 13 && byte != 11) {
            out.push_back('\\');
            out.push_back(static_cast<uint8_t>(short_escapes[byte - 8]));
        } else if (byte < 0x20) {
            write_literal("\\u00", out);
            out.push_back(static_cast<uint8_t>(hex[byte >> 4]));
            out.push_back(static_cast<uint8_t>(hex[byte & 15]));
        } else {
            out.push_back(byte);
        }
    }
    out.push_back('"');
}

}  // namespace histscan

#endif
