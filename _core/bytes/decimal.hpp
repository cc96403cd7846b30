// Decimal numbers: their digits eight at a time, and the double nearest to them.
//
// Numbers in history rows differ in length and sign from one to the next, so a branch on either is mispredicted half
// of the time, at the cost of reading a dozen digits. Hence no loop over single digits, and no branch on the sign.
//
// D. Lemire, "Number Parsing at a Gigabyte per Second", Software: Practice and Experience 51 (8), 2021: the product of
// the digits with a 128-bit approximation of a power of five nearly always settles the rounding. Where it may not,
// and at the ends of the range, std::strtod reads the number again.

#ifndef HISTSCAN_DECIMAL_HPP
#define HISTSCAN_DECIMAL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "bytes/compiler.hpp"
#include "bytes/vectors.hpp"

namespace histscan {

inline double not_a_number() { return std::numeric_limits<double>::quiet_NaN(); }

inline double infinity() { return std::numeric_limits<double>::infinity(); }

constexpr int smallest_power = -342;
constexpr int largest_power = 308;

// A power of five scaled by a power of two so that its highest bit is bit 127.
struct Power {
    uint64_t high, low;
};

// The powers of five from 5^-342 to 5^308: those that are not exact rounded down, and reciprocals rounded up.
struct PowersOfFive {
    // Enough limbs for 2^1664, whose quotient by 5^342 still has more than 128 bits.
    static constexpr int limb_count = 26;
    Power power[largest_power - smallest_power + 1];

    constexpr PowersOfFive() : power{} {
        // Products: 5^q, one limb after the other from the lowest.
        uint64_t limbs[limb_count] = {1};
        for (int q = 0; q <= largest_power; ++q) {
            power[q - smallest_power] = highest_bits(limbs);
            uint64_t carry = 0;
            for (uint64_t &limb : limbs) {
                const unsigned __int128 product = static_cast<unsigned __int128>(limb) * 5 + carry;
                limb = static_cast<uint64_t>(product);
                carry = static_cast<uint64_t>(product >> 64);
            }
        }
        // Quotients: dividing by five again and again, each time rounding down, is dividing by 5^q once.
        for (uint64_t &limb : limbs) limb = 0;
        limbs[limb_count - 1] = 1;
        for (int q = -1; q >= smallest_power; --q) {
            uint64_t remainder = 0;
            for (int index = limb_count - 1; index >= 0; --index) {
                const unsigned __int128 dividend = static_cast<unsigned __int128>(remainder) << 64 | limbs[index];
                limbs[index] = static_cast<uint64_t>(dividend / 5);
                remainder = static_cast<uint64_t>(dividend % 5);
            }
            Power rounded = highest_bits(limbs);
            if (++rounded.low == 0) ++rounded.high;
            power[q - smallest_power] = rounded;
        }
    }

    // The 128 bits from the highest set one down; zeros follow where the number is shorter.
    static constexpr Power highest_bits(const uint64_t (&limbs)[limb_count]) {
        int top = limb_count - 1;
        while (limbs[top] == 0) --top;
        const int shift = leading_zeros(limbs[top]);
        const uint64_t first = limbs[top], second = top > 0 ? limbs[top - 1] : 0, third = top > 1 ? limbs[top - 2] : 0;
        if (shift == 0) return {first, second};
        return {first << shift | second >> (64 - shift), second << shift | third >> (64 - shift)};
    }
};

inline constexpr PowersOfFive powers_of_five{};

// The most digits after a point that `read_whole_decimal` reads: three words of them.
constexpr int most_fraction_digits = 24;

// 10^0 to 10^24 modulo 2^64, for appending as many digits.
struct PowersOfTen {
    uint64_t power[most_fraction_digits + 1];

