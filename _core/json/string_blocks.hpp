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
// control character, or another escape than those of one letter follows.
struct TextBlock {
    Bytes64 text;
    unsigned length, count;
    bool is_stopped;
};

// Reads 64 bytes of a string, the first of which must not be escaped. Zeros behind its last byte are control characters.
// Bytes beyond ASCII are left as they are, unchecked.
HISTSCAN_WIDEST HISTSCAN_INLINE TextBlock unescape_block(Bytes64 bytes) {
    const uint64_t begins = escape_begins(bits_equal(bytes, '\\')), escaped = begins << 1;
    const Bytes64 meanings = entries_of(escape_table.meaning, bytes);
    const uint64_t unknown = escaped & (bits_equal(meanings, 0) | bits_at_least_128(bytes));
    const uint64_t stops = ((bits_equal(bytes, '"') | bits_at_most(bytes, 0x1F)) & ~escaped) | unknown >> 1;
    // An escape that begins with the last byte is left for the next vector: its bit counts as a stop.
    const unsigned count = trailing_zeros_widest(stops | (begins & uint64_t{1} << 63));
    const uint64_t kept = low_bits(~begins, count);
    return {packed(bytes_of(bytes, meanings, escaped), kept), count_bits(kept), count, stops != 0};
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
