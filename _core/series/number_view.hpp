// The values of Arrow arrays, read in place.

#ifndef HISTSCAN_NUMBER_VIEW_HPP
#define HISTSCAN_NUMBER_VIEW_HPP

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace histscan {

// Which values of an array are null. Without bits, none is.
struct ValidityView {
    const uint8_t *bits = nullptr;
    int64_t offset = 0;  // in bits
    int64_t length = 0;

    bool is_valid(int64_t row) const {
        const int64_t bit = offset + row;
        return bits == nullptr || ((bits[bit >> 3] >> (bit & 7)) & 1) != 0;
    }
};

// An array of float64 or int64. The values need not be aligned: buffers may be parts of a file or of a message.
struct NumberView {
    ValidityView validity;
    const uint8_t *values = nullptr;
    bool is_integer = false;

    int64_t integer(int64_t row) const { return load<int64_t>(row); }

    // Returns the value as a double, and NaN for null.
    double number(int64_t row) const {
        if (!validity.is_valid(row)) return std::numeric_limits<double>::quiet_NaN();
        return is_integer ? static_cast<double>(load<int64_t>(row)) : load<double>(row);
    }

    bool is_finite(int64_t row) const { return std::isfinite(number(row)); }

    // The order of two values that are finite. Integers are compared as such: doubles hold only those up to 2**53.
    bool is_less(int64_t left, int64_t right) const {
        return is_integer ? load<int64_t>(left) < load<int64_t>(right) : load<double>(left) < load<double>(right);
    }

private:
    template <typename Value>
    Value load(int64_t row) const {
        Value value;
        std::memcpy(&value, values + (validity.offset + row) * static_cast<int64_t>(sizeof(Value)), sizeof(Value));
        return value;
    }
};

// Returns where `value` lies between two numbers that differ, from 0 to 1. A difference of doubles may overflow, half
// of it may not.
inline double share_between(double low, double value, double high) {
    const double width = high - low;
    if (std::isfinite(width)) return (value - low) / width;
    return (value / 2 - low / 2) / (high / 2 - low / 2);
}

// Returns the number at a share of the way from one number to another.
inline double interpolated(double first, double second, double share) {
    const double difference = second - first;
    if (std::isfinite(difference) || !std::isfinite(first) || !std::isfinite(second)) {
        return first + difference * share;
    }
    return first * (1 - share) + second * share;
}

}  // namespace histscan

#endif
