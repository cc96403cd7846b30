// Plain numbers, as nearly all in history rows are: where they end, and what they are, without a loop over their bytes.

#ifndef HISTSCAN_PLAIN_NUMBER_HPP
#define HISTSCAN_PLAIN_NUMBER_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "decimal.hpp"
#include "wide_vectors.hpp"

namespace histscan {

enum PlainKind {
    NOT_PLAIN,      // for a reader that takes any number, or none
    PLAIN_INTEGER,  // the bits are an int64 that a double holds exactly
    PLAIN_DOUBLE,   // the bits are a double's
};

struct PlainNumber {
    uint64_t bits;
    PlainKind kind;
};

// As `read_plain_number`, on any processor.
inline PlainNumber read_plain_number_narrow(const uint8_t *pos, const uint8_t *end, const uint8_t *start) {
    double number;
    int64_t integer;
    if (read_whole_decimal(pos, end, start, &number)) {
        uint64_t bits;
        std::memcpy(&bits, &number, sizeof bits);
        return {bits, PLAIN_DOUBLE};
    }
    if (read_whole_integer(pos, end, start, &integer)) return {static_cast<uint64_t>(integer), PLAIN_INTEGER};
    return {0, NOT_PLAIN};
}

#if HISTSCAN_HAS_WIDE_VECTORS

constexpr ptrdiff_t wide_vector_size = 32;

// As many zero bytes as ones of four set bits: the 32 bytes from the n-th on leave of the last n of 32 ASCII digits their
// values, and of all other bytes nothing.
struct DigitMasks {
    uint8_t bytes[2 * wide_vector_size];

    constexpr DigitMasks() : bytes{} {
        for (ptrdiff_t place = wide_vector_size; place < 2 * wide_vector_size; ++place) bytes[place] = 0x0F;
    }
};

inline constexpr DigitMasks digit_masks{};

HISTSCAN_WIDE inline __m256i last_digits(ptrdiff_t count) { return load_wide(digit_masks.bytes + count); }

// 10^-n, for n from 0 to 130: as in `powers_of_five`, and the exponent of a double whose mantissa is a 64-bit integer with
// its highest bit set, times that power, where the product of the two needs no shift: less one, as the mantissa's highest
// bit is added to it.
struct NegativePower {
    uint64_t high, low;
    int64_t exponent;
    int64_t unused;  // a power's place is found by a shift
};

constexpr int lowest_normal_power = -130;

struct NegativePowers {
    NegativePower power[1 - lowest_normal_power];

    constexpr NegativePowers() : power{} {
        for (int q = 0; q >= lowest_normal_power; --q) {
            const Power &five = powers_of_five.power[q - smallest_power];
            power[-q] = {five.high, five.low, binary_exponent(q) + 63 + 1023 - 1, 0};
        }
    }
};

inline constexpr NegativePowers negative_powers{};

// What the functions below compare and multiply with. Whoever calls them in a loop makes one before it.
struct NumberVectors {
    __m256i comma, brace, lowest, nine;  // of `other_bits`: what makes a zero the lowest number with a sign, and what becomes of a nine
    __m256i tens, hundreds, ten_thousands, hundred_millions;

