// Plain JSON strings that hold a row: long, with no escapes other than those of its quotes.

#ifndef HISTSCAN_PLAIN_STRING_HPP
#define HISTSCAN_PLAIN_STRING_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/wide_vectors.hpp"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace histscan {

// As `find_plain_string_end`, on any processor.
inline const uint8_t *find_plain_string_end_narrow(const uint8_t *pos, const uint8_t *end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i highest_control = _mm_set1_epi8(0x1f);
    while (end - pos >= 64) {
        // The string is plain as long as quotes follow backslashes, and are nowhere else.
        __m128i lowest = highest_control, differences[4];
        for (int part = 0; part < 4; ++part) {
            const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(pos + 16 * part));
            const __m128i before = _mm_loadu_si128(reinterpret_cast<const __m128i *>(pos + 16 * part - 1));
            differences[part] = _mm_xor_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(before, backslash));
            lowest = part ? _mm_min_epu8(lowest, bytes) : bytes;
        }
        const __m128i any = _mm_or_si128(_mm_or_si128(differences[0], differences[1]), _mm_or_si128(differences[2], differences[3]));
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(lowest, highest_control), lowest);
        if (_mm_movemask_epi8(_mm_or_si128(any, control))) {
            for (int part = 0; part < 4; ++part) {
                const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(pos + 16 * part));
                const __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, highest_control), bytes);
                const int mask = _mm_movemask_epi8(_mm_or_si128(differences[part], controls));
                const uint8_t *found = pos + 16 * part + (mask ? __builtin_ctz(mask) : 0);
                if (mask) return *found == '"' ? found : nullptr;
            }
        }
        pos += 64;
    }
#endif
    for (; pos < end; ++pos) {
        const bool is_escaped = pos[-1] == '\\';
        if (*pos < 0x20 || (*pos == '"') != is_escaped) return *pos == '"' ? pos : nullptr;
    }
    return nullptr;
}

#if HISTSCAN_HAS_WIDE_VECTORS

// As `find_plain_string_end`.
HISTSCAN_WIDE inline const uint8_t *find_plain_string_end_wide(const uint8_t *pos, const uint8_t *end) {
    const __m256i quote = _mm256_set1_epi8('"');
    const __m256i backslash = _mm256_set1_epi8('\\');
    const __m256i highest_control = _mm256_set1_epi8(0x1f);
    while (end - pos >= 64) {
        const __m256i first = load_wide(pos), second = load_wide(pos + 32);
        const __m256i before_first = load_wide(pos - 1), before_second = load_wide(pos + 31);
        const __m256i first_differences =
            _mm256_xor_si256(_mm256_cmpeq_epi8(first, quote), _mm256_cmpeq_epi8(before_first, backslash));
        const __m256i second_differences =
            _mm256_xor_si256(_mm256_cmpeq_epi8(second, quote), _mm256_cmpeq_epi8(before_second, backslash));
        const __m256i lowest = _mm256_min_epu8(first, second);
        const __m256i controls = _mm256_cmpeq_epi8(_mm256_min_epu8(lowest, highest_control), lowest);
        const __m256i any = _mm256_or_si256(_mm256_or_si256(first_differences, second_differences), controls);
        // The baseline function finds which of the bytes it is.
        if (bits_of(any)) break;
        pos += 64;
    }
    return find_plain_string_end_narrow(pos, end);
}

#endif

// Finds the closing quote of the string whose opening quote is just before `pos`. Returns null if a backslash is not
// followed by a quote, if the string has a control character, or if it is not terminated: then it is not plain, and
// `unescape_string` must read it.
inline const uint8_t *find_plain_string_end(const uint8_t *pos, const uint8_t *end) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return find_plain_string_end_wide(pos, end);
#endif
    return find_plain_string_end_narrow(pos, end);
}

}  // namespace histscan

#endif
