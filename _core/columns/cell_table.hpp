// The cells of a chunk's columns: dense, an array for each column, or sparse, one list for all columns.
//
// A column is sparse until most rows have it. So a key that few rows have costs no cell in the others, and thousands of
// them no more than their values do. The loop that reads rows writes to dense columns only, without asking.

#ifndef HISTSCAN_CELL_TABLE_HPP
#define HISTSCAN_CELL_TABLE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "columns/column.hpp"

namespace histscan {

// The columns of a chunk. They stay where they are when more are added: keys point at them. Unlike a std::deque, it is
// made without an allocation, which no Cython class could report.
class Columns {
public:
    Column &operator[](size_t index) { return *columns_[index]; }
    const Column &operator[](size_t index) const { return *columns_[index]; }
    size_t size() const { return columns_.size(); }
    Column &add(BufferPool *pool) {
        columns_.push_back(std::make_unique<Column>(pool));
        columns_.back()->index = static_cast<uint32_t>(columns_.size() - 1);
        return *columns_.back();
    }
    void remove_last() { columns_.pop_back(); }

private:
    std::vector<std::unique_ptr<Column>> columns_;
};

// Where the tag and the bits of a cell are, until the next cell is made.
struct Cell {
    uint8_t *tag;
    uint64_t *bits;
};

// A cell of a sparse column, or one that was made before its column became dense.
struct SparseCell {
    uint64_t bits;
    size_t row;
    uint32_t column;
    uint8_t tag;
};

class CellTable {
public:
    Columns columns;
    std::vector<SparseCell> sparse;  // in the order of rows; once the table is complete, sorted by column
    size_t room = 0;                 // dense columns have cells for so many rows, at least

    Column &add_column(BufferPool *pool) { return columns.add(pool); }
    // Removes the column that was added last, which must not have a cell.
    void remove_last_column() { columns.remove_last(); }

    // The cell of a row, which is null if it is new. No later row may have a cell. `row_limit` is how many rows there
    // will be at least.
    Cell cell(Column &column, size_t row, size_t row_limit) {
        if (!column.is_dense) {
            if (!fills_up(column, row)) {
                sparse.push_back({0, row, column.index, CELL_NULL});
                ++column.sparse_count;
                column.last_row = row;
                return {&sparse.back().tag, &sparse.back().bits};
            }
            grow(column, std::max(room, row + 1), row_limit);
            dense_.push_back(&column);
            column.is_dense = true;
        } else if (column.tags.size() <= row) {
            grow(column, row + 1, row_limit);
        }
        return {&column.tags[row], &column.bits[row]};
    }

    // Returns true if a column has a cell of a row, even a null one if the column is sparse.
    bool has_cell(const Column &column, size_t row) const {
        if (row < column.tags.size() && column.tags[row] != CELL_NULL) return true;
        return column.sparse_count && column.last_row == row && !column.is_dense;
    }

    // Gives every dense column a cell for a row. Columns that have too few values become sparse: returns true if any
    // has since it last returned. Where memory runs out, there is no room, and it must be called again for the row.
    bool make_room(size_t row, size_t row_limit) {
        if (row < room) return false;
        const size_t wanted = next_room(row, row_limit);
        for (size_t place = 0; place < dense_.size();) {
            Column &column = *dense_[place];
            if (is_thin(column, row)) {
                make_sparse(column);
                dense_.erase(dense_.begin() + static_cast<ptrdiff_t>(place));
                has_thinned_ = true;
            } else {
                grow(column, wanted, row_limit);
                ++place;
            }
        }
        room = wanted;
        const bool has_thinned = has_thinned_;
        has_thinned_ = false;
        return has_thinned;
    }

    // Removes the cells of the last row, which was not finished.
    void clear_row(size_t row) {
        for (; !sparse.empty() && sparse.back().row == row; sparse.pop_back()) {
            --columns[sparse.back().column].sparse_count;
        }
        for (Column *column : dense_) {
            if (row < column->tags.size()) column->tags[row] = CELL_NULL;
        }
    }

    // Gives every dense column a cell for each row, and sorts the sparse cells; no cell may be made afterwards, unless
    // memory ran out.
    void complete(size_t row_count) {
        room = row_count;
        for (Column *column : dense_) {
            column->tags.resize(row_count);
            column->bits.resize(row_count);
        }
        sort_sparse();
        for (Column *column : dense_) complete_column(*column, row_count);
    }

    // How many cells there are, for the size of the chunk.
    size_t cell_count() const { return dense_.size() * room + sparse.size(); }

    // How many rows have a value of a column, in a complete table.
    size_t count_values(const Column &column, size_t row_count) const {
        if (column.is_dense) return row_count - column.null_count;
        size_t count = 0;
        const SparseCell *end = sparse_end(column);
        for (const SparseCell *cell = sparse_begin(column); cell < end; ++cell) {
            // Of several cells of one row, the last one counts.
            const bool is_last = cell + 1 == end || cell[1].row != cell->row;
            count += is_last && cell->tag != CELL_NULL;
        }
        return count;
    }

