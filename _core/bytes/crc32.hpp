// CRC-32 as of IEEE 802.3 (reflected, polynomial 0xEDB88320): the checksum of a log's chunks.
//
// Where the processor has carry-less multiplication, 64 bytes are folded at a time, after V. Gopal et al., "Fast CRC
// Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009; elsewhere eight tables of 256
// entries take eight bytes at a time (M. Kounavis and F. Berry, "A Systematic Approach to Building High Performance
// Software-based CRC Generators", 2005).

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

// As crc32_by_tables, for at least 64 bytes. The factors are x^n mod P, bit-reflected, for the distances named.
HISTSCAN_FOLDING inline uint32_t crc32_by_folding(uint32_t state, const uint8_t *pos, size_t length) {
    const Bytes16 by_64_bytes = from_words(0x0154442bd4, 0x01c6e41596);
    const Bytes16 by_16_bytes = from_words(0x01751997d0, 0x00ccaa009e);
    Bytes16 first = differing(load16(pos), from_words(state, 0));
    Bytes16 second = load16(pos + 16), third = load16(pos + 32), fourth = load16(pos + 48);
    for (pos += 64, length -= 64; length >= 64; pos += 64, length -= 64) {
        prefetch_ahead(pos);
        first = fold(first, by_64_bytes, load16(pos));
        second = fold(second, by_64_bytes, load16(pos + 16));
        third = fold(third, by_64_bytes, load16(pos + 32));
        fourth = fold(fourth, by_64_bytes, load16(pos + 48));
    }
    first = fold(first, by_16_bytes, second);
    first = fold(first, by_16_bytes, third);
    first = fold(first, by_16_bytes, fourth);
    for (; length >= 16; pos += 16, length -= 16) first = fold(first, by_16_bytes, load16(pos));
    // The folded value has the same remainder as all the bytes it came from; the tables finish it.
    uint8_t folded[16];
    store16(folded, first);
    return crc32_by_tables(crc32_by_tables(0, folded, sizeof folded), pos, length);
}

#endif

// The checksum of a log's chunk: of its type byte and its data.
inline uint32_t chunk_crc32(uint8_t type, const uint8_t *data, size_t length) {
    uint32_t state = crc32_by_tables(0xFFFFFFFFu, &type, 1);
#if HISTSCAN_HAS_FOLDING
    if (length >= 64 && carryless_products) return ~crc32_by_folding(state, data, length);
#endif
    return ~crc32_by_tables(state, data, length);
}

}  // namespace histscan

#endif
