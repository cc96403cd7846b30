// `Bytes64` on x86-64 with AVX-512, of which BW, VBMI and VBMI2 are needed; see `vectors.hpp`.
//
// Comparisons give a bit for each byte, the lowest for the first one.

#ifndef HISTSCAN_VECTORS_AVX512_HPP
#define HISTSCAN_VECTORS_AVX512_HPP

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "bytes/compiler.hpp"
#include "bytes/vectors_avx2.hpp"

namespace histscan {

// True if the processor and the system support HISTSCAN_WIDEST functions, and HISTSCAN_BASELINE does not disable them.
inline bool has_widest_vectors() {
    return has_wide_vectors() && !is_avx2_the_most() && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
}

static const bool widest_vectors = has_widest_vectors();

constexpr const char *widest_vector_name = "AVX-512";

using Bytes64 = __m512i;

constexpr ptrdiff_t widest_vector_size = sizeof(Bytes64);

// The lowest `count` bits, up to 64.
HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t low_bits(uint64_t bits, unsigned count) { return _bzhi_u64(bits, count); }

// Counts the zeros below the lowest set bit: 64 if none is set.
HISTSCAN_WIDEST HISTSCAN_INLINE unsigned trailing_zeros_widest(uint64_t bits) {
    return static_cast<unsigned>(_tzcnt_u64(bits));
}

// How many bits are set.
HISTSCAN_WIDEST HISTSCAN_INLINE uint32_t count_bits(uint64_t bits) {
    return static_cast<uint32_t>(_mm_popcnt_u64(bits));
}

HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 load64(const uint8_t *pos) { return _mm512_loadu_si512(pos); }
// The bytes that have a bit in `wanted`, and zeros; others need not be readable.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 load64(const uint8_t *pos, uint64_t wanted) {
    return _mm512_maskz_loadu_epi8(wanted, pos);
}
// The 64 bytes at `pos`, as far as there are any, then zeros.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 load64_up_to(const uint8_t *pos, const uint8_t *end) {
    if (HISTSCAN_LIKELY(end - pos >= widest_vector_size)) return load64(pos);
    return load64(pos, low_bits(~uint64_t{0}, static_cast<unsigned>(end - pos)));
}
HISTSCAN_WIDEST HISTSCAN_INLINE void store64(void *out, Bytes64 bytes) { _mm512_storeu_si512(out, bytes); }
// Stores the bytes that have a bit in `wanted`; others need not be writable.
HISTSCAN_WIDEST HISTSCAN_INLINE void store64(uint8_t *out, Bytes64 bytes, uint64_t wanted) {
    _mm512_mask_storeu_epi8(out, wanted, bytes);
}

HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 fill64(uint8_t byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
// The 16 bytes at `pos`, four times.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 four_times(const uint8_t *pos) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(pos)));
}

HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 either(Bytes64 a, Bytes64 b) { return _mm512_or_si512(a, b); }
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 both(Bytes64 a, Bytes64 b) { return _mm512_and_si512(a, b); }
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 differing(Bytes64 a, Bytes64 b) { return _mm512_xor_si512(a, b); }
// a - b for each byte; 0 where that is negative.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 subtract_to_zero(Bytes64 a, Bytes64 b) { return _mm512_subs_epu8(a, b); }
// Each number of 16 bits times, or divided by, a power of two. Of bytes: bits that leave a byte are in its neighbour.
template <int bits>
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 moved_up(Bytes64 bytes) {
    return _mm512_slli_epi16(bytes, bits);
}
template <int bits>
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 moved_down(Bytes64 bytes) {
    return _mm512_srli_epi16(bytes, bits);
}
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 high_halves(Bytes64 bytes) { return moved_down<4>(bytes); }
// The last `count` bytes of `before`, then all but the last `count` of `bytes`.
template <int count>
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 moved_on(Bytes64 before, Bytes64 bytes) {
    // All of them are wanted. GCC 12 warns of the version without a mask.
    return _mm512_alignr_epi8(bytes, _mm512_maskz_alignr_epi64(0xFF, bytes, before, 6), 16 - count);
}

HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t bits_not_zero(Bytes64 bytes) { return _mm512_test_epi8_mask(bytes, bytes); }
HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t bits_equal(Bytes64 bytes, uint8_t byte) {
    return _mm512_cmpeq_epi8_mask(bytes, fill64(byte));
}
HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t bits_at_most(Bytes64 bytes, uint8_t byte) {
    return _mm512_cmple_epu8_mask(bytes, fill64(byte));
}
HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t bits_at_least(Bytes64 bytes, uint8_t byte) {
    return _mm512_cmpge_epu8_mask(bytes, fill64(byte));
}
HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t bits_below_signed(Bytes64 bytes, int8_t byte) {
    return _mm512_cmplt_epi8_mask(bytes, _mm512_set1_epi8(byte));
}
HISTSCAN_WIDEST HISTSCAN_INLINE uint64_t bits_at_least_128(Bytes64 bytes) { return _mm512_movepi8_mask(bytes); }

// The entry of each byte in a table of 16 bytes, which is there four times; no byte may be above 15.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 entries_of(Bytes64 table, Bytes64 bytes) {
    return _mm512_shuffle_epi8(table, bytes);
}
// The entry for each byte of a table of 128 bytes; the highest bits of the bytes are ignored.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 entries_of(const uint8_t *table, Bytes64 bytes) {
    return _mm512_permutex2var_epi8(load64(table), bytes, load64(table + widest_vector_size));
}
// The bytes of `a`; those of `b` where a bit is set.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 bytes_of(Bytes64 a, Bytes64 b, uint64_t bits) {
    return _mm512_mask_mov_epi8(a, bits, b);
}
// The bytes that have a bit in `kept`, one after the other, then zeros.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 packed(Bytes64 bytes, uint64_t kept) {
    return _mm512_maskz_compress_epi8(kept, bytes);
}

// The first and the last 32 bytes as numbers of 16 bits.
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 lower_units(Bytes64 bytes) {
    return _mm512_cvtepu8_epi16(_mm512_castsi512_si256(bytes));
}
HISTSCAN_WIDEST HISTSCAN_INLINE Bytes64 upper_units(Bytes64 bytes) {
    return _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(bytes, 1));
}

}  // namespace histscan

#endif
