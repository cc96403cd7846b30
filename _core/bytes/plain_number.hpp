// Plain numbers, as nearly all in history rows are: finds their ends and their values without a loop over their bytes.

#ifndef HISTSCAN_PLAIN_NUMBER_HPP
#define HISTSCAN_PLAIN_NUMBER_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bytes/compiler.hpp"
#include "bytes/decimal.hpp"
#include "bytes/vectors.hpp"

namespace histscan {

enum PlainKind {
    NOT_PLAIN,      // for the slow path: another number, or none
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

// 10^-n: as in `powers_of_five`, and the exponent of a double whose mantissa is a 64-bit integer with its highest bit
// set, times that power, where the product of the two needs no shift: less one, as the mantissa's highest bit is added
// to it.
struct NegativePower {
    uint64_t high, low;
    int64_t exponent;
    int64_t unused;  // a power's place is found by a shift
};

constexpr int lowest_normal_power = -130;

// All tables for reading a plain number, in one place: one register addresses them.
struct NumberTables {
    alignas(32) uint8_t comma[32];
    alignas(32) uint8_t brace[32];
    alignas(32) uint8_t bracket_bit[32];
    // Of `other_bits`: what makes a zero the lowest number with a sign, and what becomes of a nine.
    alignas(32) uint8_t lowest[32];
    alignas(32) uint8_t nine[32];
    DigitFactors factors;
    // As many zero bytes as ones of four set bits: the 32 bytes from the n-th on leave of the last n of 32 ASCII digits
    // their values, and of all other bytes nothing.
    alignas(32) uint8_t digit_masks[2 * wide_vector_size];
    NegativePower powers[1 - lowest_normal_power];

