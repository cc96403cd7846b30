// The characters of JSON strings for a str, 64 bytes at a time with AVX-512: as long as all are of ASCII, as bytes; then as
// numbers of 16 bits, as far as all are below U+10000.

#ifndef HISTSCAN_STRING_UNITS_HPP
#define HISTSCAN_STRING_UNITS_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/cursor.hpp"
#include "bytes/utf8_blocks.hpp"
#include "bytes/vectors.hpp"
#include "json/string_blocks.hpp"
#include "json/string_text.hpp"

#if HISTSCAN_HAS_WIDE_VECTORS

namespace histscan {

// The bits of a byte of UTF-8 that belong to its character, by the upper half of the byte.
struct Utf8Payload {
    uint8_t bits[16] = {0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 0x3F, 0x3F, 0x3F, 0x3F, 0x1F, 0x1F, 0x0F, 0x07};
};

inline constexpr Utf8Payload utf8_payload{};

// Up to 64 characters.
struct UnitBlock {
    Bytes64 lower, upper;
    unsigned count;
};

// The characters of `length` bytes of well-formed UTF-8, none of which has four bytes; zeros follow them.
HISTSCAN_WIDEST HISTSCAN_INLINE UnitBlock units_of(Bytes64 text, unsigned length) {
    const uint64_t continued = bits_at_least_128(text) & ~bits_at_least(text, 0xC0);
    const Bytes64 none = fill64(0);
    const Bytes64 payload =
        both(text, entries_of(four_times(utf8_payload.bits), both(high_halves(text), fill64(0x0F))));
    const Bytes64 before = bytes_of(none, moved_on<1>(none, payload), continued);
    const Bytes64 before_that = bytes_of(none, moved_on<2>(none, payload), continued & continued << 1);
    // What a character has is gathered at its last byte.
    const uint64_t ends = low_bits(~(continued >> 1), length);
    const Bytes64 last = packed(payload, ends), second = packed(before, ends), third = packed(before_that, ends);
    return {either(either(lower_units(last), moved_up<6>(lower_units(second))), moved_up<12>(lower_units(third))),
        either(either(upper_units(last), moved_up<6>(upper_units(second))), moved_up<12>(upper_units(third))),
        count_bits(ends)};
}

// Continues to read a string, and writes its characters from `out` on, where there is room for a vector more than there
// are bytes. Returns true at the closing quote; false before 64 bytes that are not all of ASCII, and before what
// `unescape_block` can't read.
HISTSCAN_WIDEST HISTSCAN_NOINLINE bool read_ascii_blocks(StringReading *reading, uint8_t *out) {
    const uint8_t *pos = reading->pos, *const end = reading->end;
    size_t count = reading->count;
    bool is_stopped = false;
    while (!is_stopped) {
        const TextBlock block = unescape_block(load64_up_to(pos, end));
        if (bits_at_least_128(block.text)) break;
        store64(out + count, block.text);
        count += block.length;
        pos += block.count;
        is_stopped = block.is_stopped;
    }
    reading->pos = pos;
    reading->count = count;
    return is_stopped && byte_at(pos, end) == '"';
}

// As `read_ascii_blocks`, for characters of 16 bits: stops before 64 bytes that are not all UTF-8, or have characters of
// four bytes.
HISTSCAN_WIDEST HISTSCAN_NOINLINE bool read_unit_blocks(StringReading *reading, uint16_t *out) {
    constexpr ptrdiff_t half = widest_vector_size / 2;
    const uint8_t *pos = reading->pos, *const end = reading->end;
    size_t count = reading->count;
    bool is_stopped = false;
    while (!is_stopped) {
        const Bytes64 bytes = load64_up_to(pos, end);
        // A character that is cut off is left for the next vector.
        const TextBlock block = unescape_block(bytes, cut_off_bits(bytes));
        // What a character lacks is a fault of the byte behind it.
        const uint64_t faults = bits_at_least_128(bytes) ? utf8_fault_bits(fill64(0), bytes) : 0;
        if (low_bits(faults, block.count + 1) || bits_at_least(block.text, 0xF0)) break;
        const UnitBlock units = units_of(block.text, block.length);
        store64(out + count, units.lower);
        if (units.count > half) store64(out + count + half, units.upper);
        count += units.count;
        pos += block.count;
        is_stopped = block.is_stopped;
    }
    reading->pos = pos;
    reading->count = count;
    return is_stopped && byte_at(pos, end) == '"';
}

}  // namespace histscan

#endif

#endif
