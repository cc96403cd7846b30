// Byte-level functions of the core in plain C++: vector scans, hashing and UTF-8 validation.
//
// Every function takes a half-open range [pos, end) and never reads outside it.

#ifndef HISTSCAN_BYTES_HPP
#define HISTSCAN_BYTES_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bytes/compiler.hpp"
#include "bytes/utf8_blocks.hpp"
#include "bytes/vectors.hpp"

namespace histscan {

inline uint64_t load_word(const uint8_t *pos) {
    uint64_t word;
    std::memcpy(&word, pos, sizeof word);
    return word;
}

// The bytes [pos, end), which are fewer than 16, then zeros. `start` is where the readable bytes begin.
//
// They do not pass through memory: a load of bytes that several stores have just written waits for all of these.
HISTSCAN_INLINE Bytes16 load_last(const uint8_t *start, const uint8_t *pos, const uint8_t *end) {
    const auto left = static_cast<int>(end - pos);
    if (HISTSCAN_UNLIKELY(end - start < 16)) {
        uint8_t bytes[16] = {};
        for (int place = 0; place < left; ++place) bytes[place] = pos[place];
        return load16(bytes);
    }
    const uint64_t first = load_word(end - 16), second = load_word(end - 8);
    if (left <= 8) return from_words(left == 0 ? 0 : second >> 8 * (8 - left), 0);
    const int dropped = 8 * (16 - left);
    return from_words(first >> dropped | second << (64 - dropped), second >> dropped);
}

// The 16 bytes at `pos`, as far as there are any, then zeros.
HISTSCAN_INLINE Bytes16 load_up_to(const uint8_t *start, const uint8_t *pos, const uint8_t *end) {
    return HISTSCAN_LIKELY(end - pos >= 16) ? load16(pos) : load_last(start, pos, end);
}

// The mask of quotes and backslashes.
HISTSCAN_INLINE Bytes16 quotes_and_backslashes(Bytes16 text) {
    return either(equal(text, fill16('"')), equal(text, fill16('\\')));
}

// The mask of quotes, backslashes and control characters.
HISTSCAN_INLINE Bytes16 string_ends(Bytes16 text) {
    return either(quotes_and_backslashes(text), at_most(text, fill16(0x1F)));
}

// The mask of what ends or complicates a JSON string: a quote, a backslash, a control character, a byte beyond ASCII.
HISTSCAN_INLINE Bytes16 special_bytes(Bytes16 text) {
    // Compared as signed numbers, control characters and bytes from 0x80 on are both below a space.
    return either(quotes_and_backslashes(text), below_signed(text, fill16(' ')));
}

// The marks of the same bytes.
HISTSCAN_INLINE Marks16 special_marks(Bytes16 text) { return marks_of(special_bytes(text)); }

#if HISTSCAN_HAS_WIDE_VECTORS
// The mask of the same bytes.
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 special_bytes(Bytes32 text) {
    const Bytes32 quotes = equal(text, fill32('"')), backslashes = equal(text, fill32('\\'));
    return either(either(quotes, backslashes), below_signed(text, fill32(' ')));
}
#endif

// The first byte of [pos, end) that is marked; `end` if there is none. `start` is where the readable bytes begin.
template <typename FindMarks>
HISTSCAN_INLINE const uint8_t *find_marked(
    const uint8_t *start, const uint8_t *pos, const uint8_t *end, FindMarks find_marks) {
    for (; end - pos >= 16; pos += 16) {
        const Marks16 marks = find_marks(load16(pos));
        if (marks) return pos + first_mark(marks);
    }
    if (pos == end) return end;
    if (HISTSCAN_LIKELY(end - start >= 16)) {
        const Marks16 marks = marks_from(find_marks(load16(end - 16)), static_cast<int>(16 - (end - pos)));
        return marks ? end - 16 + first_mark(marks) : end;
    }
    uint8_t bytes[16] = {};
    for (ptrdiff_t place = 0; place < end - pos; ++place) bytes[place] = pos[place];
    // A zero may be marked, too.
    const Marks16 marks = find_marks(load16(bytes));
    return marks && first_mark(marks) < end - pos ? pos + first_mark(marks) : end;
}

// The first byte that ends or complicates a JSON string; `end` if there is none. `start` is where the readable bytes
// begin.
HISTSCAN_INLINE const uint8_t *find_string_special(const uint8_t *start, const uint8_t *pos, const uint8_t *end) {
    return find_marked(start, pos, end, [](Bytes16 text) { return special_marks(text); });
}

#if HISTSCAN_HAS_WIDE_VECTORS
// As `find_string_special`.
HISTSCAN_WIDEST inline const uint8_t *find_string_special_widest(const uint8_t *pos, const uint8_t *end) {
    for (; pos < end; pos += widest_vector_size) {
        // Zeros behind the last byte are control characters.
        const Bytes64 text = load64_up_to(pos, end);
        const uint64_t special =
            bits_equal(text, '"') | bits_equal(text, '\\') | bits_below_signed(text, static_cast<int8_t>(' '));
        if (special) return pos + trailing_zeros(special);
    }
    return end;
}
#endif

// The first quote, backslash or control character; bytes beyond ASCII are skipped.
inline const uint8_t *find_string_end(const uint8_t *start, const uint8_t *pos, const uint8_t *end) {
    return find_marked(start, pos, end, [](Bytes16 text) { return marks_of(string_ends(text)); });
}

// Hashes a text of more than 32 bytes, for tables that bound their probes, not for cryptography. Each word is
// multiplied on its own, so that no multiplication waits for another.
inline uint64_t hash_long_text(const uint8_t *pos, size_t length) {
    constexpr uint64_t first = 0x9E3779B97F4A7C15u, second = 0xC2B2AE3D27D4EB4Fu;
    constexpr uint64_t third = 0xD6E8FEB86659FD93u, fourth = 0xA0761D6478BD642Fu;
    uint64_t hash = length * first, factor = second;
    for (size_t offset = 0; offset + 8 <= length; offset += 8, factor += fourth << 1) {
        hash += (load_word(pos + offset) ^ third) * factor;
    }
    hash = (hash ^ hash >> 29) * first + load_word(pos + length - 8) * fourth;
    // A product carries upwards only, so the high bits are folded down: numbered keys differ in their last characters.
    hash = (hash ^ hash >> 32) * first;
    return hash ^ hash >> 32;
}

// Returns true if the `length` bytes at `left` and `right` are equal. Texts of up to 32 bytes are compared by words
// that overlap, without a loop whose end could not be predicted.
inline bool same_bytes(const uint8_t *left, const uint8_t *right, size_t length) {
    if (length > 32) return std::memcmp(left, right, length) == 0;
    if (length > 16) {
        const size_t tail = length - 16;
        return !((load_word(left) ^ load_word(right)) | (load_word(left + 8) ^ load_word(right + 8)) |
                 (load_word(left + tail) ^ load_word(right + tail)) |
                 (load_word(left + tail + 8) ^ load_word(right + tail + 8)));
    }
    if (length >= 8) {
        return !((load_word(left) ^ load_word(right)) | (load_word(left + length - 8) ^ load_word(right + length - 8)));
    }
    for (size_t offset = 0; offset < length; ++offset) {
        if (left[offset] != right[offset]) return false;
    }
    return true;
}

// The first bytes of a text that is compared often: one vector operation compares them all, whatever their count.
struct Prefix32 {
    uint8_t bytes[32];
    uint32_t ignored;  // a bit for each byte that is not compared: above all those after the text's end
};

inline Prefix32 prefix_of(const uint8_t *text, size_t length) {
    Prefix32 prefix{};
    std::memcpy(prefix.bytes, text, length < 32 ? length : 32);
    if (length < 32) prefix.ignored = ~uint32_t{0} << length;
    return prefix;
}

// Returns true if the 32 bytes at `pos` match the prefix.
inline bool has_prefix(const uint8_t *pos, const Prefix32 &prefix) {
    const Bytes16 lower = equal(load16(pos), load16(prefix.bytes));
    const Bytes16 upper = equal(load16(pos + 16), load16(prefix.bytes + 16));
    return (bits_of(lower, upper) | prefix.ignored) == ~uint32_t{0};
}

// How long the character beyond ASCII is with which `bytes` begin, the lowest of them first; 0 if it is not well-formed
// UTF-8 (RFC 3629: no surrogates, no over-long forms, nothing above U+10FFFF).
HISTSCAN_INLINE int utf8_length(uint32_t bytes) {
    if ((bytes & 0xC0E0) == 0x80C0) return bytes & 0x1E ? 2 : 0;
    if ((bytes & 0xC0C0F0) == 0x8080E0) {
        // The highest five of its sixteen bits: zeros are an over-long form, and 0b11011 are a surrogate.
        const uint32_t highest = bytes & 0x200F;
        return highest != 0 && highest != 0x200D ? 3 : 0;
    }
    if ((bytes & 0xC0C0C0F8) == 0x808080F0) {
        // The highest five of its 21 bits: planes 1 to 16.
        const uint32_t plane = (bytes & 0x07) << 2 | (bytes >> 12 & 0x03);
        return plane - 1 < 16 ? 4 : 0;
    }
    return 0;
}

// The first byte of [pos, end) that is beyond ASCII; `end` if there is none. `start` is where the readable bytes begin.
HISTSCAN_INLINE const uint8_t *find_beyond_ascii(const uint8_t *start, const uint8_t *pos, const uint8_t *end) {
    return find_marked(start, pos, end, [](Bytes16 text) { return marks_of(below_signed(text, fill16(0))); });
}

// The first byte of [begin, end) that is not part of well-formed UTF-8; `end` if all bytes are valid.
inline const uint8_t *find_invalid_utf8(const uint8_t *begin, const uint8_t *end) {
    const uint8_t *pos = begin;
    while ((pos = find_beyond_ascii(begin, pos, end)) < end) {
#if HISTSCAN_HAS_WIDE_VECTORS
        // Shorter ones are read as fast without a call.
        if (wide_vectors && end - pos >= 2 * wide_vector_size) {
            const uint8_t *const valid = skip_utf8_blocks(pos, end);
            if (valid != pos) {
                pos = valid;
                continue;
            }
        }
#endif
        // Where one character is beyond ASCII, the next one often is, too.
        do {
            uint32_t bytes = 0;
            if (HISTSCAN_LIKELY(end - pos >= 4)) {
                std::memcpy(&bytes, pos, sizeof bytes);
            } else {
                for (int place = 0; place < end - pos; ++place) bytes |= uint32_t{pos[place]} << 8 * place;
            }
            const int length = utf8_length(bytes);
            if (length == 0) return pos;
            pos += length;
        } while (pos < end && *pos >= 0x80);
    }
    return end;
}

}  // namespace histscan

#endif
