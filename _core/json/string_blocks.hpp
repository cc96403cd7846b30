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
HISTSCAN_INLINE uint32_t escape_begins(uint32_t backslashes) {
    constexpr uint32_t odd_places = 0xAAAAAAAAu;
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

}  // namespace histscan

#endif

#endif
