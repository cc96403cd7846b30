// A column as it is filled: a tag and 64 bits for each row, and the text that some of the bits refer to.

#ifndef HISTSCAN_COLUMN_HPP
#define HISTSCAN_COLUMN_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plain_number.hpp"
#include "pooled_vectors.hpp"

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

enum ColumnFact {
    FACT_BOOL = 1 << 0,
    FACT_INT64 = 1 << 1,
    FACT_WIDE_INT64 = 1 << 2,
    FACT_UINT64 = 1 << 3,
    FACT_NEGATIVE = 1 << 4,
    FACT_FLOAT64 = 1 << 5,
    FACT_TEXT = 1 << 6,
    FACT_NUMBER_TEXT = 1 << 7,
    FACT_LIST = 1 << 8,
    FACT_LIST_INT64 = 1 << 9,
    FACT_LIST_WIDE_INT64 = 1 << 10,
    FACT_LIST_FLOAT64 = 1 << 11,
    FACT_JSON = 1 << 12,
};

struct Column {
    PooledVector<uint8_t> tags;
    CellBits bits;
    std::vector<uint8_t> text;
    uint32_t facts;
};

// Says of a cell that it has a plain number of these bits.
inline void note_plain_number(uint8_t &tag, uint32_t &facts, PlainKind kind, uint64_t bits) {
    if (kind == PLAIN_DOUBLE) {
        tag = CELL_FLOAT64;
        facts |= FACT_FLOAT64;
    } else {
        tag = CELL_INT64;
        // A plain integer is one that a double holds.
        facts |= FACT_INT64 | (static_cast<int64_t>(bits) < 0 ? FACT_NEGATIVE : 0);
    }
}

}  // namespace histscan

#endif
