// Puts the rows of each run in the order of an axis, with one row for each of its values.

#ifndef HISTSCAN_ROW_ALIGNMENT_HPP
#define HISTSCAN_ROW_ALIGNMENT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "series/number_view.hpp"

namespace histscan {

struct AlignedRows {
    std::vector<int64_t> offsets;  // where in the aligned rows each run begins, and the number of all
    bool is_unchanged = false;     // each aligned row is the row of the same index, and the others are empty
    std::vector<int64_t> order;    // the rows whose x is finite; in each run by x, then in their own order
    std::vector<int64_t> starts;   // where in `order` the rows of each aligned row begin, and the number of all

    int64_t size() const { return offsets.back(); }

    // The last of the rows that an aligned row is made of.
    int64_t last_row(int64_t aligned) const {
        if (is_unchanged) return aligned;
        return order[static_cast<size_t>(starts[static_cast<size_t>(aligned) + 1] - 1)];
    }

    // The last of them whose value is valid; -1 if there is none.
    int64_t last_valid_row(int64_t aligned, const ValidityView &validity) const {
        if (is_unchanged) return validity.is_valid(aligned) ? aligned : -1;
        const int64_t begin = starts[static_cast<size_t>(aligned)];
        for (int64_t index = starts[static_cast<size_t>(aligned) + 1] - 1; index >= begin; --index) {
            const int64_t row = order[static_cast<size_t>(index)];
            if (validity.is_valid(row)) return row;
        }
        return -1;
    }
};

// Returns true if x is finite in each row, and ascends in each run.
inline bool is_aligned(const std::vector<int64_t> &offsets, const NumberView &x) {
    for (size_t run = 0; run + 1 < offsets.size(); ++run) {
        for (int64_t row = offsets[run]; row < offsets[run + 1]; ++row) {
            if (!x.is_finite(row) || (row > offsets[run] && !x.is_less(row - 1, row))) return false;
        }
    }
    return true;
}

inline AlignedRows align_rows(const std::vector<int64_t> &offsets, const NumberView &x) {
    AlignedRows aligned;
    if (is_aligned(offsets, x)) {
        aligned.offsets = offsets;
        aligned.is_unchanged = true;
        return aligned;
    }
    aligned.order.reserve(static_cast<size_t>(offsets.back()));
    aligned.starts.reserve(static_cast<size_t>(offsets.back()) + 1);
    aligned.offsets.push_back(0);
    const auto is_less = [&](int64_t left, int64_t right) { return x.is_less(left, right); };
    for (size_t run = 0; run + 1 < offsets.size(); ++run) {
        const size_t first = aligned.order.size();
        for (int64_t row = offsets[run]; row < offsets[run + 1]; ++row) {
            if (x.is_finite(row)) aligned.order.push_back(row);
        }
        const auto begin = aligned.order.begin() + static_cast<std::ptrdiff_t>(first);
        if (!std::is_sorted(begin, aligned.order.end(), is_less)) {
            std::stable_sort(begin, aligned.order.end(), is_less);
        }
        for (size_t index = first; index < aligned.order.size(); ++index) {
            if (index == first || is_less(aligned.order[index - 1], aligned.order[index])) {
                aligned.starts.push_back(static_cast<int64_t>(index));
            }
        }
        aligned.offsets.push_back(static_cast<int64_t>(aligned.starts.size()));
    }
    aligned.starts.push_back(static_cast<int64_t>(aligned.order.size()));
    return aligned;
}

// An array of 64-bit values and the bits that tell which are valid.
template <typename Value>
struct NullableValues {
    std::vector<Value> values;
    std::vector<uint8_t> bits;

    NullableValues() = default;
    explicit NullableValues(int64_t length)
        : values(static_cast<size_t>(length)), bits((static_cast<size_t>(length) + 7) / 8) {}

    void set(int64_t index, Value value) {
        values[static_cast<size_t>(index)] = value;
        bits[static_cast<size_t>(index) >> 3] |= static_cast<uint8_t>(1U << (index & 7));
    }
};

using NullableRows = NullableValues<int64_t>;
using NullableNumbers = NullableValues<double>;

// Finds the row that has the value of each aligned row, or that of the row before with `carries`.
inline NullableRows rows_of_values(const AlignedRows &aligned, const ValidityView &validity, bool carries) {
    NullableRows found(aligned.size());
    for (size_t run = 0; run + 1 < aligned.offsets.size(); ++run) {
        int64_t last = -1;
        for (int64_t index = aligned.offsets[run]; index < aligned.offsets[run + 1]; ++index) {
            int64_t row = aligned.last_valid_row(index, validity);
            if (row < 0 && carries) row = last;
            if (row < 0) continue;
            found.set(index, row);
            last = row;
        }
    }
    return found;
}

inline double share_of_axis(const NumberView &x, int64_t low, int64_t row, int64_t high) {
    if (!x.is_integer) return share_between(x.number(low), x.number(row), x.number(high));
    // Differences of integers are exact, also where doubles can't hold the integers.
    const auto first = static_cast<uint64_t>(x.integer(low));
    return static_cast<double>(static_cast<uint64_t>(x.integer(row)) - first) /
           static_cast<double>(static_cast<uint64_t>(x.integer(high)) - first);
}

// Interpolates linearly in x where a value is missing between two others of its run.
inline NullableNumbers interpolate_rows(const AlignedRows &aligned, const NumberView &x, const NumberView &column) {
    NullableNumbers numbers(aligned.size());
    for (size_t run = 0; run + 1 < aligned.offsets.size(); ++run) {
        int64_t known = -1;  // the last aligned row with a value
        for (int64_t index = aligned.offsets[run]; index < aligned.offsets[run + 1]; ++index) {
            const int64_t row = aligned.last_valid_row(index, column.validity);
            if (row < 0) continue;
            const double number = column.number(row);
            for (int64_t gap = known + 1; known >= 0 && gap < index; ++gap) {
                const double share =
                    share_of_axis(x, aligned.last_row(known), aligned.last_row(gap), aligned.last_row(index));
                numbers.set(gap, interpolated(numbers.values[static_cast<size_t>(known)], number, share));
            }
            numbers.set(index, number);
            known = index;
        }
    }
    return numbers;
}

}  // namespace histscan

#endif
