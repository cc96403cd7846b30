// A column as it is filled: cells, which are a tag and 64 bits, and the text that some of the bits refer to.

#ifndef HISTSCAN_COLUMN_HPP
#define HISTSCAN_COLUMN_HPP

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bytes/bytes.hpp"
#include "bytes/plain_number.hpp"
#include "memory/pooled_vectors.hpp"
#include "memory/text_room.hpp"

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

// How many bytes of text a column may have in a chunk: Arrow's offsets are 32 bits wide, with a sign.
constexpr ptrdiff_t text_capacity = 0x7FFFFFFF;

struct Column {
    explicit Column(BufferPool *pool) : tags(pool), bits(pool), text(pool) {}

    // Of a dense column, the cell of each row; rows behind the end are null. `CellTable` has those of sparse columns.
    PooledVector<uint8_t> tags;
    CellBits bits;
    TextRoom text;
    // The rows whose value is null, if the builder notes them; a row may be here twice, or have a value after all.
    std::vector<size_t> null_rows;
    // `complete_column` sets both.
    std::vector<uint8_t> validity;
    size_t null_count = 0;
    size_t sparse_count = 0;  // how many cells of it are among the sparse cells
    size_t last_row = 0;      // of the last one of them
    uint32_t index = 0;       // among the columns
    uint32_t type_flags = 0;
    bool is_dense = false;
    bool has_plain_text = true;  // whether the last text was plain, where that is noted
};

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

// Returns true if a column's text can get `length` more bytes.
inline bool has_capacity(const Column &column, ptrdiff_t length) {
    return length <= text_capacity - static_cast<ptrdiff_t>(column.text.size());
}

// Makes a cell of a dense column from the `length` bytes that were written behind its text. Returns false, without a cell,
// if they may spell NaN or an infinity: those give the column another type.
HISTSCAN_INLINE bool put_text_cell(Column &column, size_t row, size_t length) {
    const size_t offset = column.text.size();
    constexpr size_t longest_number = 9;
    if (length <= longest_number && length != 0) {
        const uint8_t first = column.text.data()[offset];
        if (first == 'N' || first == 'I' || first == '-') return false;
    }
    column.text.add(length);
    column.bits[row] = uint64_t{offset} << 32 | length;
    column.tags[row] = CELL_TEXT;
    column.type_flags |= TYPE_TEXT;
    return true;
}

// Calls `put(place, bits)` for each eight tags: a bit for each one, which is one if the tag is the wanted one, or with
// `inverted` if it is not. The bits behind the last tag are zero.
template <typename Put>
inline void each_eight_bits(const uint8_t *tags, size_t count, uint8_t wanted, bool inverted, Put put) {
    constexpr uint64_t ones = 0x0101010101010101u, high_bits = 0x8080808080808080u;
    const uint64_t flip = inverted ? ones : 0;
    size_t index = 0;
    for (; index + 8 <= count; index += 8) {
        const uint64_t differing = load_word(tags + index) ^ (wanted * ones);
        // Tags are small, so that no byte borrows from the next one: the highest bit stays where a tag is wanted.
        const uint64_t matches = (((high_bits - differing) & high_bits) >> 7) ^ flip;
        // The product gathers the lowest bit of each byte in the highest byte.
        put(index >> 3, static_cast<uint8_t>((matches * 0x0102040810204080u) >> 56));
    }
    unsigned rest = 0;
    for (size_t bit = 0; index + bit < count; ++bit) {
        rest |= static_cast<unsigned>((tags[index + bit] == wanted) != inverted) << bit;
    }
    if (index < count) put(index >> 3, static_cast<uint8_t>(rest));
}

// Makes a bit for each tag: one if it is the wanted one.
inline void pack_bits(const uint8_t *tags, size_t count, uint8_t wanted, std::vector<uint8_t> &bits) {
    bits.resize((count + 7) / 8);
    each_eight_bits(tags, count, wanted, false, [&bits](size_t place, uint8_t byte) { bits[place] = byte; });
}

// If any cell is null, sets the bit of each that is not; returns how many are null.
inline size_t fill_validity(const uint8_t *tags, size_t count, std::vector<uint8_t> &validity) {
    // Most columns have no null at all, which is found out much faster than how many there are.
    if (count == 0 || std::memchr(tags, CELL_NULL, count) == nullptr) return 0;
    validity.resize((count + 7) / 8);
    size_t values = 0;
    each_eight_bits(tags, count, CELL_NULL, true, [&](size_t place, uint8_t byte) {
        validity[place] = byte;
        values += static_cast<size_t>(std::bitset<8>(byte).count());
    });
    return count - values;
}

// Finds the cells that are null, of a column that has a cell for each of its chunk's rows.
inline void complete_column(Column &column, size_t row_count) {
    column.null_count = fill_validity(column.tags.data(), row_count, column.validity);
    if (column.null_count == 0) return;
    // Their bits may be uninitialised, and become zeros. Without a branch, because nulls may be at random places.
    const uint8_t *tags = column.tags.data();
    uint64_t *bits = column.bits.data();
    for (size_t row = 0; row < row_count; ++row) bits[row] &= uint64_t{0} - (tags[row] != CELL_NULL);
}

}  // namespace histscan

#endif