    constexpr NumberTables() : comma{}, brace{}, bracket_bit{}, lowest{}, nine{}, factors{}, digit_masks{}, powers{} {
        for (int place = 0; place < 32; ++place) {
            comma[place] = ',';
            brace[place] = '}';
            bracket_bit[place] = 0x20;
            lowest[place] = 0x80 - '0';
            nine[place] = 0x80 + 9;
            digit_masks[wide_vector_size + place] = 0x0F;
        }
        for (int q = 0; q >= lowest_normal_power; --q) {
            const Power &five = powers_of_five.power[q - smallest_power];
            powers[-q] = {five.high, five.low, binary_exponent(q) + 63 + 1023 - 1, 0};
        }
    }
};

inline constexpr NumberTables number_tables{};

// The address of the tables. If the compiler knew their contents, it would build the vectors again for each number, in
// three steps each.
inline const NumberTables &opaque_tables() { return *opaque(&number_tables); }

// A bit for each of 32 bytes that is not an ASCII digit.
HISTSCAN_WIDE inline uint32_t other_bits(Bytes32 text, const NumberTables &tables) {
    return bits_of(below_signed(load32_aligned(tables.nine), add(text, load32_aligned(tables.lowest))));
}

HISTSCAN_WIDE inline Bytes32 last_digits(ptrdiff_t count, const NumberTables &tables) {
    return load32(tables.digit_masks + count);
}

// The bits of a double: `high` is the upper half of a product as in `nearest_double`, whose exponent is `exponent` if
// it needs no shift. The mantissa's highest bit, and what rounding may carry beyond it, add to the exponent.
inline uint64_t rounded_bits(uint64_t high, uint64_t exponent, uint64_t negative) {
    const uint64_t upper_bit = high >> 63;
    const uint64_t mantissa = high >> (upper_bit + 9);
    return ((mantissa + 1) >> 1) + ((exponent + upper_bit) << 52) + (negative << 63);
}

// The powers of ten that doubles hold exactly.
inline constexpr double exact_powers_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
    1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr ptrdiff_t largest_exact_power = 22;

// As `nearest_normal_double`, where the upper half of a power was not enough, or the product ends like one half way
// between two doubles.
HISTSCAN_WIDE HISTSCAN_NOINLINE PlainKind nearest_rare_double(
    uint64_t digits, ptrdiff_t decimals, uint64_t negative, uint64_t *bits) {
    if (digits == 0) {
        *bits = negative << 63;
        return PLAIN_DOUBLE;
    }
    if (digits >> 53 == 0 && decimals <= largest_exact_power) {
        // Whole numbers with a point, halves and the like: a quotient of two exact doubles is rounded once.
        const double quotient = static_cast<double>(static_cast<int64_t>(digits)) / exact_powers_of_ten[decimals];
        std::memcpy(bits, &quotient, sizeof quotient);
        *bits |= negative << 63;
        return PLAIN_DOUBLE;
    }
    const NegativePower &power = number_tables.powers[decimals];
    const uint64_t shift = leading_zeros_wide(digits);
    uint64_t high, carried;
    uint64_t low = multiply(digits << shift, power.high, &high);
    multiply(digits << shift, power.low, &carried);
    low += carried;
    high += low < carried;
    if (low + 1 <= 2) return NOT_PLAIN;
    *bits = rounded_bits(high, static_cast<uint64_t>(power.exponent) - shift, negative);
    return PLAIN_DOUBLE;
}

// The bits of the double nearest `digits` * 10^-`decimals`, which is negative if `negative` is 1, as in
// `nearest_double`; NOT_PLAIN where the rounding is undecided. `digits` are below 10^19, and `decimals`
// are at most 130, so that the double is a normal one.
HISTSCAN_WIDE HISTSCAN_INLINE PlainKind nearest_normal_double(
    uint64_t digits, ptrdiff_t decimals, uint64_t negative, const NumberTables &tables, uint64_t *bits) {
    const uint64_t shift = leading_zeros_wide(digits);
    const NegativePower &power = tables.powers[decimals];
    uint64_t high;
    // Of no digits, the product is 0 whatever the shift.
    const uint64_t low = multiply(digits << (shift & 63), power.high, &high);
    if (HISTSCAN_UNLIKELY(((high + 1) & 0x1FF) == 0 || low + 1 <= 2)) {
        return nearest_rare_double(digits, decimals, negative, bits);
    }
    *bits = rounded_bits(high, static_cast<uint64_t>(power.exponent) - shift, negative);
    return PLAIN_DOUBLE;
}

HISTSCAN_WIDE PlainKind read_scaled_number(
    const uint8_t *pos, const uint8_t *end, const NumberTables &tables, uint64_t *bits);

// As `read_plain_number`, where the 33 bytes before `end` are readable. `decimals` is by how many places an exponent
// that is written after `end` moves the digits to the right, or 0; only then may an exponent be within.
HISTSCAN_WIDE HISTSCAN_INLINE PlainKind read_digits(
    const uint8_t *pos, const uint8_t *end, ptrdiff_t decimals, const NumberTables &tables, uint64_t *bits) {
    const ptrdiff_t length = end - pos;
    if (length < 1 || length >= wide_vector_size) return NOT_PLAIN;
    const uint8_t *last = end - wide_vector_size;
    const Bytes32 text = load32(last);
    const bool negative = *pos == '-';
    const uint8_t *digits = pos + negative;
    const ptrdiff_t count = length - negative;
    if (count == 0) return NOT_PLAIN;
    // A bit for each byte after the sign that is not a digit.
    const uint32_t others = other_bits(text, tables) >> (wide_vector_size - count);
    if (others == 0) {
        if (decimals != 0 || count > 15 || (count > 1 && *digits == '0')) return NOT_PLAIN;
        const uint64_t value = join_digits(both(text, last_digits(count, tables)), tables.factors).lower;
        *bits = negative ? -value : value;
        return PLAIN_INTEGER;
    }
    if (others & (others - 1)) return decimals ? NOT_PLAIN : read_scaled_number(pos, end, tables, bits);
    const ptrdiff_t point = trailing_zeros(others);
    const ptrdiff_t fraction = count - 1 - point;
    // Whether one digit is before the point, or several, can't be predicted.
    const int has_needless_zero = (point > 1) & (*digits == '0');
    if (point == 0 || fraction == 0 || digits[point] != '.' || has_needless_zero) return NOT_PLAIN;
    // Where the point would move beyond the last digit, a power above 10^0 is needed, and the table has none.
    if (decimals < 0 && decimals + fraction < 0) return NOT_PLAIN;
    // The digits before the point move up to where it is.
    const Bytes32 behind_point = last_digits(fraction, tables);
    const Bytes32 moved = without(load32(last - 1), behind_point);
    const Bytes32 joined = either(both(behind_point, text), moved);
    const Halves value = join_digits(both(joined, last_digits(count - 1, tables)), tables.factors);
    // More than three significant digits above the last sixteen may not fit in 64 bits.
    if (value.upper > 999) return NOT_PLAIN;
    const uint64_t all_digits = value.upper * 10000000000000000u + value.lower;
    return nearest_normal_double(all_digits, decimals + fraction, negative, tables, bits);
}

// As `read_digits`, for numbers with an exponent of two digits as Python writes that of a small one, and Go that of
// seconds since 1970; it has four bytes: so many more must be readable.
HISTSCAN_WIDE HISTSCAN_NOINLINE PlainKind read_scaled_number(
    const uint8_t *pos, const uint8_t *end, const NumberTables &tables, uint64_t *bits) {
    if (end - pos < 5 || end[-4] != 'e' || (end[-3] != '-' && end[-3] != '+')) return NOT_PLAIN;
    const unsigned tens = end[-2] - unsigned{'0'}, ones = end[-1] - unsigned{'0'};
    if (tens > 9 || ones > 9 || tens + ones == 0) return NOT_PLAIN;
    const ptrdiff_t exponent = 10 * tens + ones;
    return read_digits(pos, end - 4, end[-3] == '-' ? exponent : -exponent, tables, bits);
}

// How many bytes before the end of a number must be readable for `read_plain_number_wide`.
constexpr ptrdiff_t wide_number_lookbehind = wide_vector_size + 1 + 4;

// As `read_plain_number`, in one vector; `wide_number_lookbehind` bytes before `end` must be readable. It uses most
// registers, so it is not inlined: the loop around it keeps its own.
HISTSCAN_WIDE HISTSCAN_NOINLINE PlainKind read_plain_number_wide(
    const uint8_t *pos, const uint8_t *end, const NumberTables &tables, uint64_t *bits) {
    return read_digits(pos, end, 0, tables, bits);
}

#endif

// Reads the number that is all of [pos, end) if it is a plain one: an integer of a few digits, or a decimal number with
// a point, and perhaps with an exponent as Python writes it. `start` is where the readable bytes begin. They may be any
// bytes, or none.
inline PlainNumber read_plain_number(const uint8_t *pos, const uint8_t *end, const uint8_t *start) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors && end - start >= wide_number_lookbehind) {
        PlainNumber number;
        number.kind = read_plain_number_wide(pos, end, number_tables, &number.bits);
        if (number.kind != NOT_PLAIN) return number;
    }
#endif
    return read_plain_number_narrow(pos, end, start);
}

