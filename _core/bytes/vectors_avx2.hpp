// `Bytes32` on x86-64 with AVX2, and the other instructions that are detected at run time; see `vectors.hpp`.
//
// CPU features are detected once, when a module is loaded; nothing is compiled for the machine that compiles. The
// environment variable HISTSCAN_BASELINE=1 selects the baseline versions, and HISTSCAN_BASELINE=AVX2 those that need
// nothing newer.

#ifndef HISTSCAN_VECTORS_AVX2_HPP
#define HISTSCAN_VECTORS_AVX2_HPP

#include <cpuid.h>
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "bytes/compiler.hpp"
#include "bytes/vectors_sse2.hpp"

namespace histscan {

// Returns true if HISTSCAN_BASELINE is set to this.
inline bool is_baseline(const char *wanted) {
    const char *baseline = std::getenv("HISTSCAN_BASELINE");
    return std::strcmp(baseline == nullptr ? "" : baseline, wanted) == 0;
}

// True if what is newer than AVX2 is disabled.
inline bool is_avx2_the_most() { return is_baseline("AVX2"); }

// True if the processor and the system support HISTSCAN_WIDE functions, and HISTSCAN_BASELINE does not disable them.
inline bool has_wide_vectors() {
    if (!is_baseline("") && !is_baseline("0") && !is_avx2_the_most()) return false;
    // Where `lzcnt` is missing, it runs as another instruction instead of failing, so it is checked, too.
    constexpr unsigned int lzcnt = 1u << 5;
    unsigned int eax, ebx, ecx = 0, edx;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt") && __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & lzcnt);
}

static const bool wide_vectors = has_wide_vectors();

constexpr const char *wide_vector_name = "AVX2";

using Bytes32 = __m256i;

constexpr ptrdiff_t wide_vector_size = sizeof(Bytes32);

HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 load32(const uint8_t *pos) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(pos));
}
HISTSCAN_WIDE HISTSCAN_INLINE void store32(uint8_t *out, Bytes32 bytes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), bytes);
}
// From an address that is a multiple of 32.
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 load32_aligned(const void *aligned) {
    return _mm256_load_si256(static_cast<const __m256i *>(aligned));
}
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 fill32(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }

HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 lowest(Bytes32 a, Bytes32 b) { return _mm256_min_epu8(a, b); }
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 add(Bytes32 a, Bytes32 b) { return _mm256_add_epi8(a, b); }
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 either(Bytes32 a, Bytes32 b) { return _mm256_or_si256(a, b); }
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 both(Bytes32 a, Bytes32 b) { return _mm256_and_si256(a, b); }
// The bits of `a` that `b` does not have.
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 without(Bytes32 a, Bytes32 b) { return _mm256_andnot_si256(b, a); }
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 differing(Bytes32 a, Bytes32 b) { return _mm256_xor_si256(a, b); }
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 equal(Bytes32 a, Bytes32 b) { return _mm256_cmpeq_epi8(a, b); }
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 at_most(Bytes32 a, Bytes32 b) {
    return _mm256_cmpeq_epi8(_mm256_min_epu8(a, b), a);
}
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 below_signed(Bytes32 a, Bytes32 b) { return _mm256_cmpgt_epi8(b, a); }

// The entry of each byte in a table of 16 bytes, which is there twice; no byte may be above 15.
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 entries_of(Bytes32 table, Bytes32 bytes) {
    return _mm256_shuffle_epi8(table, bytes);
}
// The upper four bits of each byte, as its lower ones; the upper ones are of its neighbours.
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 high_halves(Bytes32 bytes) { return _mm256_srli_epi16(bytes, 4); }
// a - b for each byte; 0 where that is negative.
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 subtract_to_zero(Bytes32 a, Bytes32 b) { return _mm256_subs_epu8(a, b); }
HISTSCAN_WIDE HISTSCAN_INLINE bool is_zero(Bytes32 bytes) { return _mm256_testz_si256(bytes, bytes); }
// The last `count` bytes of `before`, then all but the last `count` of `bytes`.
template <int count>
HISTSCAN_WIDE HISTSCAN_INLINE Bytes32 moved_on(Bytes32 before, Bytes32 bytes) {
    return _mm256_alignr_epi8(bytes, _mm256_permute2x128_si256(before, bytes, 0x21), 16 - count);
}

// A bit for each byte of a mask, or of any bytes: its highest one.
HISTSCAN_WIDE HISTSCAN_INLINE uint32_t bits_of(Bytes32 mask) {
    return static_cast<uint32_t>(_mm256_movemask_epi8(mask));
}

// The factors that join pairs, fours, eights and sixteens of digits.
struct DigitFactors {
    alignas(32) uint8_t tens[32];
    alignas(32) uint16_t hundreds[16];
    alignas(32) uint16_t ten_thousands[16];
    alignas(32) uint64_t hundred_millions[4];

    constexpr DigitFactors() : tens{}, hundreds{}, ten_thousands{}, hundred_millions{} {
        for (int place = 0; place < 32; ++place) tens[place] = place % 2 ? 1 : 10;
        for (int place = 0; place < 16; ++place) {
            hundreds[place] = place % 2 ? 1 : 100;
            ten_thousands[place] = place % 2 ? 1 : 10000;
        }
        for (uint64_t &one : hundred_millions) one = 100000000;
    }
};

// The values of the first and the last sixteen of 32 digits.
struct Halves {
    uint64_t upper, lower;
};