    // Makes a sparse column of a complete table dense.
    void make_dense(Column &column, size_t row_count) {
        column.tags.assign(row_count, CELL_NULL);
        column.bits.assign(row_count, 0);
        for (const SparseCell *cell = sparse_begin(column); cell != sparse_end(column); ++cell) {
            column.tags[cell->row] = cell->tag;
            column.bits[cell->row] = cell->bits;
        }
        column.is_dense = true;
        complete_column(column, row_count);
    }

    // The sparse cells of a column, in the order of rows, in a complete table.
    const SparseCell *sparse_begin(const Column &column) const { return sparse.data() + starts_[column.index]; }
    const SparseCell *sparse_end(const Column &column) const { return sparse_begin(column) + column.sparse_count; }

private:
    // A column becomes dense if one in this many rows has it, and sparse again if fewer than half as many have.
    static constexpr size_t dense_share = 8;
    static constexpr size_t first_room = 64, room_factor = 4;

    // Returns true if a column that gets another cell should be dense.
    static bool fills_up(const Column &column, size_t row) {
        return column.sparse_count && column.last_row < row && (column.sparse_count + 1) * dense_share > row;
    }
    // Returns true if a dense column has too few values in the rows before.
    static bool is_thin(const Column &column, size_t row) {
        const auto nulls = std::count(column.tags.begin(), column.tags.end(), uint8_t{CELL_NULL});
        const size_t values = column.tags.size() - static_cast<size_t>(nulls) + column.sparse_count;
        return values * 2 * dense_share < row;
    }
    // Room grows in steps: then a column that ends early does not get cells for all later rows.
    size_t next_room(size_t row, size_t row_limit) const {
        return std::max(row + 1, std::min(row_limit, std::max(first_room, room_factor * row)));
    }
    static void grow(Column &column, size_t row_count, size_t row_limit) {
        const size_t rows_before = column.tags.size();
        if (rows_before >= row_count) return;
        if (rows_before > 0 && row_count >= 2 * rows_before) {
            // As much text for each new row as the rows before have, and an eighth more: the text moves once for all of
            // them, and not at each doubling. Where there are few new rows, it would move again for each.
            const size_t text = column.text.size() + column.text.size() / 8;
            const size_t wanted = std::min(text * row_count / rows_before, text * room_factor);
            column.text.reserve(std::min(wanted, static_cast<size_t>(text_capacity)));
        }
        if (column.bits.capacity() < row_count) {
            // Where there are more rows than predicted, more are likely to follow.
            const size_t more = column.tags.empty() ? row_count : row_count + row_count / 2;
            const size_t wanted = row_limit > row_count ? std::min(more, row_limit) : more;
            column.bits.reserve(wanted);
            column.tags.reserve(wanted);
        }
        column.bits.resize(row_count);
        column.tags.resize(row_count);
    }
    void make_sparse(Column &column) {
        const auto nulls = std::count(column.tags.begin(), column.tags.end(), uint8_t{CELL_NULL});
        const size_t needed = sparse.size() + column.tags.size() - static_cast<size_t>(nulls);
        // All of the cells move, or none.
        if (needed > sparse.capacity()) sparse.reserve(std::max(needed, 2 * sparse.capacity()));
        for (size_t row = 0; row < column.tags.size(); ++row) {
            if (column.tags[row] == CELL_NULL) continue;
            sparse.push_back({column.bits[row], row, column.index, column.tags[row]});
            ++column.sparse_count;
            column.last_row = row;
        }
        BufferPool *pool = column.tags.get_allocator().pool;
        PooledVector<uint8_t>(pool).swap(column.tags);
        CellBits(pool).swap(column.bits);
        column.is_dense = false;
    }
    // Sorts the sparse cells by column; those of one column stay in their order. Cells of dense columns move there.
    void sort_sparse() {
        starts_.assign(columns.size() + 1, 0);
        size_t total = 0;
        for (size_t index = 0; index < columns.size(); ++index) {
            starts_[index] = total;
            if (!columns[index].is_dense) total += columns[index].sparse_count;
        }
        std::vector<SparseCell> sorted(total);
        for (const SparseCell &cell : sparse) {
            Column &column = columns[cell.column];
            if (column.is_dense) {
                column.tags[cell.row] = cell.tag;
                column.bits[cell.row] = cell.bits;
            } else {
                sorted[starts_[cell.column]++] = cell;
            }
        }
        sparse.swap(sorted);
        for (size_t index = 0; index < columns.size(); ++index) {
            if (!columns[index].is_dense) starts_[index] -= columns[index].sparse_count;
        }
    }

    bool has_thinned_ = false;  // dense columns have become sparse, and `make_room` has not said so yet
    std::vector<Column *> dense_;
    std::vector<size_t> starts_;  // for each column, where its sparse cells begin
};

}  // namespace histscan

#endif