// Finds the end of the number at `pos` within other JSON, if no white space follows it: the first comma or closing
// bracket. Returns `pos` itself where that is not within 32 bytes, or these are not all readable.
inline const uint8_t *find_number_end(const uint8_t *pos, const uint8_t *end) {
    if (end - pos >= 32) {
        // With this bit, a square bracket is a brace, and nothing in a number becomes one or a comma.
        const Bytes16 comma = fill16(','), brace = fill16('}'), bit = fill16(0x20);
        const Bytes16 lower = either(load16(pos), bit), upper = either(load16(pos + 16), bit);
        const uint32_t ends =
            bits_of(either(equal(lower, comma), equal(lower, brace)), either(equal(upper, comma), equal(upper, brace)));
        if (ends) return pos + trailing_zeros(ends);
    }
    return pos;
}

// Returns true if the first `length` bytes from `pos` on are a plain number, if there are so many: `digits` has a bit
// for each that is a digit. Where `length` is 0, the caller must check that a number begins.
inline bool is_plain_number(const uint8_t *pos, int length, uint32_t digits) {
    const int first = *pos == '-';
    // A bit for each byte after the sign that is not a digit.
    uint32_t others = ~digits & ((uint32_t{1} << length) - 1) & ~static_cast<uint32_t>(first);
    int last = length;
    if (others & (others - 1)) {
        // A point, and an exponent of two digits.
        if (length < 5 || pos[length - 4] != 'e' || others >> (length - 2)) return false;
        if (pos[length - 3] != '-' && pos[length - 3] != '+') return false;
        last = length - 4;
        others &= (uint32_t{1} << last) - 1;
        if (others & (others - 1)) return false;
    }
    const int point = others ? trailing_zeros(others) : last;
    const int has_needless_zero = (point > first + 1) & (pos[first] == '0');
    if (point == first || has_needless_zero) return false;
    return others == 0 || (pos[point] == '.' && point + 1 < last);
}

