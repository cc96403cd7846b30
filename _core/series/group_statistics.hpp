// Statistics of groups of runs along an axis.

#ifndef HISTSCAN_GROUP_STATISTICS_HPP
#define HISTSCAN_GROUP_STATISTICS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <vector>

#include "series/number_view.hpp"
#include "series/row_alignment.hpp"

namespace histscan {

// Count, mean, sum of squared deviations and extremes in one pass: B. P. Welford, "Note on a Method for Calculating
// Corrected Sums of Squares and Products", Technometrics 4 (3), 1962.
struct Moments {
    int64_t count = 0;
    double mean = 0;
    double squares = 0;
    double low = 0;
    double high = 0;

    void add(double number) {
        ++count;
        const auto total = static_cast<double>(count);
        const double difference = number - mean;
        if (std::isfinite(difference)) {
            mean += difference / total;
            squares += difference * (number - mean);
        } else {
            // Infinities have a mean, if they are of one sign.
            mean = mean * ((total - 1) / total) + number / total;
            squares = std::numeric_limits<double>::quiet_NaN();
        }
        low = count == 1 ? number : std::min(low, number);
        high = count == 1 ? number : std::max(high, number);
    }

    // The standard deviation of a sample: divided by count - 1.
    double deviation() const {
        if (count < 2) return std::numeric_limits<double>::quiet_NaN();
        return std::sqrt(squares / static_cast<double>(count - 1));
    }
};

// The cells of each group: places on the axis.
struct GroupCells {
    std::vector<int64_t> offsets;   // where each group's cells begin, and the number of all
    std::vector<double> positions;  // ascending in each group

    size_t begin(int64_t group) const { return static_cast<size_t>(offsets[static_cast<size_t>(group)]); }
    size_t end(int64_t group) const { return static_cast<size_t>(offsets[static_cast<size_t>(group) + 1]); }

    void close_group() { offsets.push_back(static_cast<int64_t>(positions.size())); }
};

struct AxisRange {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();

    bool is_empty() const { return low > high; }
};

inline AxisRange range_of(const NumberView &x) {
    AxisRange range;
    for (int64_t row = 0; row < x.validity.length; ++row) {
        const double number = x.number(row);
        if (!std::isfinite(number)) continue;
        range.low = std::min(range.low, number);
        range.high = std::max(range.high, number);
    }
    return range;
}

// The same cells for each group. Their places are the centres of `count` equal parts of the range, or `count` points
// from one end of the range to the other.
inline GroupCells equal_cells(AxisRange range, int64_t groups, int64_t count, bool are_points) {
    std::vector<double> positions;
    if (range.low == range.high) {
        positions.push_back(range.low);
    } else if (!range.is_empty()) {
        for (int64_t index = 0; index < count; ++index) {
            const double share = are_points ? static_cast<double>(index) / static_cast<double>(count - 1)
                                            : (static_cast<double>(index) + 0.5) / static_cast<double>(count);
            positions.push_back(interpolated(range.low, range.high, share));
        }
        if (are_points) positions.back() = range.high;
    }
    GroupCells cells;
    cells.offsets.push_back(0);
    for (int64_t group = 0; group < groups; ++group) {
        cells.positions.insert(cells.positions.end(), positions.begin(), positions.end());
        cells.close_group();
    }
    return cells;
}

// Returns the different finite numbers in these rows, ascending.
inline std::vector<double> positions_in(const NumberView &x, int64_t begin, int64_t end) {
    std::vector<double> positions;
    for (int64_t row = begin; row < end; ++row) {
        // The sum makes a zero of -0.0.
        if (x.is_finite(row)) positions.push_back(x.number(row) + 0.0);
    }
    if (!std::is_sorted(positions.begin(), positions.end())) std::sort(positions.begin(), positions.end());
    positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
    return positions;
}

// Returns the different positions in some runs, ascending. Halves are merged: runs of the same steps, and runs that
// have none in common, take time in proportion to their rows, the latter times the logarithm of their number.
inline std::vector<double> merged_positions(const std::vector<int64_t> &offsets, const NumberView &x,
    const std::vector<size_t> &runs, size_t begin, size_t end) {
    if (begin == end) return {};
    if (end - begin == 1) return positions_in(x, offsets[runs[begin]], offsets[runs[begin] + 1]);
    const size_t middle = begin + (end - begin) / 2;
    std::vector<double> left = merged_positions(offsets, x, runs, begin, middle);
    const std::vector<double> right = merged_positions(offsets, x, runs, middle, end);
    if (left == right) return left;
    std::vector<double> merged;
    merged.reserve(std::max(left.size(), right.size()));
    std::set_union(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(merged));
    return merged;
}

// One cell for each value of x in a group.
inline GroupCells exact_cells(
    const std::vector<int64_t> &offsets, const std::vector<int64_t> &groups, int64_t group_count, const NumberView &x) {
    std::vector<std::vector<size_t>> runs(static_cast<size_t>(group_count));
    for (size_t run = 0; run < groups.size(); ++run) runs[static_cast<size_t>(groups[run])].push_back(run);
    GroupCells cells;
    cells.offsets.push_back(0);
    for (const std::vector<size_t> &members : runs) {
        const std::vector<double> positions = merged_positions(offsets, x, members, 0, members.size());
        cells.positions.insert(cells.positions.end(), positions.begin(), positions.end());
        cells.close_group();
    }
    return cells;
}

// Returns the cell of each row, -1 if its x is not finite. With `buckets`, cells are equal parts of the range.
inline std::vector<int64_t> cells_of_rows(const std::vector<int64_t> &offsets, const std::vector<int64_t> &groups,
    const NumberView &x, const GroupCells &cells, AxisRange range, int64_t buckets) {
    std::vector<int64_t> found(static_cast<size_t>(offsets.back()), -1);
    for (size_t run = 0; run < groups.size(); ++run) {
        const size_t begin = cells.begin(groups[run]);
        const size_t count = cells.end(groups[run]) - begin;
        const double *positions = cells.positions.data() + begin;
        size_t next = 0;
        for (int64_t row = offsets[run]; row < offsets[run + 1]; ++row) {
            const double number = x.number(row);
            if (!std::isfinite(number)) continue;
            size_t cell = 0;
            if (buckets > 0) {
                if (count > 1) {
                    const double share = share_between(range.low, number, range.high);
                    cell = std::min(count - 1, static_cast<size_t>(share * static_cast<double>(count)));
                }
            } else {
                // Steps mostly ascend, and runs mostly have the same ones.
                cell = next < count && positions[next] == number
                           ? next
                           : static_cast<size_t>(std::lower_bound(positions, positions + count, number) - positions);
                next = cell + 1;
            }
            found[static_cast<size_t>(row)] = static_cast<int64_t>(begin + cell);
        }
    }
    return found;
}

// Adds the mean of each run in a cell to the cell, so that runs with more rows do not count more.
inline std::vector<Moments> bucket_moments(const std::vector<int64_t> &offsets, const std::vector<int64_t> &row_cells,
    int64_t cell_count, const NumberView &column) {
    struct Sum {
        double total = 0;
        int64_t count = 0;
    };
    std::vector<Moments> moments(static_cast<size_t>(cell_count));
    std::vector<Sum> sums(static_cast<size_t>(cell_count));
    std::vector<size_t> touched;
    for (size_t run = 0; run + 1 < offsets.size(); ++run) {
        touched.clear();
        for (int64_t row = offsets[run]; row < offsets[run + 1]; ++row) {
            const int64_t cell = row_cells[static_cast<size_t>(row)];
            const double number = column.number(row);
            if (cell < 0 || std::isnan(number)) continue;
            Sum &sum = sums[static_cast<size_t>(cell)];
            if (sum.count == 0) touched.push_back(static_cast<size_t>(cell));
            sum.total += number;
            ++sum.count;
        }
        for (const size_t cell : touched) {
            const double mean = sums[cell].total / static_cast<double>(sums[cell].count);
            if (!std::isnan(mean)) moments[cell].add(mean);
            sums[cell] = Sum();
        }
    }
    return moments;
}

// The points of one run's curve: its rows that have a number, in the order of x.
class RunCurve {
public:
    RunCurve(const AlignedRows &aligned, const NumberView &x, const NumberView &column)
        : aligned_(aligned), x_(x), column_(column), is_direct_(aligned.is_unchanged && !column.validity.bits) {}

