// Selects some of each run's rows, for a picture of as many points.

#ifndef HISTSCAN_ROW_SAMPLING_HPP
#define HISTSCAN_ROW_SAMPLING_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "series/number_view.hpp"

namespace histscan {

struct SelectedRows {
    std::vector<int64_t> rows;     // ascending
    std::vector<int64_t> offsets;  // where each run's rows begin, and the number of all
};

struct RowRange {
    int64_t begin;
    int64_t end;

    int64_t size() const { return end - begin; }
};

// Returns one of `count` parts of a range whose sizes differ by one row at most. Parts have at least one row if the
// range has `count` rows.
inline RowRange part_of(RowRange range, int64_t index, int64_t count) {
    return {range.begin + index * range.size() / count, range.begin + (index + 1) * range.size() / count};
}

// The rows of one run that are selected: the first, the last, and others up to a limit.
class RowMarks {
public:
    RowMarks(RowRange run, int64_t samples) : run_(run), left_(samples), marks_(static_cast<size_t>(run.size())) {
        mark(run.begin);
        mark(run.end - 1);
    }

    void mark(int64_t row) {
        uint8_t &is_marked = marks_[static_cast<size_t>(row - run_.begin)];
        if (is_marked || left_ == 0) return;
        is_marked = 1;
        --left_;
    }

