// `Bytes16` on AArch64, all of which have NEON; see `vectors.hpp`.

#ifndef HISTSCAN_VECTORS_NEON_HPP
#define HISTSCAN_VECTORS_NEON_HPP

#include <arm_neon.h>

#include <cstdint>

#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "bytes/compiler.hpp"

namespace histscan {

// Names the instructions of `Bytes16`, for people.
constexpr const char *vector_name = "NEON";

using Bytes16 = uint8x16_t;
// Four bits for each byte: NEON has no instruction that gathers one bit of each.
using Marks16 = uint64_t;

HISTSCAN_INLINE Bytes16 load16(const uint8_t *pos) { return vld1q_u8(pos); }
HISTSCAN_INLINE void store16(uint8_t *out, Bytes16 bytes) { vst1q_u8(out, bytes); }
HISTSCAN_INLINE Bytes16 fill16(uint8_t byte) { return vdupq_n_u8(byte); }
HISTSCAN_INLINE Bytes16 from_words(uint64_t first, uint64_t second) {
    return vcombine_u8(vcreate_u8(first), vcreate_u8(second));
}

HISTSCAN_INLINE Bytes16 lowest(Bytes16 a, Bytes16 b) { return vminq_u8(a, b); }
HISTSCAN_INLINE Bytes16 subtract(Bytes16 a, Bytes16 b) { return vsubq_u8(a, b); }
HISTSCAN_INLINE Bytes16 either(Bytes16 a, Bytes16 b) { return vorrq_u8(a, b); }
HISTSCAN_INLINE Bytes16 both(Bytes16 a, Bytes16 b) { return vandq_u8(a, b); }
HISTSCAN_INLINE Bytes16 differing(Bytes16 a, Bytes16 b) { return veorq_u8(a, b); }
HISTSCAN_INLINE Bytes16 equal(Bytes16 a, Bytes16 b) { return vceqq_u8(a, b); }
HISTSCAN_INLINE Bytes16 at_most(Bytes16 a, Bytes16 b) { return vcleq_u8(a, b); }
HISTSCAN_INLINE Bytes16 below_signed(Bytes16 a, Bytes16 b) {
    return vcltq_s8(vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b));
}

HISTSCAN_INLINE Marks16 marks_of(Bytes16 mask) {
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(mask), 4)), 0);
}
HISTSCAN_INLINE int first_mark(Marks16 marks) { return trailing_zeros(marks) >> 2; }
HISTSCAN_INLINE Marks16 marks_from(Marks16 marks, int place) {
    return place < 16 ? marks & ~uint64_t{0} << 4 * place : 0;
}
HISTSCAN_INLINE bool is_any(Bytes16 mask) { return vmaxvq_u8(mask) != 0; }
HISTSCAN_INLINE bool is_all(Bytes16 mask) { return vminvq_u8(mask) == 0xFF; }
HISTSCAN_INLINE uint32_t bits_of(Bytes16 lower, Bytes16 upper) {
    // Each byte keeps the bit of its place among eight; adding neighbours three times gathers these.
    const Bytes16 places = from_words(0x8040201008040201u, 0x8040201008040201u);
    Bytes16 sums = vpaddq_u8(vandq_u8(lower, places), vandq_u8(upper, places));
    sums = vpaddq_u8(sums, sums);
    return vgetq_lane_u32(vreinterpretq_u32_u8(vpaddq_u8(sums, sums)), 0);
}

// The first number is in the lower half of the result, the second in the upper.
HISTSCAN_INLINE uint64_t join_digits(Bytes16 digits) {
    const uint16x8_t tens = vdupq_n_u16(1 << 8 | 10);
    const uint32x4_t hundreds = vdupq_n_u32(1 << 16 | 100);
    const uint64x2_t ten_thousands = vdupq_n_u64(uint64_t{1} << 32 | 10000);
    const uint16x8_t pairs = vpaddlq_u8(vmulq_u8(digits, vreinterpretq_u8_u16(tens)));
    const uint32x4_t fours = vpaddlq_u16(vmulq_u16(pairs, vreinterpretq_u16_u32(hundreds)));
    const uint64x2_t eights = vpaddlq_u32(vmulq_u32(fours, vreinterpretq_u32_u64(ten_thousands)));
    return vgetq_lane_u64(eights, 0) | vgetq_lane_u64(eights, 1) << 32;
}

#if HISTSCAN_HAS_CRC

// True if the processor supports HISTSCAN_CRC functions: all but the first ARMv8 ones do.
inline bool has_crc_instructions() {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#elif defined(__APPLE__)
    return true;
#else
    return false;
#endif
}

static const bool crc_instructions = has_crc_instructions();

// Continues a CRC-32 over eight bytes, or over one. As assembly, because not every compiler's <arm_acle.h> has the
// functions where only one function of a file may use the instructions.
HISTSCAN_CRC HISTSCAN_INLINE uint32_t add_to_crc32(uint32_t state, uint64_t word) {
    __asm__("crc32x %w0, %w0, %x1" : "+r"(state) : "r"(word));
    return state;
}
HISTSCAN_CRC HISTSCAN_INLINE uint32_t add_to_crc32(uint32_t state, uint8_t byte) {
    __asm__("crc32b %w0, %w0, %w1" : "+r"(state) : "r"(static_cast<uint32_t>(byte)));
    return state;
}

#endif

}  // namespace histscan

#endif
