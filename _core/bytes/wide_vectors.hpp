// Vectors of 32 bytes, where the processor has AVX2.
//
// CPU features are detected once, when a module is loaded; nothing is compiled for the machine that compiles. Functions
// that are HISTSCAN_WIDE may be called only where `wide_vectors` is true, and have a baseline version, for all
// processors, that does the same. The environment variable HISTSCAN_BASELINE=1 selects the baseline versions.

#ifndef HISTSCAN_WIDE_VECTORS_HPP
#define HISTSCAN_WIDE_VECTORS_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "bytes/compiler.hpp"
#if HISTSCAN_HAS_WIDE_VECTORS
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace histscan {

#if HISTSCAN_HAS_WIDE_VECTORS

// True if the processor and the system support HISTSCAN_WIDE functions, and HISTSCAN_BASELINE does not disable them.
inline bool has_wide_vectors() {
    const char *baseline = std::getenv("HISTSCAN_BASELINE");
    if (baseline != nullptr && *baseline != '\0' && std::strcmp(baseline, "0") != 0) return false;
    // Where `lzcnt` is missing, it runs as another instruction instead of failing, so it is checked, too.
    constexpr unsigned int lzcnt = 1u << 5;
    unsigned int eax, ebx, ecx = 0, edx;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & lzcnt);
}

static const bool wide_vectors = has_wide_vectors();

HISTSCAN_WIDE inline __m256i load_wide(const uint8_t *pos) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(pos));
}

// A bit for each of 32 bytes: the highest one of each.
HISTSCAN_WIDE inline uint32_t bits_of(__m256i bytes) { return static_cast<uint32_t>(_mm256_movemask_epi8(bytes)); }

#endif

}  // namespace histscan

#endif
