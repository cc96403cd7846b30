// Statistics of the cells of a column: how many there are of each kind, and the extremes of its numbers.

#ifndef HISTSCAN_CELL_STATISTICS_HPP
#define HISTSCAN_CELL_STATISTICS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "columns/cell_table.hpp"

namespace histscan {

// The lowest and the highest number, each with the first row that has it. Nothing counts without a number.
template <typename Number>
struct Extremes {
    Number lowest{}, highest{};
    size_t lowest_row = 0, highest_row = 0;
    bool exist = false;

    void add(Number number, size_t row) {
        if (HISTSCAN_UNLIKELY(!exist)) {
            lowest = highest = number;
            lowest_row = highest_row = row;
            exist = true;
        }
        if (number < lowest) {
            lowest = number;
            lowest_row = row;
        }
        if (number > highest) {
            highest = number;
            highest_row = row;
        }
    }
};

struct CellStatistics {
    static constexpr size_t no_row = ~size_t{0};

    size_t bools = 0, integers = 0, floats = 0, nans = 0, texts = 0, lists = 0, nulls = 0;
    size_t first_row = no_row, last_row = no_row;  // of these
    Extremes<int64_t> integer_extremes;
    Extremes<double> float_extremes;  // without NaN
    std::vector<size_t> others;       // rows of other values: objects, large integers, texts that are not UTF-8

    void add(const Column &column, uint8_t tag, uint64_t bits, size_t row) {
        if (tag == CELL_UINT64 || (tag == CELL_JSON && column.text.data()[bits >> 32] != '[')) {
            others.push_back(row);
            return;
        }
        switch (tag) {
        case CELL_FALSE:
        case CELL_TRUE:
            ++bools;
            break;
        case CELL_INT64:
            ++integers;
            integer_extremes.add(static_cast<int64_t>(bits), row);
            break;
        case CELL_FLOAT64:
            add_float(bits, row);
            break;
        case CELL_TEXT:
            ++texts;
            break;
        default:
            ++lists;
            break;
        }
        note_row(row);
    }
    void add_float(uint64_t bits, size_t row) {
        double number;
        std::memcpy(&number, &bits, sizeof number);
        ++floats;
        if (number == number) {
            float_extremes.add(number, row);
        } else {
            ++nans;
        }
    }
    void note_row(size_t row) {
        if (first_row == no_row || row < first_row) first_row = row;
        if (last_row == no_row || row > last_row) last_row = row;
    }
};

// The cell of a row of a complete table; its tag is CELL_NULL if the row has no value.
inline SparseCell find_cell(const CellTable &table, const Column &column, size_t row) {
    SparseCell found{0, row, column.index, CELL_NULL};
    if (column.is_dense) {
        found.tag = column.tags[row];
        found.bits = column.bits[row];
        return found;
    }
    const SparseCell *begin = table.sparse_begin(column), *end = table.sparse_end(column);
    const auto is_before = [](size_t wanted, const SparseCell &cell) { return wanted < cell.row; };
    const SparseCell *after = std::upper_bound(begin, end, row, is_before);
    // Of several cells of one row, the last one counts.
    return after == begin || after[-1].row != row ? found : after[-1];
}

// The statistics of a column of a complete table. Nulls count if their rows were noted.
inline CellStatistics count_cells(const CellTable &table, Column &column, size_t row_count) {
    CellStatistics found;
    if (column.is_dense) {
        for (size_t row = 0; row < row_count; ++row) {
            if (column.tags[row] != CELL_NULL) found.add(column, column.tags[row], column.bits[row], row);
        }
    } else {
        const SparseCell *end = table.sparse_end(column);
        for (const SparseCell *cell = table.sparse_begin(column); cell < end; ++cell) {
            if (cell->tag == CELL_NULL || (cell + 1 != end && cell[1].row == cell->row)) continue;
            found.add(column, cell->tag, cell->bits, cell->row);
        }
    }
    // A row that took the slow path has noted its nulls twice, and one that failed is not in the table.
    std::vector<size_t> &nulls = column.null_rows;
    nulls.erase(std::unique(nulls.begin(), nulls.end()), nulls.end());
    for (const size_t row : nulls) {
        if (row >= row_count || find_cell(table, column, row).tag != CELL_NULL) continue;
        ++found.nulls;
        found.note_row(row);
    }
    return found;
}

}  // namespace histscan

#endif
