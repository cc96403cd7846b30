// `Bytes16` on x86-64, all of which have SSE2; see `vectors.hpp`.

#ifndef HISTSCAN_VECTORS_SSE2_HPP
#define HISTSCAN_VECTORS_SSE2_HPP

#include <emmintrin.h>

#include <cstdint>

#include "bytes/compiler.hpp"

namespace histscan {

// Names the instructions of `Bytes16`, for people.
constexpr const char *vector_name = "SSE2";

using Bytes16 = __m128i;
using Marks16 = uint32_t;

HISTSCAN_INLINE Bytes16 load16(const uint8_t *pos) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(pos)); }
HISTSCAN_INLINE void store16(uint8_t *out, Bytes16 bytes) { _mm_storeu_si128(reinterpret_cast<__m128i *>(out), bytes); }
HISTSCAN_INLINE Bytes16 fill16(uint8_t byte) { return _mm_set1_epi8(static_cast<char>(byte)); }
HISTSCAN_INLINE Bytes16 from_words(uint64_t first, uint64_t second) {
    return _mm_set_epi64x(static_cast<int64_t>(second), static_cast<int64_t>(first));
}

HISTSCAN_INLINE Bytes16 lowest(Bytes16 a, Bytes16 b) { return _mm_min_epu8(a, b); }
HISTSCAN_INLINE Bytes16 subtract(Bytes16 a, Bytes16 b) { return _mm_sub_epi8(a, b); }
HISTSCAN_INLINE Bytes16 either(Bytes16 a, Bytes16 b) { return _mm_or_si128(a, b); }
HISTSCAN_INLINE Bytes16 both(Bytes16 a, Bytes16 b) { return _mm_and_si128(a, b); }
HISTSCAN_INLINE Bytes16 differing(Bytes16 a, Bytes16 b) { return _mm_xor_si128(a, b); }
HISTSCAN_INLINE Bytes16 equal(Bytes16 a, Bytes16 b) { return _mm_cmpeq_epi8(a, b); }
HISTSCAN_INLINE Bytes16 at_most(Bytes16 a, Bytes16 b) { return _mm_cmpeq_epi8(_mm_min_epu8(a, b), a); }
HISTSCAN_INLINE Bytes16 below_signed(Bytes16 a, Bytes16 b) { return _mm_cmplt_epi8(a, b); }

HISTSCAN_INLINE Marks16 marks_of(Bytes16 mask) { return static_cast<uint32_t>(_mm_movemask_epi8(mask)); }
HISTSCAN_INLINE int first_mark(Marks16 marks) { return trailing_zeros(marks); }
HISTSCAN_INLINE Marks16 marks_from(Marks16 marks, int place) { return marks & ~uint32_t{0} << place; }
HISTSCAN_INLINE bool is_any(Bytes16 mask) { return marks_of(mask) != 0; }
HISTSCAN_INLINE bool is_all(Bytes16 mask) { return marks_of(mask) == 0xFFFF; }
HISTSCAN_INLINE uint32_t bits_of(Bytes16 lower, Bytes16 upper) { return marks_of(lower) | marks_of(upper) << 16; }

// The first number is in the lower half of the result, the second in the upper.
HISTSCAN_INLINE uint64_t join_digits(Bytes16 digits) {
    const __m128i tens = _mm_mullo_epi16(_mm_and_si128(digits, _mm_set1_epi16(0xFF)), _mm_set1_epi16(10));
    const __m128i pairs = _mm_add_epi16(tens, _mm_srli_epi16(digits, 8));
    const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(1 << 16 | 100));
    const __m128i eights = _mm_madd_epi16(_mm_packs_epi32(fours, fours), _mm_set1_epi32(1 << 16 | 10000));
    return static_cast<uint64_t>(_mm_cvtsi128_si64(eights));
}

}  // namespace histscan

#endif
