// A column as it is filled: a tag and 64 bits for each row, and the text that some of the bits refer to.

#ifndef HISTSCAN_COLUMN_HPP
#define HISTSCAN_COLUMN_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "bytes/plain_number.hpp"
#include "memory/pooled_vectors.hpp"

namespace histscan {

enum CellTag {
    CELL_NULL,
    CELL_FALSE,
    CELL_TRUE,
    CELL_INT64,
    CELL_UINT64,
    CELL_FLOAT64,
    CELL_TEXT,
    CELL_JSON,
};

enum TypeFlag {
    TYPE_BOOL = 1 << 0,
    TYPE_INT64 = 1 << 1,
    TYPE_WIDE_INT64 = 1 << 2,
    TYPE_UINT64 = 1 << 3,
    TYPE_NEGATIVE = 1 << 4,
    TYPE_FLOAT64 = 1 << 5,
    TYPE_TEXT = 1 << 6,
    TYPE_NUMBER_TEXT = 1 << 7,
    TYPE_LIST = 1 << 8,
    TYPE_LIST_INT64 = 1 << 9,
    TYPE_LIST_WIDE_INT64 = 1 << 10,
    TYPE_LIST_FLOAT64 = 1 << 11,
    TYPE_JSON = 1 << 12,
};

struct Column {
    explicit Column(BufferPool *pool) : tags(pool), bits(pool) {}

    PooledVector<uint8_t> tags;
    CellBits bits;
    std::vector<uint8_t> text;
    // `complete_column` sets both.
    std::vector<uint8_t> validity;
    size_t null_count = 0;
    uint32_t type_flags = 0;
};

// The columns of a chunk. They stay where they are when more are added: keys point at them.
using Columns = std::deque<Column>;

// Gives a column cells for `row_count` rows or more.
inline void grow_column(Column &column, size_t row_count) {
    if (column.tags.size() >= row_count) return;
    const size_t room = column.bits.capacity();
    if (room < row_count) {
        // Where there are more rows than predicted, more are likely to follow.
        const size_t wanted = room ? row_count + row_count / 2 : row_count;
        column.bits.reserve(wanted);
        column.tags.reserve(wanted);
    }
    column.bits.resize(row_count);
    column.tags.resize(row_count);
}

// Makes a cell of a plain number, given its bits.
inline void note_plain_number(uint8_t &tag, uint32_t &type_flags, PlainKind kind, uint64_t bits) {
    if (kind == PLAIN_DOUBLE) {
        tag = CELL_FLOAT64;
        type_flags |= TYPE_FLOAT64;
    } else {
        tag = CELL_INT64;
        // A plain integer is one that a double holds.
        type_flags |= TYPE_INT64 | (static_cast<int64_t>(bits) < 0 ? TYPE_NEGATIVE : 0);
    }
}

// If any cell is null, sets the bit of each that is not; returns how many are null.
inline size_t fill_validity(const uint8_t *tags, size_t count, std::vector<uint8_t> &validity) {
    // Most columns have no null at all, which is found out much faster than how many there are.
    if (count == 0 || std::memchr(tags, CELL_NULL, count) == nullptr) return 0;
    size_t null_count = 0;
    validity.assign((count + 7) / 8, 0);
    for (size_t index = 0; index < count; ++index) {
        const bool is_null = tags[index] == CELL_NULL;
        null_count += is_null;
        validity[index >> 3] |= static_cast<uint8_t>(!is_null << (index & 7));
    }
    return null_count;
}

// Gives a column a cell for each of its chunk's rows, and finds those that are null.
inline void complete_column(Column &column, size_t row_count) {
    column.tags.resize(row_count);
    column.bits.resize(row_count);
    column.null_count = fill_validity(column.tags.data(), row_count, column.validity);
    if (column.null_count == 0) return;
    // Their bits may be uninitialised.
    for (size_t row = 0; row < row_count; ++row) {
        if (column.tags[row] == CELL_NULL) column.bits[row] = 0;
    }
}

}  // namespace histscan

#endif
