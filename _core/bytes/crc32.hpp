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
#if defined(__x86_64__)
#include <immintrin.h>
#endif

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
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        low = __builtin_bswap32(low);
        high = __builtin_bswap32(high);
#endif
        low ^= state;
        state = table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^ table[5][low >> 16 & 0xFF] ^ table[4][low >> 24] ^
                table[3][high & 0xFF] ^ table[2][high >> 8 & 0xFF] ^ table[1][high >> 16 & 0xFF] ^ table[0][high >> 24];
    }
    for (; length; ++pos, --length) state = (state >> 8) ^ table[0][(state ^ *pos) & 0xFF];
    return state;
}

#if defined(__x86_64__)
// One step of folding: `value` moved by the distance that `factors` encode, combined with `there`.
__attribute__((target("pclmul,sse4.1"))) inline __m128i crc32_fold(__m128i value, __m128i factors, __m128i there) {
    const __m128i low = _mm_clmulepi64_si128(value, factors, 0x00);
    const __m128i high = _mm_clmulepi64_si128(value, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), there);
}

// As crc32_by_tables, for at least 64 bytes. The factors are x^n mod P, bit-reflected, for the distances named.
__attribute__((target("pclmul,sse4.1"))) inline uint32_t crc32_by_folding(uint32_t state, const uint8_t *pos, size_t length) {
    const auto load = [](const uint8_t *at) __attribute__((target("sse2"))) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
    };
    const __m128i by_64_bytes = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_16_bytes = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    __m128i first = _mm_xor_si128(load(pos), _mm_cvtsi32_si128(static_cast<int>(state)));
    __m128i second = load(pos + 16), third = load(pos + 32), fourth = load(pos + 48);
    for (pos += 64, length -= 64; length >= 64; pos += 64, length -= 64) {
        first = crc32_fold(first, by_64_bytes, load(pos));
        second = crc32_fold(second, by_64_bytes, load(pos + 16));
        third = crc32_fold(third, by_64_bytes, load(pos + 32));
        fourth = crc32_fold(fourth, by_64_bytes, load(pos + 48));
    }
    first = crc32_fold(first, by_16_bytes, second);
    first = crc32_fold(first, by_16_bytes, third);
    first = crc32_fold(first, by_16_bytes, fourth);
    for (; length >= 16; pos += 16, length -= 16) first = crc32_fold(first, by_16_bytes, load(pos));
    // The folded value has the same remainder as all the bytes it came from; the tables finish it.
    uint8_t folded[16];
    _mm_storeu_si128(reinterpret_cast<__m128i *>(folded), first);
    return crc32_by_tables(crc32_by_tables(0, folded, sizeof folded), pos, length);
}

inline const bool crc32_can_fold = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#endif

// The checksum of a log's chunk: of its type byte and its data.
inline uint32_t chunk_crc32(uint8_t type, const uint8_t *data, size_t length) {
    uint32_t state = crc32_by_tables(0xFFFFFFFFu, &type, 1);
#if defined(__x86_64__)
    if (length >= 64 && crc32_can_fold) return ~crc32_by_folding(state, data, length);
#endif
    return ~crc32_by_tables(state, data, length);
}

}  // namespace histscan

#endif
