// CRC-32 as of IEEE 802.3 (reflected, polynomial 0xEDB88320): the checksum of a log's chunks.
//
// Where an x86-64 processor has carry-less multiplication, 64 bytes are folded at a time, after V. Gopal et al., "Fast
// CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009; AArch64 has instructions for this
// polynomial. Elsewhere eight tables of 256 entries take eight bytes at a time (M. Kounavis and F. Berry, "A Systematic
// Approach to Building High Performance Software-based CRC Generators", 2005).

#ifndef HISTSCAN_CRC32_HPP
#define HISTSCAN_CRC32_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bytes/compiler.hpp"
#include "bytes/prefetch.hpp"
#include "bytes/vectors.hpp"

namespace histscan {

struct Crc32Tables {
    uint32_t entry[8][256];

    constexpr Crc32Tables() : entry{} {
        for (uint32_t byte = 0; byte < 256; ++byte) {
            uint32_t remainder = byte;
            for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ (remainder & 1 ? 0xEDB88320u : 0);
            entry[0][byte] = remainder;
        }
        for (int table = 1; table < 8; ++table) {
            for (int byte = 0; byte < 256; ++byte) {
                const uint32_t before = entry[table - 1][byte];
                entry[table][byte] = (before >> 8) ^ entry[0][before & 0xFF];
            }
        }
    }
};

inline constexpr Crc32Tables crc32_tables{};

// Continues from the remainder `state` (not complemented) over `length` bytes.
inline uint32_t crc32_by_tables(uint32_t state, const uint8_t *pos, size_t length) {
    const auto &table = crc32_tables.entry;
    for (; length >= 8; pos += 8, length -= 8) {
        uint32_t low, high;
        std::memcpy(&low, pos, 4);
        std::memcpy(&high, pos + 4, 4);
        low ^= state;
        state = table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^ table[5][low >> 16 & 0xFF] ^ table[4][low >> 24] ^
                table[3][high & 0xFF] ^ table[2][high >> 8 & 0xFF] ^ table[1][high >> 16 & 0xFF] ^ table[0][high >> 24];
    }
    for (; length; ++pos, --length) state = (state >> 8) ^ table[0][(state ^ *pos) & 0xFF];
    return state;
}

#if HISTSCAN_HAS_FOLDING

// x^n mod P, as factors of carry-less products are: bit-reflected, the highest power in bit 32.
constexpr uint64_t power_of_x(int n) {
    uint32_t remainder = 0x80000000u;
    for (; n; --n) remainder = (remainder >> 1) ^ (remainder & 1 ? 0xEDB88320u : 0);
    return uint64_t{remainder} << 1;
}

// The factors that move the two halves of a vector on by so many bytes.
template <int bytes>
HISTSCAN_INLINE Bytes16 factors_of() {
    constexpr uint64_t first = power_of_x(8 * bytes + 32), second = power_of_x(8 * bytes - 32);
    return from_words(first, second);
}

// That of a word of 32 bits over another; P; and the quotient of x^64 and P. All are reflected.
constexpr uint64_t word_factor = power_of_x(64), crc32_polynomial = 0x1DB710641, crc32_quotient = 0x1F7011641;

// The remainder of a vector that all bytes before `pos` were folded into, and of fewer than 16 bytes behind it; the 16
// bytes before the end of these must be readable.
HISTSCAN_FOLDING HISTSCAN_INLINE uint32_t remainder_of(Bytes16 folded, const uint8_t *pos, size_t length) {
    // No place, sixteen places, no place.
    static constexpr uint8_t places[48] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255};
    if (length != 0) {
        // The first `length` bytes of the vector are folded into its other ones and the rest.
        const Bytes16 first = bytes_at(folded, load16(places + length));
        const Bytes16 kept = load16(places + 16 + length);
        folded = fold(first, factors_of<16>(), bytes_of(bytes_at(folded, kept), load16(pos + length - 16), kept));
    }
    // From 128 bits to 64, and by Barrett's reduction to 32.
    const Bytes16 alternate = from_words(0xFFFFFFFF, 0xFFFFFFFF);
    const Bytes16 words = differing(bytes_from<8>(folded), product_with_upper(folded, factors_of<16>()));
    const Bytes16 word =
        differing(bytes_from<4>(words), product_with_lower(both(words, alternate), from_words(word_factor, 0)));
    const Bytes16 barrett = from_words(crc32_polynomial, crc32_quotient);
    const Bytes16 quotient = both(product_with_upper(both(word, alternate), barrett), alternate);
    return second_number(differing(word, product_with_lower(quotient, barrett)));
}