    constexpr PowersOfTen() : power{} {
        uint64_t next = 1;
        for (uint64_t &one : power) {
            one = next;
            next *= 10;
        }
    }
};

inline constexpr PowersOfTen powers_of_ten{};

// The bytes of a word that are not ASCII digits, each as its highest bit.
inline uint64_t other_than_digits(uint64_t word) {
    const uint64_t values = word ^ 0x3030303030303030u;
    return (((values & 0x7F7F7F7F7F7F7F7Fu) + 0x7676767676767676u) | values) & 0x8080808080808080u;
}

// The value of eight ASCII digits, or zero bytes, in a little-endian word: pairs, then fours, then all are joined.
inline uint64_t eight_digits(uint64_t word) {
    word = (word & 0x0F0F0F0F0F0F0F0Fu) * 2561 >> 8;
    word = (word & 0x00FF00FF00FF00FFu) * 6553601 >> 16;
    return (word & 0x0000FFFF0000FFFFu) * 42949672960001u >> 32;
}

// The bytes [pos, end) as a little-endian word, at most eight of them, then zeros. Where fewer are left, they are taken
// from the eight bytes before `end`, if those are all readable: `start` is where the readable bytes begin.
inline uint64_t word_at(const uint8_t *pos, const uint8_t *end, const uint8_t *start) {
    uint64_t word = 0;
    const ptrdiff_t left = end - pos;
    if (left >= 8) {
        std::memcpy(&word, pos, 8);
    } else if (left > 0 && end - start >= 8) {
        std::memcpy(&word, end - 8, 8);
        word >>= 64 - 8 * left;
    } else if (left > 0) {
        for (ptrdiff_t offset = 0; offset < left; ++offset) word |= static_cast<uint64_t>(pos[offset]) << 8 * offset;
    }
    return word;
}

// Where the decimal digits at `pos` end.
inline const uint8_t *skip_digits(const uint8_t *pos, const uint8_t *end) {
    for (; end - pos >= 8; pos += 8) {
        uint64_t word;
        std::memcpy(&word, pos, 8);
        const uint64_t others = other_than_digits(word);
        if (others) return pos + (trailing_zeros(others) >> 3);
    }
    while (pos < end && *pos >= '0' && *pos <= '9') ++pos;
    return pos;
}

// Appends the decimal digits at `pos` to `digits` (modulo 2^64), and returns where they end.
inline const uint8_t *take_digits(const uint8_t *pos, const uint8_t *end, const uint8_t *start, uint64_t *digits) {
    for (;;) {
        const uint64_t word = word_at(pos, end, start);
        const uint64_t others = other_than_digits(word);
        if (others) {
            const int count = trailing_zeros(others) >> 3;
            // In two steps: without digits it would be a shift by 64.
            *digits = *digits * powers_of_ten.power[count] + eight_digits(word << (56 - 8 * count) << 8);
            return pos + count;
        }
        *digits = *digits * powers_of_ten.power[8] + eight_digits(word);
        pos += 8;
    }
}

// The double nearest the JSON number [pos, end), whose grammar the caller has checked.
//
// std::from_chars would read it in place, but libc++ has it for doubles only since LLVM 20. std::strtod needs a copy,
// of bounded length and without a point, whose character depends on the locale.
HISTSCAN_NOINLINE double read_double(const uint8_t *pos, const uint8_t *end) {
    // A number half way between two doubles has at most 767 significant digits. Of those that follow, it only matters
    // whether any is not 0.
    constexpr int digit_limit = 768;
    // Beyond this, nothing but the sign is left of so many digits.
    constexpr long exponent_limit = 100000;
    char text[digit_limit + 16];
    char *out = text;
    if (*pos == '-') *out++ = static_cast<char>(*pos++);
    int count = 0;
    long exponent = 0;  // of the last digit in `text`
    bool is_behind_point = false, has_more = false;
    for (; pos < end && *pos != 'e' && *pos != 'E'; ++pos) {
        if (*pos == '.') {
            is_behind_point = true;
            continue;
        }
        exponent -= is_behind_point;
        if (count == digit_limit) {
            has_more |= *pos != '0';
            ++exponent;
        } else if (count != 0 || *pos != '0') {
            *out++ = static_cast<char>(*pos);
            ++count;
        }
    }
    if (has_more || count == 0) {
        *out++ = has_more ? '1' : '0';
        --exponent;
    }
    if (pos < end) {
        const bool is_negative = pos[1] == '-';
        long written = 0;
        for (pos += 1 + (pos[1] == '-' || pos[1] == '+'); pos < end; ++pos) {
            // No text is long enough for its digits to make up for a larger exponent.
            if (written < 1000000000000000) written = written * 10 + (*pos - '0');
        }
        exponent += is_negative ? -written : written;
    }
    exponent = std::max(-exponent_limit, std::min(exponent, exponent_limit));
    std::snprintf(out, static_cast<size_t>(text + sizeof text - out), "e%ld", exponent);
    return std::strtod(text, nullptr);
}

// The exponent of the highest bit of 10^`exponent`: floor(exponent * log2(10)), in fixed point.
constexpr long binary_exponent(long exponent) { return (217706 * exponent) >> 16; }

// The double nearest `digits` * 10^`exponent`, with the sign of the JSON number [pos, end) that they were read from.
// `digit_count` says how many digits were written: more than 19 significant ones don't fit in `digits`.
HISTSCAN_INLINE double nearest_double(
    uint64_t digits, long exponent, ptrdiff_t digit_count, const uint8_t *pos, const uint8_t *end) {
    const bool negative = *pos == '-';
    if (digit_count > 19) {
        // Zeros before the first significant digit took no room.
        const uint8_t *zero = pos + negative;
        for (; zero < end && (*zero == '0' || *zero == '.'); ++zero) digit_count -= *zero == '0';
        if (digit_count > 19) return read_double(pos, end);
    }
    if (digits == 0) return negative ? -0.0 : 0.0;
    if (exponent < smallest_power || exponent > largest_power) return read_double(pos, end);
    const int shift = leading_zeros(digits);
    const uint64_t factor = digits << shift;
    const Power &power = powers_of_five.power[exponent - smallest_power];
    unsigned __int128 product = static_cast<unsigned __int128>(factor) * power.high;
    // Of the upper half 55 bits are needed: 53, a rounding bit, and one that is set if the product needs no shift.
    // Where those below are all ones, what the lower half of the power adds could carry into them.
    if ((static_cast<uint64_t>(product >> 64) & 0x1FF) == 0x1FF) {
        product += static_cast<uint64_t>((static_cast<unsigned __int128>(factor) * power.low) >> 64);
    }
    const uint64_t high = static_cast<uint64_t>(product >> 64), low = static_cast<uint64_t>(product);
    if (low == ~uint64_t{0} && (exponent < -27 || exponent > 55)) return read_double(pos, end);
    const int upper_bit = static_cast<int>(high >> 63);
    uint64_t mantissa = high >> (upper_bit + 9);
    // And the bias of a double's exponent.
    long double_exponent = binary_exponent(exponent) + 63 + upper_bit - shift + 1023;
    if (double_exponent <= 0 || double_exponent >= 0x7FE) return read_double(pos, end);
    // Exactly half way between two doubles goes to the even one; only here can the product be exact.
    if (low <= 1 && exponent >= -4 && exponent <= 23 && (mantissa & 3) == 1 && mantissa << (upper_bit + 9) == high) {
        mantissa &= ~uint64_t{1};
    }
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >= uint64_t{1} << 53) {
        mantissa = uint64_t{1} << 52;
        ++double_exponent;
    }
    const uint64_t bits = (mantissa & ~(uint64_t{1} << 52)) | static_cast<uint64_t>(double_exponent) << 52 |
                          static_cast<uint64_t>(negative) << 63;
    double number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
}

