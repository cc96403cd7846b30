// The characters of JSON strings, a vector at a time: backslashes are left out without a branch for each of them.

#ifndef HISTSCAN_STRING_BLOCKS_HPP
#define HISTSCAN_STRING_BLOCKS_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/bytes.hpp"
#include "bytes/vectors.hpp"
#include "json/escape_table.hpp"

#if HISTSCAN_HAS_WIDE_VECTORS

namespace histscan {

// For each choice of eight bytes, of which the set bits are left out: the places of the other ones.
struct KeptPlaces {
    alignas(64) uint8_t places[256][8];

    constexpr KeptPlaces() : places{} {
        for (unsigned left_out = 0; left_out < 256; ++left_out) {
            int count = 0;
            for (uint8_t place = 0; place < 8; ++place) {
                if ((left_out >> place & 1) == 0) places[left_out][count++] = place;
            }
        }
    }
};

inline constexpr KeptPlaces kept_places{};

// The backslashes that begin an escape, of a bit for each backslash, the first of which is not escaped: where several
// follow each other, every second one. The subtraction carries a bit through each of these sequences, after simdjson
// (J. Keiser, "Find escaped characters", github.com/simdjson/simdjson/pull/2042).
template <typename Bits>
HISTSCAN_INLINE Bits escape_begins(Bits backslashes) {
    constexpr Bits odd_places = static_cast<Bits>(0xAAAAAAAAAAAAAAAAu);
    return ((((backslashes << 1) | odd_places) - backslashes) ^ odd_places) & backslashes;
}

// Writes 32 bytes without those that are `left_out`, from `out` on. All 32 bytes from there on may be overwritten.
HISTSCAN_WIDE HISTSCAN_INLINE void store_others(uint8_t *out, const uint8_t *pos, uint32_t left_out) {
    for (int group = 0; group < 4; ++group) {
        const uint32_t bits = left_out >> 8 * group & 0xFF;
        store_places(out, pos + 8 * group, kept_places.places[bits]);
        out += 8 - count_bits(bits);
    }
}

// Reads the characters of a string in whole vectors, up to its closing quote, or to what these can't read: other escapes
// than those of one letter, control characters, and the last 31 bytes. Bytes beyond ASCII are copied, unchecked. The
// first byte must not be escaped. Writes them from `*out` on, where there must be as much room as there are bytes, and
// moves it on. Returns where the next character begins.
HISTSCAN_WIDE HISTSCAN_NOINLINE const uint8_t *unescape_blocks(
    const uint8_t *pos, const uint8_t *const end, uint8_t **const out) {
    uint8_t *next = *out;
    bool is_stopped = false;
    while (!is_stopped && end - pos >= wide_vector_size) {
        const Bytes32 text = load32(pos);
        const uint32_t backslashes = bits_of(equal(text, fill32('\\'))), quotes = bits_of(equal(text, fill32('"')));
        uint32_t stops = quotes | bits_of(at_most(text, fill32(0x1F)));
        if ((backslashes | stops) == 0) {
            store32(next, text);
            next += wide_vector_size;
            pos += wide_vector_size;
            continue;
        }
        const uint32_t begins = escape_begins(backslashes), escaped = begins << 1;
        stops &= ~escaped;
        // An escape that begins with the last byte is left for the next vector.
        auto count = static_cast<uint32_t>(wide_vector_size) - (begins >> 31);
        if (stops) {
            is_stopped = true;
            count = static_cast<uint32_t>(trailing_zeros(stops));
        }
        store_others(next, pos, low_bits(begins, count));
        // A quote or a backslash means itself.
        for (uint32_t letters = low_bits(escaped & ~(quotes | backslashes), count); letters; letters &= letters - 1) {
            const int place = trailing_zeros(letters);
            const uint8_t meaning = escape_table.meaning[pos[place]];
            const auto escapes = count_bits(low_bits(begins, static_cast<uint32_t>(place)));
            if (!meaning) {
                count = static_cast<uint32_t>(place) - 1;
                is_stopped = true;
                break;
            }
            next[static_cast<uint32_t>(place) - escapes] = meaning;
        }
        next += count - count_bits(low_bits(begins, count));
        pos += count;
    }
    *out = next;
    return pos;
}

// What the first `count` of 64 bytes of a JSON string spell: `length` bytes of text. If `is_stopped`, a closing quote, a
// control character, or an escape that is malformed or a surrogate follows.
struct TextBlock {
    Bytes64 text;
    unsigned length, count;
    bool is_stopped;
};

// Characters that are escaped by their numbers, `\uXXXX`, in 64 bytes: the UTF-8 of each is in its last bytes.
struct NumberedBlock {
    Bytes64 text;
    uint64_t written, dropped;  // the bytes that are text, and those that are not
    uint64_t wrong;             // the backslashes of those that can't be read
    uint64_t cut_off;           // those of which the last bytes are missing
};

// Reads the escapes whose letters, `u`, have a bit in `letters`.
HISTSCAN_WIDEST HISTSCAN_INLINE NumberedBlock read_numbered_block(Bytes64 bytes, uint64_t letters) {
    constexpr uint64_t complete = ~uint64_t{0} >> 4;  // the places of letters behind which there are four digits
    const Bytes64 digits = entries_of(hex_digits.value, bytes), digits_before = moved_on<1>(fill64(0), digits);
    const uint64_t no_digit = bits_at_least_128(either(digits, bytes));
    const uint64_t not_small = bits_not_zero(digits_before), from_8 = bits_at_least(digits, 8);
    const uint64_t second = letters << 2, third = letters << 3, fourth = letters << 4;
    const uint64_t surrogates = second & bits_equal(digits_before, 0xD) & from_8;
    // From U+0800 on, the second digit becomes the first byte of three; from U+0080 on, the third one a byte.
    const uint64_t of_three = second & (not_small | from_8);
    const uint64_t of_more = third & (of_three << 1 | not_small | from_8);
    const Bytes64 upper = either(moved_up<2>(digits_before), both(moved_down<2>(digits), fill64(3)));
    const Bytes64 lower = either(moved_up<4>(digits_before), digits);
    Bytes64 text = bytes_of(lower, either(both(lower, fill64(0x3F)), fill64(0x80)), of_more << 1);
    text = bytes_of(text, either(upper, fill64(0xC0)), of_more);
    text = bytes_of(text, either(upper, fill64(0x80)), of_three << 1);
    text = bytes_of(text, either(digits_before, fill64(0xE0)), of_three);
    const uint64_t malformed = letters & (no_digit >> 1 | no_digit >> 2 | no_digit >> 3 | no_digit >> 4);
    return {text, of_three | of_more | fourth,
        letters >> 1 | letters | letters << 1 | (second & ~of_three) | (third & ~of_more),
        ((malformed & complete) | surrogates >> 2) >> 1, (letters & ~complete) >> 1};
}

// Reads 64 bytes of a string, the first of which must not be escaped, up to the first one that has a bit in `ends`. Zeros
// behind its last byte are control characters. Bytes beyond ASCII are left as they are, unchecked.
HISTSCAN_WIDEST HISTSCAN_INLINE TextBlock unescape_block(Bytes64 bytes, uint64_t ends = 0) {
    constexpr uint64_t last = uint64_t{1} << 63;
    const uint64_t begins = escape_begins(bits_equal(bytes, '\\')), escaped = begins << 1;
    const Bytes64 meanings = entries_of(escape_table.meaning, bytes);
    const uint64_t unknown = escaped & (bits_equal(meanings, 0) | bits_at_least_128(bytes));
    uint64_t stops = (bits_equal(bytes, '"') | bits_at_most(bytes, 0x1F)) & ~escaped;
    // An escape that ends behind the last byte is left for the next vector.
    ends |= begins & last;
    uint64_t dropped = begins;
    Bytes64 text = bytes_of(bytes, meanings, escaped);
    if (unknown) {
        const uint64_t numbered = unknown & bits_equal(bytes, 'u');
        const NumberedBlock block = read_numbered_block(bytes, numbered);
        text = bytes_of(text, block.text, block.written);
        dropped |= block.dropped;
        stops |= block.wrong | (unknown & ~numbered) >> 1;
        ends |= block.cut_off;
    }
    const unsigned count = trailing_zeros_widest(stops | ends);
    const uint64_t kept = low_bits(~dropped, count);
    return {packed(text, kept), count_bits(kept), count, low_bits(stops, count + 1) != 0};
}

// As `unescape_blocks`, but the last bytes can be read, too: there need be as much room as the text takes, and no more.
HISTSCAN_WIDEST HISTSCAN_NOINLINE const uint8_t *unescape_widest_blocks(
    const uint8_t *pos, const uint8_t *const end, uint8_t **const out) {
    uint8_t *next = *out;
    bool is_stopped = false;
    while (!is_stopped && pos < end) {
        const TextBlock block = unescape_block(load64_up_to(pos, end));
        store64(next, block.text, low_bits(~uint64_t{0}, block.length));
        next += block.length;
        pos += block.count;
        is_stopped = block.is_stopped;
    }
    *out = next;
    return pos;
}

}  // namespace histscan

#endif

#endif