// As crc32_by_tables, for at least 16 bytes.
HISTSCAN_FOLDING inline uint32_t crc32_by_folding(uint32_t state, const uint8_t *pos, size_t length) {
    const Bytes16 by_16 = factors_of<16>();
    Bytes16 first = differing(load16(pos), from_words(state, 0));
    pos += 16, length -= 16;
    if (length >= 48) {
        const Bytes16 by_64 = factors_of<64>();
        Bytes16 second = load16(pos), third = load16(pos + 16), fourth = load16(pos + 32);
        for (pos += 48, length -= 48; length >= 64; pos += 64, length -= 64) {
            prefetch_ahead(pos);
            first = fold(first, by_64, load16(pos));
            second = fold(second, by_64, load16(pos + 16));
            third = fold(third, by_64, load16(pos + 32));
            fourth = fold(fourth, by_64, load16(pos + 48));
        }
        first = fold(first, by_16, second);
        first = fold(first, by_16, third);
        first = fold(first, by_16, fourth);
    }
    for (; length >= 16; pos += 16, length -= 16) first = fold(first, by_16, load16(pos));
    return remainder_of(first, pos, length);
}

// As crc32_by_tables, for at least 64 bytes.
HISTSCAN_WIDE_FOLDING inline uint32_t crc32_by_wide_folding(uint32_t state, const uint8_t *pos, size_t length) {
    const Bytes32 by_64 = twice(factors_of<64>());
    Bytes32 first = differing(load32(pos), then_zeros(from_words(state, 0))), second = load32(pos + 32);
    for (pos += 64, length -= 64; length >= 64; pos += 64, length -= 64) {
        prefetch_ahead(pos);
        first = fold(first, by_64, load32(pos));
        second = fold(second, by_64, load32(pos + 32));
    }
    first = fold(first, twice(factors_of<32>()), second);
    const Bytes16 by_16 = factors_of<16>();
    Bytes16 folded = fold(lower_half(first), by_16, upper_half(first));
    for (; length >= 16; pos += 16, length -= 16) folded = fold(folded, by_16, load16(pos));
    return remainder_of(folded, pos, length);
}

#endif

#if HISTSCAN_HAS_CRC

// As crc32_by_tables.
HISTSCAN_CRC inline uint32_t crc32_by_instructions(uint32_t state, const uint8_t *pos, size_t length) {
    for (; length >= 8; pos += 8, length -= 8) {
        prefetch_ahead(pos);
        uint64_t word;
        std::memcpy(&word, pos, 8);
        state = add_to_crc32(state, word);
    }
    for (; length; ++pos, --length) state = add_to_crc32(state, *pos);
    return state;
}

#endif

// The checksum of a log's chunk: of its type byte and its data.
inline uint32_t chunk_crc32(uint8_t type, const uint8_t *data, size_t length) {
    const uint32_t state = crc32_by_tables(0xFFFFFFFFu, &type, 1);
#if HISTSCAN_HAS_FOLDING
    if (length >= 64 && wide_carryless_products) return ~crc32_by_wide_folding(state, data, length);
    if (length >= 16 && carryless_products) return ~crc32_by_folding(state, data, length);
#endif
#if HISTSCAN_HAS_CRC
    if (crc_instructions) return ~crc32_by_instructions(state, data, length);
#endif
    return ~crc32_by_tables(state, data, length);
}

}  // namespace histscan

#endif