// The length of the number at `pos` if it is a plain one and a comma follows; 0 if unknown.
//
// Where the next member begins depends on the comma alone: what is before it is checked, but nothing waits for that.
inline ptrdiff_t plain_number_length(const uint8_t *pos, const uint8_t *end) {
    if (end - pos < 32) return 0;
    const Bytes16 comma = fill16(','), zero = fill16('0'), nine = fill16(9);
    const Bytes16 lower = load16(pos), upper = load16(pos + 16);
    const uint32_t commas = bits_of(equal(lower, comma), equal(upper, comma));
    const uint32_t digits = bits_of(at_most(subtract(lower, zero), nine), at_most(subtract(upper, zero), nine));
    if (commas == 0) return 0;
    const int length = trailing_zeros(commas);
    return is_plain_number(pos, length, digits) ? length : 0;
}

#if HISTSCAN_HAS_WIDE_VECTORS

// The number of bytes from `pos` to the first comma or closing bracket; 0 where `find_number_end` would find none. Also
// works near the end of the readable bytes, if there are 32 of them.
HISTSCAN_WIDE inline ptrdiff_t number_length(
    const uint8_t *pos, const uint8_t *end, const uint8_t *start, const NumberTables &tables) {
    const ptrdiff_t left = end - pos;
    const bool is_near_end = left < wide_vector_size;
    if (is_near_end && (left < 1 || end - start < wide_vector_size)) return 0;
    const Bytes32 text = either(load32(is_near_end ? end - wide_vector_size : pos), load32_aligned(tables.bracket_bit));
    const Bytes32 commas = equal(text, load32_aligned(tables.comma));
    const Bytes32 braces = equal(text, load32_aligned(tables.brace));
    const uint32_t ends = bits_of(either(commas, braces)) >> (is_near_end ? wide_vector_size - left : 0);
    return ends ? trailing_zeros(ends) : 0;
}

// Numbers with an exponent are rare: their code is kept out of the loop.
HISTSCAN_NOINLINE bool is_plain_scaled_number(const uint8_t *pos, int length, uint32_t digits) {
    return is_plain_number(pos, length, digits);
}

// As `plain_number_length`.
HISTSCAN_WIDE inline ptrdiff_t plain_number_length_wide(
    const uint8_t *pos, const uint8_t *end, const NumberTables &tables) {
    if (end - pos < wide_vector_size) return 0;
    const Bytes32 text = load32(pos);
    const uint32_t commas = bits_of(equal(text, load32_aligned(tables.comma)));
    if (commas == 0) return 0;
    const auto length = static_cast<unsigned>(trailing_zeros(commas));
    const uint32_t all_others = other_bits(text, tables);
    const bool negative = *pos == '-';
    const uint8_t *first = pos + negative;
    const unsigned count = length - negative;
    // A bit for each byte after the sign that is not a digit.
    const uint32_t others = low_bits(all_others, length) >> negative;
    if (others & (others - 1)) return is_plain_scaled_number(pos, static_cast<int>(length), ~all_others) ? length : 0;
    // Where there is no point, the number's end is taken for one.
    const auto point = static_cast<unsigned>(trailing_zeros(others | uint32_t{1} << (count & 31)));
    const int has_needless_zero = (point > 1) & (*first == '0');
    if (point == 0 || has_needless_zero) return 0;
    return others == 0 || (first[point] == '.' && point + 1 != count) ? length : 0;
}

#endif

#if HISTSCAN_HAS_WIDE_VECTORS

// As `read_ended_number`.
HISTSCAN_WIDE HISTSCAN_NOINLINE const uint8_t *read_ended_number_wide(
    const uint8_t *pos, const uint8_t *end, const uint8_t *start, const NumberTables &tables, PlainNumber *number) {
    const uint8_t *number_end = pos + number_length(pos, end, start, tables);
    if (HISTSCAN_LIKELY(number_end - start >= wide_number_lookbehind)) {
        number->kind = read_digits(pos, number_end, 0, tables, &number->bits);
    } else {
        *number = read_plain_number_narrow(pos, number_end, start);
    }
    return number->kind == NOT_PLAIN ? nullptr : number_end;
}

#endif

// Reads the number at `pos` if it is a plain one, and a comma or a closing bracket follows it; returns its end, or null
// where that is unknown.
HISTSCAN_INLINE const uint8_t *read_ended_number(
    const uint8_t *pos, const uint8_t *end, const uint8_t *start, PlainNumber *number) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return read_ended_number_wide(pos, end, start, number_tables, number);
#endif
    const uint8_t *number_end = find_number_end(pos, end);
    *number = read_plain_number_narrow(pos, number_end, start);
    return number->kind == NOT_PLAIN ? nullptr : number_end;
}

}  // namespace histscan

#endif
