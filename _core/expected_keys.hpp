// Rows that bring the keys of the row before in the same order: what comes next is known before it is read.
//
// A key and what surrounds it are compared at once, whatever their length: the first bytes in one vector or two, of
// which those that are not known in advance don't count.

#ifndef HISTSCAN_EXPECTED_KEYS_HPP
#define HISTSCAN_EXPECTED_KEYS_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bytes.hpp"
#include "column.hpp"
#include "plain_number.hpp"
#include "wide_vectors.hpp"

namespace histscan {

constexpr ptrdiff_t expected_head_size = sizeof TextHead::bytes;

// Values of expected keys that become no cells as they are read.
constexpr int32_t unread_column = -1;  // nobody asked for them
constexpr int32_t other_column = -2;   // they are for another reader

// Where the values of an expected key go.
struct ExpectedCells {
    int32_t column;    // an index, or one of the two above
    uint8_t *tags;     // of the column, and so on: of as many rows as `point_to_cells` has said
    uint64_t *bits;
    uint32_t *facts;

    // Notes what is in a cell whose bits have been written.
    void note(size_t row, PlainKind kind) const { note_plain_number(tags[row], *facts, kind, bits[row]); }
};

// Looks up where the cells of all that is expected are now, and returns how many rows can be put there: those that all
// of the columns have reached. They stay where they are until a column is made to reach one more, or a new column is
// made.
template <typename Expected>
size_t point_to_cells(std::vector<Expected> &expected, std::vector<Column> &columns) {
    size_t row_count = static_cast<size_t>(-1);
    for (Expected &one : expected) {
        if (one.cells.column < 0) continue;
        Column &column = columns[static_cast<size_t>(one.cells.column)];
        one.cells.tags = column.tags.data();
        one.cells.bits = column.bits.data();
        one.cells.facts = &column.facts;
        if (column.tags.size() < row_count) row_count = column.tags.size();
    }
    return row_count;
}

// What the next row is expected to bring, one after the other; nothing, where that is not known.
template <typename Expected>
struct ExpectedRow {
    std::vector<Expected> keys;
    size_t row_count = 0;             // how many rows can be put where the keys' cells are, and
    const Column *columns = nullptr;  // where the columns were when that was found out

    // Whether all columns that the keys belong to have reached a row; the keys then know where it is.
    bool can_put(size_t row, std::vector<Column> &all_columns) {
        // Rows that take care make columns, too: then all may have moved.
        if (row >= row_count || columns != all_columns.data()) {
            row_count = point_to_cells(keys, all_columns);
            columns = all_columns.data();
        }
        return row < row_count;
    }
    void forget() {
        keys.clear();
        row_count = 0;
    }
};

// Whether two keys of the same length, 8 bytes or more, are the same from the byte at `place` on. Not by a function
// that is called, as std::memcmp is: vectors would not stay in registers.
HISTSCAN_INLINE bool has_same_rest(const uint8_t *left, const uint8_t *right, ptrdiff_t length, ptrdiff_t place) {
    constexpr ptrdiff_t word_size = 8;
    for (; place < length; place += word_size) {
        const ptrdiff_t from = place < length - word_size ? place : length - word_size;
        if (load_word(left + from) != load_word(right + from)) return false;
    }
    return true;
}

// What a row's reader needs of vectors, with what every processor has.
struct NarrowVectors {
    // How many bytes have to be the reader's before those that are taken.
    static constexpr ptrdiff_t reach = 32;

    // Whether the bytes at `pos`, of which there are 32, are the expected ones.
    bool begins_with(const uint8_t *pos, const TextHead &head) const { return has_head(pos, head); }

    PlainKind read_number(const uint8_t *pos, const uint8_t *end, uint64_t *bits) const {
        const PlainNumber number = read_plain_number_narrow(pos, end, end - reach);
        if (number.kind != NOT_PLAIN) *bits = number.bits;
        return number.kind;
    }
    ptrdiff_t length_of_number(const uint8_t *pos, const uint8_t *end, const uint8_t *) const {
        return find_number_end(pos, end) - pos;
    }
    ptrdiff_t length_of_plain_number(const uint8_t *pos, const uint8_t *end) const {
        return plain_number_length(pos, end);
    }
};

#if HISTSCAN_HAS_WIDE_VECTORS

// The same with vectors of 32 bytes.
class WideVectors {
public:
    static constexpr ptrdiff_t reach = wide_number_reach;

    WideVectors() : tables(opaque_tables()) {}

    HISTSCAN_WIDE bool begins_with(const uint8_t *pos, const TextHead &head) const {
        return (bits_of(_mm256_cmpeq_epi8(load_wide(pos), load_wide(head.bytes))) | head.unknown) == ~uint32_t{0};
    }
    HISTSCAN_WIDE PlainKind read_number(const uint8_t *pos, const uint8_t *end, uint64_t *bits) const {
        return read_plain_number_wide(pos, end, tables, bits);
    }
    HISTSCAN_WIDE ptrdiff_t length_of_number(const uint8_t *pos, const uint8_t *end, const uint8_t *start) const {
        return number_length(pos, end, start, tables);
    }
    HISTSCAN_WIDE ptrdiff_t length_of_plain_number(const uint8_t *pos, const uint8_t *end) const {
        return plain_number_length_wide(pos, end, tables);
    }

private:
    const NumberTables &tables;
};

#endif

}  // namespace histscan

#endif