    // Takes the points of another run; they must be asked for in ascending order of x then.
    void open(size_t run) {
        const int64_t begin = aligned_.offsets[run];
        const int64_t end = aligned_.offsets[run + 1];
        point_ = 0;
        first_ = begin;
        size_ = end - begin;
        if (is_direct_) return;
        rows_.clear();
        for (int64_t index = begin; index < end; ++index) {
            const int64_t row = aligned_.last_valid_row(index, column_.validity);
            if (row >= 0) rows_.push_back(row);
        }
        size_ = static_cast<int64_t>(rows_.size());
    }

    bool is_empty() const { return size_ == 0; }
    double first_x() const { return x(0); }
    double last_x() const { return x(size_ - 1); }

    // Returns the number at a place from the first point to the last one.
    double number_at(double place) {
        // Strides double until the next point is beyond, then halve.
        int64_t stride = 1;
        while (advance(stride, place)) stride *= 2;
        while (stride > 1) advance(stride /= 2, place);
        const double before = x(point_);
        const double number = column_.number(row_of(point_));
        if (!(before < place)) return number;
        return interpolated(number, column_.number(row_of(point_ + 1)), share_between(before, place, x(point_ + 1)));
    }

private:
    int64_t row_of(int64_t point) const { return is_direct_ ? first_ + point : rows_[static_cast<size_t>(point)]; }
    double x(int64_t point) const { return x_.number(row_of(point)); }

    bool advance(int64_t stride, double place) {
        if (stride >= size_ - point_ || x(point_ + stride) > place) return false;
        point_ += stride;
        return true;
    }

    const AlignedRows &aligned_;
    const NumberView &x_;
    const NumberView &column_;
    const bool is_direct_;  // each row of a run is a point
    std::vector<int64_t> rows_;
    int64_t first_ = 0;
    int64_t size_ = 0;
    int64_t point_ = 0;  // the last point whose x is not beyond the place
};

// Adds the number of each run at a cell's place to the cell, interpolated linearly between the run's own.
inline std::vector<Moments> interpolated_moments(const AlignedRows &aligned, const std::vector<int64_t> &groups,
    const NumberView &x, const GroupCells &cells, const NumberView &column) {
    std::vector<Moments> moments(cells.positions.size());
    RunCurve curve(aligned, x, column);
    for (size_t run = 0; run < groups.size(); ++run) {
        curve.open(run);
        if (curve.is_empty()) continue;
        const double *end = cells.positions.data() + cells.end(groups[run]);
        const double *place = cells.positions.data() + cells.begin(groups[run]);
        const double last = curve.last_x();
        for (place = std::lower_bound(place, end, curve.first_x()); place != end && *place <= last; ++place) {
            const double number = curve.number_at(*place);
            if (!std::isnan(number)) moments[static_cast<size_t>(place - cells.positions.data())].add(number);
        }
    }
    return moments;
}

}  // namespace histscan

#endif