    void append_to(std::vector<int64_t> &rows) const {
        for (int64_t row = run_.begin; row < run_.end; ++row) {
            if (marks_[static_cast<size_t>(row - run_.begin)]) rows.push_back(row);
        }
    }

private:
    RowRange run_;
    int64_t left_;
    std::vector<uint8_t> marks_;
};

// Returns true if a column has two different numbers in these rows, or one that not all of them have.
inline bool varies(const NumberView &column, RowRange rows) {
    int64_t row = rows.begin;
    while (row < rows.end && std::isnan(column.number(row))) ++row;
    if (row == rows.end) return false;
    if (row > rows.begin) return true;
    const double first = column.number(row);
    while (++row < rows.end) {
        // NaN is not equal to it, either.
        if (column.number(row) != first) return true;
    }
    return false;
}

inline std::vector<const NumberView *> columns_that_vary(const std::vector<NumberView> &columns, RowRange rows) {
    std::vector<const NumberView *> found;
    for (const NumberView &column : columns) {
        if (varies(column, rows)) found.push_back(&column);
    }
    return found;
}

// Marks the first row of a column's lowest number, and that of its highest.
inline void mark_extremes(const NumberView &column, RowRange rows, RowMarks &marks) {
    int64_t row = rows.begin;
    while (row < rows.end && std::isnan(column.number(row))) ++row;
    if (row == rows.end) return;
    int64_t low_row = row;
    int64_t high_row = row;
    double low = column.number(row);
    double high = low;
    while (++row < rows.end) {
        const double number = column.number(row);
        if (number < low) {
            low = number;
            low_row = row;
        } else if (number > high) {
            high = number;
            high_row = row;
        }
    }
    marks.mark(low_row);
    marks.mark(high_row);
}

// Marks rows at equal distances, for runs in which no number varies.
inline void mark_evenly(RowRange run, int64_t samples, RowMarks &marks) {
    for (int64_t index = 1; index < samples - 1; ++index) {
        marks.mark(run.begin + index * (run.size() - 1) / (samples - 1));
    }
}

// Selects rows of each run that has more than `samples`, which must be at least 2. `mark` marks those of one run, by
// the columns that vary in it.
template <typename Mark>
SelectedRows select_rows(
    const std::vector<int64_t> &offsets, const std::vector<NumberView> &columns, int64_t samples, Mark mark) {
    SelectedRows selected;
    selected.offsets.push_back(0);
    for (size_t index = 0; index + 1 < offsets.size(); ++index) {
        const RowRange run{offsets[index], offsets[index + 1]};
        if (run.size() <= samples) {
            for (int64_t row = run.begin; row < run.end; ++row) selected.rows.push_back(row);
        } else {
            RowMarks marks(run, samples);
            const auto varying = columns_that_vary(columns, run);
            if (varying.empty()) {
                mark_evenly(run, samples, marks);
            } else {
                mark(run, varying, marks);
            }
            marks.append_to(selected.rows);
        }
        selected.offsets.push_back(static_cast<int64_t>(selected.rows.size()));
    }
    return selected;
}

// Selects the extremes of each column in each of several parts of a run, all of as many rows.
inline SelectedRows select_extremes(
    const std::vector<int64_t> &offsets, const std::vector<NumberView> &columns, int64_t samples) {
    return select_rows(offsets, columns, samples, [&](RowRange run, const auto &varying, RowMarks &marks) {
        const RowRange inner{run.begin + 1, run.end - 1};
        const int64_t wanted = (samples - 2) / (2 * static_cast<int64_t>(varying.size()));
        const int64_t parts = std::max<int64_t>(1, wanted);
        for (int64_t part = 0; part < parts; ++part) {
            for (const NumberView *column : varying) mark_extremes(*column, part_of(inner, part, parts), marks);
        }
    });
}

struct CurvePoint {
    double x;
    double y;
    int64_t row;
};

// Twice the area of a triangle.
inline double triangle_area(const CurvePoint &a, const CurvePoint &b, double x, double y) {
    return std::abs((a.x - x) * (b.y - a.y) - (a.x - b.x) * (y - a.y));
}

// Largest triangle, three buckets: S. Steinarsson, "Downsampling Time Series for Visual Representation", University of
// Iceland, 2013, section 4.2. In each part of the inner points, the point that makes the largest triangle with the
// point chosen before and the mean of the next part. `points` begin and end with those outside of the parts.
inline void mark_triangles(const std::vector<CurvePoint> &points, int64_t parts, RowMarks &marks) {
    const RowRange inner{1, static_cast<int64_t>(points.size()) - 1};
    CurvePoint chosen = points.front();
    for (int64_t part = 0; part < parts; ++part) {
        const RowRange rows = part_of(inner, part, parts);
        const RowRange next = part + 1 < parts ? part_of(inner, part + 1, parts) : RowRange{inner.end, inner.end + 1};
        double x = 0;
        double y = 0;
        for (int64_t index = next.begin; index < next.end; ++index) {
            x += points[static_cast<size_t>(index)].x;
            y += points[static_cast<size_t>(index)].y;
        }
        x /= static_cast<double>(next.size());
        y /= static_cast<double>(next.size());
        double largest = -1;
        CurvePoint best = points[static_cast<size_t>(rows.begin)];
        for (int64_t index = rows.begin; index < rows.end; ++index) {
            const CurvePoint &point = points[static_cast<size_t>(index)];
            const double area = triangle_area(chosen, point, x, y);
            if (area > largest) {
                largest = area;
                best = point;
            }
        }
        marks.mark(best.row);
        chosen = best;
    }
}

// Selects rows by LTTB, for each column on its own.
inline SelectedRows select_triangles(
    const std::vector<int64_t> &offsets, const NumberView &x, const std::vector<NumberView> &columns, int64_t samples) {
    std::vector<CurvePoint> points;
    return select_rows(offsets, columns, samples, [&](RowRange run, const auto &varying, RowMarks &marks) {
        const int64_t share = std::max<int64_t>(1, (samples - 2) / static_cast<int64_t>(varying.size()));
        for (const NumberView *column : varying) {
            points.clear();
            const auto add = [&](int64_t row) {
                if (x.is_finite(row) && column->is_finite(row)) {
                    points.push_back({x.number(row), column->number(row), row});
                }
            };
            for (int64_t row = run.begin; row < run.end; ++row) add(row);
            if (points.empty()) continue;
            // Points that are not the run's own ends are chosen like others, and limit the triangles as well.
            if (points.front().row != run.begin) points.insert(points.begin(), points.front());
            if (points.back().row != run.end - 1) points.push_back(points.back());
            const int64_t inner = static_cast<int64_t>(points.size()) - 2;
            if (inner > share) {
                mark_triangles(points, share, marks);
            } else {
                for (const CurvePoint &point : points) marks.mark(point.row);
            }
        }
    });
}

inline SelectedRows select_tail(const std::vector<int64_t> &offsets, int64_t count) {
    SelectedRows selected;
    selected.offsets.push_back(0);
    for (size_t index = 0; index + 1 < offsets.size(); ++index) {
        const int64_t length = std::min(count, offsets[index + 1] - offsets[index]);
        for (int64_t row = offsets[index + 1] - length; row < offsets[index + 1]; ++row) selected.rows.push_back(row);
        selected.offsets.push_back(static_cast<int64_t>(selected.rows.size()));
    }
    return selected;
}

}  // namespace histscan

#endif