// Shorter numbers gain nothing from being read in whole words.
constexpr ptrdiff_t shortest_whole_decimal = 12;

// As many zero bytes as ones of all bits: the 24 bytes from the n-th on are a mask for the last n of 24.
struct FractionMasks {
    uint8_t bytes[2 * most_fraction_digits];

    constexpr FractionMasks() : bytes{} {
        for (int place = most_fraction_digits; place < 2 * most_fraction_digits; ++place) bytes[place] = 0xFF;
    }
};

inline constexpr FractionMasks fraction_masks{};

// Reads two numbers of up to eight digits each, whose bytes are those that the masks leave of two little-endian words:
// the last ones. The second number is in the upper half of `numbers`. Returns false if any byte is not a digit.
inline bool read_two_numbers(
    uint64_t first, uint64_t first_mask, uint64_t second, uint64_t second_mask, uint64_t *numbers) {
    const Bytes16 digits = both(subtract(from_words(first, second), fill16('0')), from_words(first_mask, second_mask));
    if (!is_all(at_most(digits, fill16(9)))) return false;
    *numbers = join_digits(digits);
    return true;
}

// The number [pos, end), of which the first `leading_count` digits have been read as `leading`; `digits` is where the
// others begin, `length` how many bytes are left up to the exponent, and at least eight of them may be read.
//
// Where the end is known, the digits after the point are three words that end there, whatever their count: no branch
// depends on it, and none of the words waits for another.
HISTSCAN_INLINE bool read_decimal_words(uint64_t leading, int leading_count, const uint8_t *digits, ptrdiff_t length,
    long exponent, const uint8_t *pos, const uint8_t *end, double *number) {
    uint64_t whole, high, middle, low, high_mask, middle_mask, low_mask;
    std::memcpy(&whole, digits, 8);
    const uint64_t others = other_than_digits(whole);
    if (others == 0) return false;
    const int count = trailing_zeros(others) >> 3;
    const ptrdiff_t fraction = length - count - 1;
    if (digits[count] != '.' || (leading_count == 0 && (count == 0 || (count > 1 && *digits == '0')))) return false;
    if (fraction < 1 || count + fraction > most_fraction_digits) return false;
    const uint8_t *last = digits + length - 8;
    std::memcpy(&high, last - 16, 8);
    std::memcpy(&middle, last - 8, 8);
    std::memcpy(&low, last, 8);
    std::memcpy(&high_mask, fraction_masks.bytes + fraction, 8);
    std::memcpy(&middle_mask, fraction_masks.bytes + fraction + 8, 8);
    std::memcpy(&low_mask, fraction_masks.bytes + fraction + 16, 8);
    // In two steps: without digits it would be a shift by 64.
    const int shift = 56 - 8 * count;
    uint64_t upper, lower;
    if (!read_two_numbers(whole << shift << 8, ~uint64_t{0} << shift << 8, high, high_mask, &upper)) return false;
    if (!read_two_numbers(middle, middle_mask, low, low_mask, &lower)) return false;
    constexpr uint64_t half = 0xFFFFFFFFu;
    const uint64_t value = leading * powers_of_ten.power[count + fraction] +
                           (upper & half) * powers_of_ten.power[fraction] + (upper >> 32) * powers_of_ten.power[16] +
                           (lower & half) * powers_of_ten.power[8] + (lower >> 32);
    *number = nearest_double(value, exponent - fraction, leading_count + count + fraction, pos, end);
    return true;
}

