// Single values out of Arrow's buffers, which need not be aligned.

#ifndef HISTSCAN_ARROW_VALUES_HPP
#define HISTSCAN_ARROW_VALUES_HPP

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace histscan {

template <typename Number>
inline Number load_value(const uint8_t *buffer, int64_t index) {
    Number number;
    std::memcpy(&number, buffer + index * static_cast<int64_t>(sizeof number), sizeof number);
    return number;
}

inline bool bit_at(const uint8_t *buffer, int64_t index) { return buffer[index >> 3] >> (index & 7) & 1; }

// Returns true if a double is a whole number within int64.
inline bool is_step(double number) {
    return number >= -9223372036854775808.0 && number < 9223372036854775808.0 && number == std::floor(number);
}

// A half-precision float, widened.
inline double widen_half(uint16_t bits) {
    const int exponent = bits >> 10 & 0x1F;
    const int fraction = bits & 0x3FF;
    double value;
    if (exponent == 0x1F) {
        value = fraction ? NAN : INFINITY;
    } else if (exponent) {
        value = std::ldexp(1024 + fraction, exponent - 25);
    } else {
        value = std::ldexp(fraction, -24);
    }
    return bits & 0x8000 ? -value : value;
}

// Sorts by step; rows of one step stay in their order.
template <typename Row>
inline void sort_by_step(std::vector<Row> &rows) {
    const auto is_lower = [](const Row &left, const Row &right) { return left.step < right.step; };
    if (!std::is_sorted(rows.begin(), rows.end(), is_lower)) std::stable_sort(rows.begin(), rows.end(), is_lower);
}

}  // namespace histscan

#endif
