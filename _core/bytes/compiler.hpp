// The differences between compilers and processors, behind one interface: attributes, bits, and what a build supports.
//
// Vectors are in `vectors.hpp`. Nothing else in the core tests for a compiler or a processor.

#ifndef HISTSCAN_COMPILER_HPP
#define HISTSCAN_COMPILER_HPP

#include <cstdint>

#if !defined(__GNUC__) && !defined(__clang__)
#error "histscan's core is built by GCC or clang"
#endif
#if !defined(__SIZEOF_INT128__)
#error "histscan's core needs a 64-bit processor: numbers are read with 128-bit products"
#endif
// Words of text are read as numbers whose lowest byte comes first.
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "histscan's core needs a little-endian processor"
#endif

// Functions that are always inlined into the loops that call them, so that these keep their state in registers; and
// functions that are never inlined, for the same reason.
#define HISTSCAN_INLINE __attribute__((always_inline)) inline
#define HISTSCAN_NOINLINE __attribute__((noinline)) inline
#define HISTSCAN_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define HISTSCAN_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

// Some instructions are chosen when a module is loaded, not when it is compiled. Functions that have these attributes
// may be called only where a constant of vectors.hpp is true: HISTSCAN_WIDE ones where `wide_vectors` is, HISTSCAN_WIDEST
// ones where `widest_vectors` is, HISTSCAN_FOLDING ones where `carryless_products` is, HISTSCAN_WIDE_FOLDING ones where
// `wide_carryless_products` is, and HISTSCAN_CRC ones where `crc_instructions` is.
#if defined(__x86_64__) && !defined(HISTSCAN_PLAIN_VECTORS)
#define HISTSCAN_HAS_WIDE_VECTORS 1
#define HISTSCAN_WIDE __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#define HISTSCAN_WIDEST __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx2,bmi,bmi2,lzcnt,popcnt")))
#define HISTSCAN_HAS_FOLDING 1
#define HISTSCAN_FOLDING __attribute__((target("pclmul,sse4.1")))
#define HISTSCAN_WIDE_FOLDING __attribute__((target("vpclmulqdq,pclmul,sse4.1,avx2,bmi,bmi2,lzcnt,popcnt")))
#else
#define HISTSCAN_HAS_WIDE_VECTORS 0
#define HISTSCAN_HAS_FOLDING 0
#endif
#if defined(__aarch64__) && !defined(HISTSCAN_PLAIN_VECTORS)
#define HISTSCAN_HAS_CRC 1
#if defined(__clang__)
#define HISTSCAN_CRC __attribute__((target("crc")))
#else
#define HISTSCAN_CRC __attribute__((target("+crc")))
#endif
#else
#define HISTSCAN_HAS_CRC 0
#endif

namespace histscan {

// Counts the zeros below the lowest set bit; at least one bit must be set.
HISTSCAN_INLINE int trailing_zeros(uint32_t bits) { return __builtin_ctz(bits); }
HISTSCAN_INLINE int trailing_zeros(uint64_t bits) { return __builtin_ctzll(bits); }

// Counts the zeros above the highest set bit; at least one bit must be set.
constexpr int leading_zeros(uint64_t bits) { return __builtin_clzll(bits); }

// Prefetches the byte at `pos`, which need not be readable, into the cache.
inline void prefetch(const void *pos) { __builtin_prefetch(pos); }

// Returns `pointer`, but the compiler no longer knows what it points at.
template <typename Value>
HISTSCAN_INLINE const Value *opaque(const Value *pointer) {
    __asm__("" : "+r"(pointer));
    return pointer;
}

}  // namespace histscan

#endif
