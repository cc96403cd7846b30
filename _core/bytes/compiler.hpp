// The differences between compilers and processors, behind one interface; nothing else in the core tests for them.

#ifndef HISTSCAN_COMPILER_HPP
#define HISTSCAN_COMPILER_HPP

#include <cstdint>

// Functions that are always inlined into the loops that call them, so that these keep their state in registers; and
// functions that are never inlined, for the same reason.
#if defined(__GNUC__) || defined(__clang__)
#define HISTSCAN_INLINE __attribute__((always_inline)) inline
#define HISTSCAN_NOINLINE __attribute__((noinline)) inline
#define HISTSCAN_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define HISTSCAN_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#else
#error "histscan's core is built by GCC or clang"
#endif

// AVX2 is chosen when a module is loaded, not when it is compiled: functions that are HISTSCAN_WIDE may be called only
// where `wide_vectors` (wide_vectors.hpp) is true.
#if defined(__x86_64__)
#define HISTSCAN_HAS_WIDE_VECTORS 1
#define HISTSCAN_WIDE __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#else
#define HISTSCAN_HAS_WIDE_VECTORS 0
#endif

namespace histscan {

// Counts the zeros below the lowest set bit; at least one bit must be set.
HISTSCAN_INLINE int trailing_zeros(uint64_t bits) { return __builtin_ctzll(bits); }

// Counts the zeros above the highest set bit; at least one bit must be set.
HISTSCAN_INLINE int leading_zeros(uint64_t bits) { return __builtin_clzll(bits); }

// Prefetches the byte at `pos`, which need not be readable, into the cache.
inline void prefetch(const uint8_t *pos) { __builtin_prefetch(pos); }

}  // namespace histscan

#endif
