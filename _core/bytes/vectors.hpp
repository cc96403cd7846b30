// Vectors of bytes: one interface, whatever the processor.
//
// `Bytes16` is a vector of 16 bytes on every processor: SSE2 on x86-64, NEON on AArch64, plain C++ elsewhere, or where
// HISTSCAN_PLAIN_VECTORS is defined. A mask is a vector whose bytes are each 0 or 0xFF. The operations:
//
//   load16(pos)  store16(out, bytes)  fill16(byte)  from_words(first, second)
//   equal(a, b)  at_most(a, b)  below_signed(a, b)  masks: a == b, a <= b, a < b as signed bytes
//   either(a, b)  both(a, b)  differing(a, b)    bitwise or, and, exclusive or
//   lowest(a, b)  subtract(a, b)                 byte by byte
//   is_any(mask)  is_all(mask)                   true if any byte of a mask is set, or all are
//   marks_of(mask)  first_mark(marks)            marks are true if any byte of the mask is set; which is the first?
//   marks_from(marks, place)                     those of bytes from a place on, which may be 16
//   bits_of(lower, upper)                        a bit for each byte of two masks, the lowest for the first
//   join_digits(digits)                          the numbers that two times eight digits spell, from 0 to 9 each
//
// `Bytes32` is a vector of 32 bytes and `Bytes64` one of 64, and both exist where HISTSCAN_HAS_WIDE_VECTORS is 1: on
// x86-64, whose AVX2 and AVX-512 are detected when a module is loaded. Each HISTSCAN_WIDE or HISTSCAN_WIDEST function has
// a version for the baseline that does the same.

#ifndef HISTSCAN_VECTORS_HPP
#define HISTSCAN_VECTORS_HPP

#include "bytes/compiler.hpp"

#if defined(HISTSCAN_PLAIN_VECTORS)
#include "bytes/vectors_plain.hpp"
#elif defined(__SSE2__)
#include "bytes/vectors_sse2.hpp"
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include "bytes/vectors_neon.hpp"
#else
#include "bytes/vectors_plain.hpp"
#endif

#if HISTSCAN_HAS_WIDE_VECTORS
#include "bytes/vectors_avx2.hpp"
#include "bytes/vectors_avx512.hpp"
#endif

namespace histscan {

// Names the instructions that this process uses, for people.
inline const char *vectors_in_use() {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (widest_vectors) return widest_vector_name;
    if (wide_vectors) return wide_vector_name;
#endif
    return vector_name;
}

}  // namespace histscan

#endif