    // If the compiler knew what is in these vectors, it would rather make them anew for each number, in three steps each.
    HISTSCAN_WIDE __attribute__((always_inline)) NumberVectors()
        : comma(_mm256_set1_epi8(',')),
          brace(_mm256_set1_epi8('}')),
          lowest(_mm256_set1_epi8(static_cast<char>(0x80 - '0'))),
          nine(_mm256_set1_epi8(static_cast<char>(0x80 + 9))),
          tens(_mm256_set1_epi16(1 << 8 | 10)),
          hundreds(_mm256_set1_epi32(1 << 16 | 100)),
          ten_thousands(_mm256_set1_epi32(1 << 16 | 10000)),
          hundred_millions(_mm256_set1_epi64x(100000000)) {
        __asm__("" : "+x"(comma), "+x"(brace), "+x"(lowest), "+x"(nine), "+x"(tens), "+x"(hundreds), "+x"(ten_thousands), "+x"(hundred_millions));
    }
};

// A bit for each of 32 bytes that is no ASCII digit.
HISTSCAN_WIDE inline uint32_t other_bits(__m256i text, const NumberVectors &vectors) {
    return bits_of(_mm256_cmpgt_epi8(_mm256_add_epi8(text, vectors.lowest), vectors.nine));
}

// The numbers that are written by the first and the last sixteen of 32 digits.
struct Halves {
    uint64_t upper, lower;
};

HISTSCAN_WIDE __attribute__((always_inline)) inline Halves join_digits(__m256i digits, const NumberVectors &vectors) {
    const __m256i pairs = _mm256_maddubs_epi16(digits, vectors.tens);
    const __m256i fours = _mm256_madd_epi16(pairs, vectors.hundreds);
    const __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), vectors.ten_thousands);
    const __m256i sixteens = _mm256_add_epi64(_mm256_mul_epu32(eights, vectors.hundred_millions), _mm256_srli_epi64(eights, 32));
    return {static_cast<uint64_t>(_mm_cvtsi128_si64(_mm256_castsi256_si128(sixteens))),
            static_cast<uint64_t>(_mm_cvtsi128_si64(_mm256_extracti128_si256(sixteens, 1)))};
}

// The double nearest `digits` * 10^-`decimals`, which is negative if `negative` is 1, as in `nearest_double`; not a plain
// number where the rounding needs another look. `digits` are below 10^19, and `decimals` are at most 130, so that the
// double is a normal one.
HISTSCAN_WIDE __attribute__((always_inline)) inline PlainNumber nearest_normal_double(uint64_t digits, ptrdiff_t decimals, uint64_t negative) {
    const uint64_t shift = _lzcnt_u64(digits);
    const uint64_t factor = digits << (shift & 63);
    const NegativePower &power = negative_powers.power[decimals];
    unsigned long long high, below;
    uint64_t low = _mulx_u64(factor, power.high, &high);
    if (__builtin_expect(((high + 1) & 0x1FF) == 0, false)) {
        static_cast<void>(_mulx_u64(factor, power.low, &below));
        low += below;
        high += low < below;
    }
    // All ones may have been a carry short; and 0 or 1 may be half way between two doubles, or come of no digits.
    if (__builtin_expect(low + 1 <= 2, false)) return {negative << 63, digits ? NOT_PLAIN : PLAIN_DOUBLE};
    const uint64_t upper_bit = high >> 63;
    const uint64_t mantissa = high >> (upper_bit + 9);
    const uint64_t exponent = static_cast<uint64_t>(power.exponent) + upper_bit - shift;
    // The mantissa's highest bit, and what rounding may carry beyond it, add to the exponent.
    return {((mantissa + 1) >> 1) + (exponent << 52) + (negative << 63), PLAIN_DOUBLE};
}

HISTSCAN_WIDE PlainNumber read_small_number(const uint8_t *pos, const uint8_t *end, const uint8_t *start, const NumberVectors &vectors);

// As `read_plain_number`. `exponent` is what is written behind `end` without its sign, or 0; only then may one be within.
HISTSCAN_WIDE __attribute__((always_inline)) inline PlainNumber read_digits(const uint8_t *pos, const uint8_t *end, const uint8_t *start, ptrdiff_t exponent, const NumberVectors &vectors) {
    const PlainNumber other{0, NOT_PLAIN};
    const ptrdiff_t length = end - pos;
    if (length >= wide_vector_size || end - start <= wide_vector_size) return other;
    const uint8_t *last = end - wide_vector_size;
    const __m256i text = load_wide(last);
    const bool negative = *pos == '-';
    const uint8_t *digits = pos + negative;
    const ptrdiff_t count = length - negative;
    if (count <= 0) return other;
    // A bit for each byte behind the sign that is no digit.
    const uint32_t others = other_bits(text, vectors) >> (wide_vector_size - count);
    if (others == 0) {
        if (exponent != 0 || count > 15 || (count > 1 && *digits == '0')) return other;
        const uint64_t value = join_digits(_mm256_and_si256(text, last_digits(count)), vectors).lower;
        return {negative ? -value : value, PLAIN_INTEGER};
    }
    if (others & (others - 1)) return exponent ? other : read_small_number(pos, end, start, vectors);
    const ptrdiff_t point = __builtin_ctz(others);
    const ptrdiff_t fraction = count - 1 - point;
    // Whether a digit stands before the point, or several, can't be guessed.
    const int has_needless_zero = (point > 1) & (*digits == '0');
    if (point == 0 || fraction == 0 || digits[point] != '.' || has_needless_zero) return other;
    // The digits before the point move up to where it is.
    const __m256i behind_point = last_digits(fraction);
    const __m256i joined = _mm256_or_si256(_mm256_and_si256(behind_point, text), _mm256_andnot_si256(behind_point, load_wide(last - 1)));
    const Halves value = join_digits(_mm256_and_si256(joined, last_digits(count - 1)), vectors);
    // More than three digits that count above the last sixteen may not fit in 64 bits.
    if (value.upper > 999) return other;
    return nearest_normal_double(value.upper * 10000000000000000u + value.lower, exponent + fraction, negative);
}