// The numbers that two times sixteen digits spell, from 0 to 9 each.
HISTSCAN_WIDE HISTSCAN_INLINE Halves join_digits(Bytes32 digits, const DigitFactors &factors) {
    const __m256i pairs = _mm256_maddubs_epi16(digits, load32_aligned(factors.tens));
    const __m256i fours = _mm256_madd_epi16(pairs, load32_aligned(factors.hundreds));
    const __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), load32_aligned(factors.ten_thousands));
    const __m256i upper_eights = _mm256_mul_epu32(eights, load32_aligned(factors.hundred_millions));
    const __m256i sixteens = _mm256_add_epi64(upper_eights, _mm256_srli_epi64(eights, 32));
    return {static_cast<uint64_t>(_mm_cvtsi128_si64(_mm256_castsi256_si128(sixteens))),
        static_cast<uint64_t>(_mm_cvtsi128_si64(_mm256_extracti128_si256(sixteens, 1)))};
}

// Stores eight of the bytes at `pos`, each from the place that `places` has for it.
HISTSCAN_WIDE HISTSCAN_INLINE void store_places(uint8_t *out, const uint8_t *pos, const uint8_t *places) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(pos));
    const __m128i order = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(places));
    _mm_storel_epi64(reinterpret_cast<__m128i *>(out), _mm_shuffle_epi8(bytes, order));
}

// How many bits are set.
HISTSCAN_WIDE HISTSCAN_INLINE uint32_t count_bits(uint32_t bits) { return static_cast<uint32_t>(_mm_popcnt_u32(bits)); }

// Counts the zeros above the highest set bit: 64 if none is set.
HISTSCAN_WIDE HISTSCAN_INLINE uint64_t leading_zeros_wide(uint64_t bits) { return _lzcnt_u64(bits); }

// The lowest `count` bits.
HISTSCAN_WIDE HISTSCAN_INLINE uint32_t low_bits(uint32_t bits, unsigned count) { return _bzhi_u32(bits, count); }

// Multiplies; returns the lower half of the product.
HISTSCAN_WIDE HISTSCAN_INLINE uint64_t multiply(uint64_t a, uint64_t b, uint64_t *upper) {
    unsigned long long high;
    const uint64_t low = _mulx_u64(a, b, &high);
    *upper = high;
    return low;
}

// True if the processor supports HISTSCAN_FOLDING functions.
inline bool has_carryless_products() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

static const bool carryless_products = has_carryless_products();

// True if HISTSCAN_WIDE_FOLDING functions are supported, and not disabled.
static const bool wide_carryless_products =
    has_wide_vectors() && !is_avx2_the_most() && has_carryless_products() && __builtin_cpu_supports("vpclmulqdq");

// The carry-less product of the lower half of `a` and the lower, or the upper half of `b`.
HISTSCAN_FOLDING HISTSCAN_INLINE Bytes16 product_with_lower(Bytes16 a, Bytes16 b) {
    return _mm_clmulepi64_si128(a, b, 0x00);
}
HISTSCAN_FOLDING HISTSCAN_INLINE Bytes16 product_with_upper(Bytes16 a, Bytes16 b) {
    return _mm_clmulepi64_si128(a, b, 0x10);
}

// The carry-less products of the lower halves and of the upper halves, added to `addend`.
HISTSCAN_FOLDING HISTSCAN_INLINE Bytes16 fold(Bytes16 value, Bytes16 factors, Bytes16 addend) {
    const __m128i low = _mm_clmulepi64_si128(value, factors, 0x00);
    const __m128i high = _mm_clmulepi64_si128(value, factors, 0x11);
    return differing(differing(low, high), addend);
}
HISTSCAN_WIDE_FOLDING HISTSCAN_INLINE Bytes32 fold(Bytes32 value, Bytes32 factors, Bytes32 addend) {
    const __m256i low = _mm256_clmulepi64_epi128(value, factors, 0x00);
    const __m256i high = _mm256_clmulepi64_epi128(value, factors, 0x11);
    return _mm256_xor_si256(_mm256_xor_si256(low, high), addend);
}

HISTSCAN_WIDE_FOLDING HISTSCAN_INLINE Bytes32 twice(Bytes16 bytes) { return _mm256_broadcastsi128_si256(bytes); }
HISTSCAN_WIDE_FOLDING HISTSCAN_INLINE Bytes32 then_zeros(Bytes16 bytes) { return _mm256_zextsi128_si256(bytes); }
HISTSCAN_WIDE_FOLDING HISTSCAN_INLINE Bytes16 lower_half(Bytes32 bytes) { return _mm256_castsi256_si128(bytes); }
HISTSCAN_WIDE_FOLDING HISTSCAN_INLINE Bytes16 upper_half(Bytes32 bytes) { return _mm256_extracti128_si256(bytes, 1); }

// The bytes from a place on, then zeros.
template <int place>
HISTSCAN_FOLDING HISTSCAN_INLINE Bytes16 bytes_from(Bytes16 bytes) {
    return _mm_srli_si128(bytes, place);
}
// The bytes at `places`; zeros where the highest bit of a place is set.
HISTSCAN_FOLDING HISTSCAN_INLINE Bytes16 bytes_at(Bytes16 bytes, Bytes16 places) {
    return _mm_shuffle_epi8(bytes, places);
}
// The bytes of `a`; those of `b` where the highest bit of a place is set.
HISTSCAN_FOLDING HISTSCAN_INLINE Bytes16 bytes_of(Bytes16 a, Bytes16 b, Bytes16 places) {
    return _mm_blendv_epi8(a, b, places);
}
// The four bytes from the fourth on, as a number.
HISTSCAN_FOLDING HISTSCAN_INLINE uint32_t second_number(Bytes16 bytes) {
    return static_cast<uint32_t>(_mm_extract_epi32(bytes, 1));
}

}  // namespace histscan

#endif
