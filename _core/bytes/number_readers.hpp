// How a row's loop compares members and reads numbers: as any processor can, or with vectors of 32 bytes.

#ifndef HISTSCAN_NUMBER_READERS_HPP
#define HISTSCAN_NUMBER_READERS_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/bytes.hpp"
#include "bytes/plain_number.hpp"
#include "bytes/vectors.hpp"

namespace histscan {

// The length of a plain JSON key of less than 32 bytes with its colon, behind which a value begins without white space; 0
// if it is any other one. `special` are the bits of the first 32 bytes behind the opening quote at `pos`, before which
// there is a backslash if the key `is_quoted`, as in json_quoted.hpp. `plain_key_room` bytes must be readable.
HISTSCAN_INLINE ptrdiff_t plain_key_length(const uint8_t *pos, uint32_t special, bool is_quoted) {
    if (special == 0) return 0;
    const uint8_t *closing = pos + 1 + is_quoted + trailing_zeros(special);
    if (is_quoted && *closing++ != '\\') return 0;
    return closing[0] == '"' && closing[1] == ':' && closing[2] > ' ' ? closing + 2 - pos : 0;
}

// The opening quote with its backslash, the vector, and what is looked at behind it.
constexpr ptrdiff_t plain_key_room = 2 + 32 + 3;

struct NarrowVectors {
    // As the function of this name; 0, too, if fewer bytes are readable.
    ptrdiff_t plain_key_length(const uint8_t *pos, const uint8_t *end, bool is_quoted) const {
        if (end - pos < plain_key_room) return 0;
        const uint8_t *const text = pos + 1 + is_quoted;
        const uint32_t special = bits_of(special_bytes(load16(text)), special_bytes(load16(text + 16)));
        return histscan::plain_key_length(pos, special, is_quoted);
    }
    // Returns true if the 32 bytes at `pos` match the prefix.
    bool begins_with(const uint8_t *pos, const Prefix32 &prefix) const { return has_prefix(pos, prefix); }

    // Reads the number that is all of [pos, end) if it is a plain one; `start` is where the readable bytes begin.
    // `has_lookbehind`: `wide_number_lookbehind` bytes before the end are known to be readable.
    template <bool has_lookbehind>
    PlainKind read_number(const uint8_t *pos, const uint8_t *end, const uint8_t *start, uint64_t *bits) const {
        const PlainNumber number = read_plain_number_narrow(pos, end, start);
        if (number.kind != NOT_PLAIN) *bits = number.bits;
        return number.kind;
    }
    // The number of bytes from `pos` to the first comma or closing brace; 0 if unknown.
    ptrdiff_t length_of_number(const uint8_t *pos, const uint8_t *end, const uint8_t *) const {
        return find_number_end(pos, end) - pos;
    }
    // The length of the plain number at `pos` if a comma follows it; 0 if unknown.
    ptrdiff_t length_of_plain_number(const uint8_t *pos, const uint8_t *end) const {
        return plain_number_length(pos, end);
    }
};

#if HISTSCAN_HAS_WIDE_VECTORS

// The same with vectors of 32 bytes, where `wide_vectors` is true.
class WideVectors {
public:
    WideVectors() : tables_(&opaque_tables()) {}

    HISTSCAN_WIDE ptrdiff_t plain_key_length(const uint8_t *pos, const uint8_t *end, bool is_quoted) const {
        if (end - pos < plain_key_room) return 0;
        const uint32_t special = bits_of(special_bytes(load32(pos + 1 + is_quoted)));
        return histscan::plain_key_length(pos, special, is_quoted);
    }
    HISTSCAN_WIDE bool begins_with(const uint8_t *pos, const Prefix32 &prefix) const {
        return (bits_of(equal(load32(pos), load32(prefix.bytes))) | prefix.ignored) == ~uint32_t{0};
    }
    template <bool has_lookbehind>
    HISTSCAN_WIDE PlainKind read_number(
        const uint8_t *pos, const uint8_t *end, const uint8_t *start, uint64_t *bits) const {
        if (!has_lookbehind && HISTSCAN_UNLIKELY(end - start < wide_number_lookbehind)) {
            return NarrowVectors().read_number<false>(pos, end, start, bits);
        }
        return read_plain_number_wide(pos, end, *tables_, bits);
    }
    HISTSCAN_WIDE ptrdiff_t length_of_number(const uint8_t *pos, const uint8_t *end, const uint8_t *start) const {
        return number_length(pos, end, start, *tables_);
    }
    HISTSCAN_WIDE ptrdiff_t length_of_plain_number(const uint8_t *pos, const uint8_t *end) const {
        return plain_number_length_wide(pos, end, *tables_);
    }

private:
    const NumberTables *tables_;
};

#endif

}  // namespace histscan

#endif