// As `read_plain_number`, for numbers with an exponent as Python writes that of a small one.
HISTSCAN_WIDE __attribute__((noinline)) inline PlainNumber read_small_number(const uint8_t *pos, const uint8_t *end, const uint8_t *start, const NumberVectors &vectors) {
    const PlainNumber other{0, NOT_PLAIN};
    if (end - pos < 5 || end[-4] != 'e' || end[-3] != '-') return other;
    const unsigned tens = end[-2] - unsigned{'0'}, ones = end[-1] - unsigned{'0'};
    if (tens > 9 || ones > 9 || tens + ones == 0) return other;
    return read_digits(pos, end - 4, start, 10 * tens + ones, vectors);
}

// As `read_plain_number`, in one vector. It takes all registers there are, so it leaves those of a loop alone.
HISTSCAN_WIDE __attribute__((always_inline)) inline PlainNumber read_plain_number_wide(const uint8_t *pos, const uint8_t *end, const uint8_t *start, const NumberVectors &vectors) {
    return read_digits(pos, end, start, 0, vectors);
}

HISTSCAN_WIDE inline PlainNumber read_one_number_wide(const uint8_t *pos, const uint8_t *end, const uint8_t *start) {
    return read_plain_number_wide(pos, end, start, NumberVectors());
}

#endif

// The number that all of [pos, end) is, if it is such a one as most are: an integer of a few digits, or a decimal number
// with a point, and perhaps with an exponent as Python writes it. `start` is where the reader's bytes begin. They may
// be any bytes, and none at all.
inline PlainNumber read_plain_number(const uint8_t *pos, const uint8_t *end, const uint8_t *start) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) {
        const PlainNumber number = read_one_number_wide(pos, end, start);
        if (number.kind != NOT_PLAIN) return number;
    }
#endif
    return read_plain_number_narrow(pos, end, start);
}

// Where the number at `pos` ends if it is amid other JSON, and what has to follow it does so at once: at the first comma
// or closing brace. `pos` itself where that is not within 32 bytes, or these are not all the reader's.
inline const uint8_t *find_number_end(const uint8_t *pos, const uint8_t *end) {
#if defined(__SSE2__)
    if (end - pos >= 32) {
        const __m128i comma = _mm_set1_epi8(','), brace = _mm_set1_epi8('}');
        uint32_t ends = 0;
        for (int half = 0; half < 2; ++half) {
            const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i *>(pos + 16 * half));
            const __m128i any = _mm_or_si128(_mm_cmpeq_epi8(text, comma), _mm_cmpeq_epi8(text, brace));
            ends |= static_cast<uint32_t>(_mm_movemask_epi8(any)) << (16 * half);
        }
        if (ends) return pos + __builtin_ctz(ends);
    }
#else
    static_cast<void>(end);
#endif
    return pos;
}

