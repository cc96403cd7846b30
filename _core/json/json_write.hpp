// JSON text of scalar values, which reads back as the same value: floats keep a point or an exponent.

#ifndef HISTSCAN_JSON_WRITE_HPP
#define HISTSCAN_JSON_WRITE_HPP

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bytes/bytes.hpp"

namespace histscan {

// A Text is a vector of bytes, to which they append.

// Appends bytes. `insert` would construct each byte by itself, if the vector's allocator says how to.
template <typename Text>
inline void write_bytes(const void *bytes, size_t length, Text &out) {
    const size_t size = out.size();
    out.resize(size + length);
    if (length) std::memcpy(out.data() + size, bytes, length);
}

template <typename Text>
inline void write_literal(const char *literal, Text &out) {
    write_bytes(literal, std::strlen(literal), out);
}

template <typename Number, typename Text>
inline void write_number(Number number, Text &out) {
    char digits[32];
    const auto result = std::to_chars(digits, digits + sizeof digits, number);
    write_bytes(digits, static_cast<size_t>(result.ptr - digits), out);
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
        write_bytes(digits, static_cast<size_t>(result.ptr - digits), out);
        return;
    }
    const auto result = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed);
    write_bytes(digits, static_cast<size_t>(result.ptr - digits), out);
    if (!std::memchr(digits, '.', static_cast<size_t>(result.ptr - digits))) write_literal(".0", out);
}

// A string in quotes, as Python's `json.dumps(ensure_ascii=False)` writes it: only what JSON requires is escaped.
template <typename Text>
inline void write_string(const uint8_t *text, size_t length, Text &out) {
    static const char hex[] = "0123456789abcdef";
    static const char short_escapes[] = "btn-fr";  // of the bytes from 8 on
    const uint8_t *pos = text;
    const uint8_t *const end = text + length;
    out.push_back('"');
    for (;;) {
        const uint8_t *special = find_string_end(text, pos, end);
        write_bytes(pos, static_cast<size_t>(special - pos), out);
        if (special == end) break;
        const uint8_t byte = *special;
        if (byte >= 8 && byte <= 13 && byte != 11) {
            const char escape[] = {'\\', short_escapes[byte - 8]};
            write_bytes(escape, sizeof escape, out);
        } else if (byte < 0x20) {
            const char escape[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
            write_bytes(escape, sizeof escape, out);
        } else {
            const uint8_t escape[] = {'\\', byte};
            write_bytes(escape, sizeof escape, out);
        }
        pos = special + 1;
    }
    out.push_back('"');
}

}  // namespace histscan

#endif
