// `Bytes16` in plain C++, for any processor; see `vectors.hpp`. The compiler may still find vectors in the loops.

#ifndef HISTSCAN_VECTORS_PLAIN_HPP
#define HISTSCAN_VECTORS_PLAIN_HPP

#include <cstdint>
#include <cstring>

#include "bytes/compiler.hpp"

namespace histscan {

// Names the instructions of `Bytes16`, for people.
constexpr const char *vector_name = "none";

struct Bytes16 {
    uint8_t bytes[16];
};
using Marks16 = uint32_t;

// Makes a vector of what `operation` returns for each place.
template <typename Operation>
HISTSCAN_INLINE Bytes16 for_each_byte(const Operation &operation) {
    Bytes16 result;
    for (int place = 0; place < 16; ++place) result.bytes[place] = static_cast<uint8_t>(operation(place));
    return result;
}

HISTSCAN_INLINE Bytes16 load16(const uint8_t *pos) {
    Bytes16 result;
    std::memcpy(result.bytes, pos, sizeof result.bytes);
    return result;
}
HISTSCAN_INLINE void store16(uint8_t *out, const Bytes16 &bytes) { std::memcpy(out, bytes.bytes, sizeof bytes.bytes); }
HISTSCAN_INLINE Bytes16 fill16(uint8_t byte) {
    return for_each_byte([byte](int) { return byte; });
}
HISTSCAN_INLINE Bytes16 from_words(uint64_t first, uint64_t second) {
    Bytes16 result;
    std::memcpy(result.bytes, &first, 8);
    std::memcpy(result.bytes + 8, &second, 8);
    return result;
}

HISTSCAN_INLINE Bytes16 lowest(const Bytes16 &a, const Bytes16 &b) {
    return for_each_byte([&](int place) { return a.bytes[place] < b.bytes[place] ? a.bytes[place] : b.bytes[place]; });
}
HISTSCAN_INLINE Bytes16 subtract(const Bytes16 &a, const Bytes16 &b) {
    return for_each_byte([&](int place) { return a.bytes[place] - b.bytes[place]; });
}
HISTSCAN_INLINE Bytes16 either(const Bytes16 &a, const Bytes16 &b) {
    return for_each_byte([&](int place) { return a.bytes[place] | b.bytes[place]; });
}
HISTSCAN_INLINE Bytes16 both(const Bytes16 &a, const Bytes16 &b) {
    return for_each_byte([&](int place) { return a.bytes[place] & b.bytes[place]; });
}
HISTSCAN_INLINE Bytes16 differing(const Bytes16 &a, const Bytes16 &b) {
    return for_each_byte([&](int place) { return a.bytes[place] ^ b.bytes[place]; });
}
HISTSCAN_INLINE Bytes16 equal(const Bytes16 &a, const Bytes16 &b) {
    return for_each_byte([&](int place) { return a.bytes[place] == b.bytes[place] ? 0xFF : 0; });
}
HISTSCAN_INLINE Bytes16 at_most(const Bytes16 &a, const Bytes16 &b) {
    return for_each_byte([&](int place) { return a.bytes[place] <= b.bytes[place] ? 0xFF : 0; });
}
HISTSCAN_INLINE Bytes16 below_signed(const Bytes16 &a, const Bytes16 &b) {
    return for_each_byte([&](int place) {
        return static_cast<int8_t>(a.bytes[place]) < static_cast<int8_t>(b.bytes[place]) ? 0xFF : 0;
    });
}

HISTSCAN_INLINE Marks16 marks_of(const Bytes16 &mask) {
    uint32_t marks = 0;
    for (int place = 0; place < 16; ++place) marks |= static_cast<uint32_t>(mask.bytes[place] & 1) << place;
    return marks;
}
HISTSCAN_INLINE int first_mark(Marks16 marks) { return trailing_zeros(marks); }
HISTSCAN_INLINE Marks16 marks_from(Marks16 marks, int place) { return marks & ~uint32_t{0} << place; }
HISTSCAN_INLINE bool is_any(const Bytes16 &mask) { return marks_of(mask) != 0; }
HISTSCAN_INLINE bool is_all(const Bytes16 &mask) { return marks_of(mask) == 0xFFFF; }
HISTSCAN_INLINE uint32_t bits_of(const Bytes16 &lower, const Bytes16 &upper) {
    return marks_of(lower) | marks_of(upper) << 16;
}

// The first number is in the lower half of the result, the second in the upper.
HISTSCAN_INLINE uint64_t join_digits(const Bytes16 &digits) {
    uint64_t first = 0, second = 0;
    for (int place = 0; place < 8; ++place) {
        first = first * 10 + digits.bytes[place];
        second = second * 10 + digits.bytes[place + 8];
    }
    return first | second << 32;
}

}  // namespace histscan

#endif