// Whether the first `length` bytes from `pos` on are a plain number, if there are so many: `digits` has a bit for each
// that is a digit. That a number begins is for the caller to see where `length` is 0.
inline bool is_plain_number(const uint8_t *pos, int length, uint32_t digits) {
    const int first = *pos == '-';
    // A bit for each byte behind the sign that is no digit.
    uint32_t others = ~digits & ((uint32_t{1} << length) - 1) & ~static_cast<uint32_t>(first);
    int last = length;
    if (others & (others - 1)) {
        // A point, and the exponent of a small number, as Python writes it.
        if (length < 5 || pos[length - 4] != 'e' || pos[length - 3] != '-' || others >> (length - 2)) return false;
        last = length - 4;
        others &= (uint32_t{1} << last) - 1;
        if (others & (others - 1)) return false;
    }
    const int point = others ? __builtin_ctz(others) : last;
    const int has_needless_zero = (point > first + 1) & (pos[first] == '0');
    if (point == first || has_needless_zero) return false;
    return others == 0 || (pos[point] == '.' && point + 1 < last);
}

// The length of the number at `pos`, if it is such a one as most are and a comma follows; 0 says nothing.
//
// Where the next member begins depends on the comma alone: what stands before it is looked at, but not waited for.
inline ptrdiff_t plain_number_length(const uint8_t *pos, const uint8_t *end) {
#if defined(__SSE2__)
    if (end - pos < 32) return 0;
    const __m128i comma = _mm_set1_epi8(','), zero = _mm_set1_epi8('0'), nine = _mm_set1_epi8(9);
    uint32_t commas = 0, digits = 0;
    for (int half = 0; half < 2; ++half) {
        const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i *>(pos + 16 * half));
        const __m128i values = _mm_sub_epi8(text, zero);
        commas |= static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(text, comma))) << (16 * half);
        digits |= static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(values, nine), values))) << (16 * half);
    }
    if (commas == 0) return 0;
    const int length = __builtin_ctz(commas);
    return is_plain_number(pos, length, digits) ? length : 0;
#else
    static_cast<void>(end);
    return 0;
#endif
}

#if HISTSCAN_HAS_WIDE_VECTORS

// How many bytes from `pos` on are before the first comma or closing brace; 0 where `find_number_end` would say nothing.
// Near the end of the reader's bytes, too, if there are 32 of them.
HISTSCAN_WIDE inline ptrdiff_t number_length(const uint8_t *pos, const uint8_t *end, const uint8_t *start, const NumberVectors &vectors) {
    const ptrdiff_t left = end - pos;
    const bool is_near_end = left < wide_vector_size;
    if (is_near_end && (left < 1 || end - start < wide_vector_size)) return 0;
    const __m256i text = load_wide(is_near_end ? end - wide_vector_size : pos);
    const __m256i any = _mm256_or_si256(_mm256_cmpeq_epi8(text, vectors.comma), _mm256_cmpeq_epi8(text, vectors.brace));
    const uint32_t ends = bits_of(any) >> (is_near_end ? wide_vector_size - left : 0);
    return ends ? __builtin_ctz(ends) : 0;
}

// Numbers with an exponent are few: their code is not to be in a loop's way.
__attribute__((noinline)) inline bool is_plain_small_number(const uint8_t *pos, int length, uint32_t digits) {
    return is_plain_number(pos, length, digits);
}

// As `plain_number_length`.
HISTSCAN_WIDE inline ptrdiff_t plain_number_length_wide(const uint8_t *pos, const uint8_t *end, const NumberVectors &vectors) {
    if (end - pos < wide_vector_size) return 0;
    const __m256i text = load_wide(pos);
    const uint32_t commas = bits_of(_mm256_cmpeq_epi8(text, vectors.comma));
    if (commas == 0) return 0;
    const auto length = static_cast<unsigned>(__builtin_ctz(commas));
    const uint32_t all_others = other_bits(text, vectors);
    const bool negative = *pos == '-';
    const uint8_t *first = pos + negative;
    const unsigned count = length - negative;
    // A bit for each byte behind the sign that is no digit.
    const uint32_t others = _bzhi_u32(all_others, length) >> negative;
    if (others & (others - 1)) return is_plain_small_number(pos, static_cast<int>(length), ~all_others) ? length : 0;
    // Where there is no point, the number's end is taken for one.
    const auto point = static_cast<unsigned>(__builtin_ctz(others | uint32_t{1} << (count & 31)));
    const int has_needless_zero = (point > 1) & (*first == '0');
    if (point == 0 || has_needless_zero) return 0;
    return others == 0 || (first[point] == '.' && point + 1 != count) ? length : 0;
}

#endif

}  // namespace histscan

#endif
