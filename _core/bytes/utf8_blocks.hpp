// UTF-8 validated 32 bytes at a time, after J. Keiser and D. Lemire, "Validating UTF-8 In Less Than One Instruction Per
// Byte", Software: Practice and Experience 51 (5), 2021.

#ifndef HISTSCAN_UTF8_BLOCKS_HPP
#define HISTSCAN_UTF8_BLOCKS_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/vectors.hpp"

#if HISTSCAN_HAS_WIDE_VECTORS

namespace histscan {

// What may be wrong with two bytes that follow each other. Each of three tables, of half a byte, says what it allows:
// what all of them allow is wrong.
struct Utf8Faults {
    enum : uint8_t {
        too_short = 1 << 0,   // a lead, or one of ASCII, where a lead needs another byte
        too_long = 1 << 1,    // ASCII and another byte
        overlong_3 = 1 << 2,  // three bytes below U+0800
        too_large = 1 << 3,   // above U+10FFFF
        surrogate = 1 << 4,
        overlong_2 = 1 << 5,               // two bytes below U+0080
        too_large_or_overlong_4 = 1 << 6,  // above U+13FFFF, or four bytes below U+10000
        two_continued = 1 << 7,            // two bytes that continue a character: wrong unless it has three or four
        any_lead = too_short | too_long | two_continued,
    };

    alignas(32) uint8_t first_high[32], first_low[32], second_high[32];
    uint8_t last_complete[64];  // the highest byte at each place of a vector behind which its character may end

    constexpr Utf8Faults() : first_high{}, first_low{}, second_high{}, last_complete{} {
        for (uint8_t &highest : last_complete) highest = 0xFF;
        last_complete[61] = 0xEF, last_complete[62] = 0xDF, last_complete[63] = 0xBF;
        constexpr uint8_t continued = too_long | overlong_2 | two_continued;
        for (int place = 0; place < 32; ++place) {
            const int half = place % 16;
            first_high[place] = half < 8      ? too_long
                                : half < 0xC  ? two_continued
                                : half == 0xC ? too_short | overlong_2
                                : half == 0xD ? too_short
                                : half == 0xE ? too_short | overlong_3 | surrogate
                                              : too_short | too_large | too_large_or_overlong_4;
            first_low[place] = half == 0     ? any_lead | overlong_3 | overlong_2 | too_large_or_overlong_4
                               : half == 1   ? any_lead | overlong_2
                               : half < 4    ? any_lead
                               : half == 4   ? any_lead | too_large
                               : half == 0xD ? any_lead | too_large | too_large_or_overlong_4 | surrogate
                                             : any_lead | too_large | too_large_or_overlong_4;
            second_high[place] = half < 8 || half >= 0xC ? too_short
                                 : half == 8             ? continued | overlong_3 | too_large_or_overlong_4
                                 : half == 9             ? continued | overlong_3 | too_large
                                                         : continued | surrogate | too_large;
        }
    }
};

inline constexpr Utf8Faults utf8_faults{};

// Skips characters in whole vectors, as far as they are well-formed and not all of ASCII. `pos` must be where a
// character begins; returns where another one does, before the first fault.
HISTSCAN_WIDE HISTSCAN_NOINLINE const uint8_t *skip_utf8_blocks(const uint8_t *pos, const uint8_t *const end) {
    const Bytes32 first_high = load32_aligned(utf8_faults.first_high),
                  first_low = load32_aligned(utf8_faults.first_low);
    const Bytes32 second_high = load32_aligned(utf8_faults.second_high), low_half = fill32(0x0F);
    const uint8_t *const begin = pos;
    Bytes32 before = fill32(0);
    for (; end - pos >= wide_vector_size; pos += wide_vector_size) {
        const Bytes32 text = load32(pos);
        const Bytes32 first = moved_on<1>(before, text);
        const Bytes32 found = both(both(entries_of(first_high, both(high_halves(first), low_half)),
                                       entries_of(first_low, both(first, low_half))),
            entries_of(second_high, both(high_halves(text), low_half)));
        // Two bytes after a lead of three, and three after one of four, another one continues the character.
        const Bytes32 third = subtract_to_zero(moved_on<2>(before, text), fill32(0xE0 - 0x80));
        const Bytes32 fourth = subtract_to_zero(moved_on<3>(before, text), fill32(0xF0 - 0x80));
        const Bytes32 fault = differing(both(either(third, fourth), fill32(0x80)), found);
        if (!is_zero(fault) || (bits_of(text) | bits_of(before)) == 0) break;
        before = text;
    }
    // The last character may be complete only behind the last vector.
    for (int back = 1; back <= 3 && pos - begin >= back; ++back) {
        const uint8_t byte = pos[-back];
        if (byte < 0x80) break;
        if (byte >= 0xC0) {
            const int length = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
            return length > back ? pos - back : pos;
        }
    }
    return pos;
}

// A bit for each byte with which a character begins that ends only behind the vector.
HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t cut_off_bits(Bytes64 text) {
    return bits_not_zero(subtract_to_zero(text, load64(utf8_faults.last_complete)));
}

// A bit for each byte of `text` at which its UTF-8 turns out to be wrong; `before` are the 64 bytes before it, or zeros
// where its first byte must begin a character.
HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t utf8_fault_bits(Bytes64 before, Bytes64 text) {
    const Bytes64 first_high = four_times(utf8_faults.first_high), first_low = four_times(utf8_faults.first_low);
    const Bytes64 second_high = four_times(utf8_faults.second_high), low_half = fill64(0x0F);
    const Bytes64 first = moved_on<1>(before, text);
    const Bytes64 found = both(
        both(entries_of(first_high, both(high_halves(first), low_half)), entries_of(first_low, both(first, low_half))),
        entries_of(second_high, both(high_halves(text), low_half)));
    const Bytes64 third = subtract_to_zero(moved_on<2>(before, text), fill64(0xE0 - 0x80));
    const Bytes64 fourth = subtract_to_zero(moved_on<3>(before, text), fill64(0xF0 - 0x80));
    return bits_not_zero(differing(both(either(third, fourth), fill64(0x80)), found));
}

}  // namespace histscan

#endif

#endif