// As `read_whole_decimal`, for numbers whose first eight digits are before the point: seconds since 1970, most of all.
HISTSCAN_NOINLINE bool read_large_decimal(
    const uint8_t *digits, ptrdiff_t length, const uint8_t *pos, const uint8_t *end, double *number) {
    uint64_t leading;
    std::memcpy(&leading, digits, 8);
    if (length < 16 || *digits == '0') return false;
    return read_decimal_words(eight_digits(leading), 8, digits + 8, length - 8, 0, pos, end, number);
}

// Reads the number that is all of [pos, end) if it has a point and is long, as most numbers in rows; otherwise returns
// false, and the caller must take the slow path. `start` is where the readable bytes begin. They may be any bytes, or
// none.
inline bool read_whole_decimal(const uint8_t *pos, const uint8_t *end, const uint8_t *start, double *number) {
    if (end - pos < shortest_whole_decimal || end - start < most_fraction_digits + 4) return false;
    const uint8_t *digits = pos + (*pos == '-');
    ptrdiff_t length = end - digits;
    uint64_t whole;
    std::memcpy(&whole, digits, 8);
    if (other_than_digits(whole) == 0) return read_large_decimal(digits, length, pos, end, number);
    // An exponent of two digits, as Python writes that of a small number, and Go that of seconds since 1970.
    long exponent = 0;
    if (end[-4] == 'e' && (end[-3] == '-' || end[-3] == '+')) {
        const unsigned tens = end[-2] - unsigned{'0'}, ones = end[-1] - unsigned{'0'};
        if (tens > 9 || ones > 9) return false;
        exponent = static_cast<long>(10 * tens + ones);
        if (end[-3] == '-') exponent = -exponent;
        length -= 4;
    }
    return read_decimal_words(0, 0, digits, length, exponent, pos, end, number);
}

// Reads the integer that is all of [pos, end) if it has up to eight digits, as the numbers of steps and samples;
// otherwise returns false, and the caller must take the slow path. `start` is where the readable bytes begin. They may
// be any bytes, or none.
inline bool read_whole_integer(const uint8_t *pos, const uint8_t *end, const uint8_t *start, int64_t *integer) {
    if (pos == end || end - pos > 9 || end - start < 8) return false;
    const bool negative = *pos == '-';
    const ptrdiff_t length = end - pos - negative;
    if (length < 1 || length > 8) return false;
    const int shift = static_cast<int>(64 - 8 * length);
    uint64_t word;
    std::memcpy(&word, end - 8, 8);
    if (other_than_digits(word) >> shift || (length > 1 && pos[negative] == '0')) return false;
    const int64_t value = static_cast<int64_t>(eight_digits(word >> shift << shift));
    *integer = negative ? -value : value;
    return true;
}

}  // namespace histscan

#endif
