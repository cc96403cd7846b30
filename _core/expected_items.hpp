// The items of a row that brings the keys of the row before in the same order: read in the fewest steps.
//
// An ordinary item is a tag, its length in one byte, its key fields, the two bytes of the tag of `value_json`, that
// field's length in one byte, and the value. All of it but the two lengths and the value is known from the row before,
// so that it is compared at once, and the lengths have to agree with each other.

#ifndef HISTSCAN_EXPECTED_ITEMS_HPP
#define HISTSCAN_EXPECTED_ITEMS_HPP

#include <cstddef>
#include <cstdint>

#include "expected_keys.hpp"

namespace histscan {

struct ExpectedItem {
    TextHead head;
    ExpectedCells cells;
    const uint8_t *key;      // the key fields; whoever expects the item keeps them alive
    ptrdiff_t key_length;
    ptrdiff_t value_offset;  // how far behind the item's first byte its value begins
    ptrdiff_t added_length;  // how much longer the item is, by what it says, than its value
    ptrdiff_t needed;        // how many bytes of the row have to be left for the item to be looked at
    bool is_passed_over;     // nobody asked for the value, and the head is all that is known of the item
};

// The tag of a page's rows.
constexpr uint8_t row_tag = 1 << 3 | 2;

// How much of an ordinary item is not its key fields and its value: in front of the one and in front of the other.
constexpr ptrdiff_t bytes_before_key = 2, bytes_before_value = 3;

// `key` are the `key_length` bytes of the item's key fields, `tag` is the item's own.
inline ExpectedItem expect_item(const uint8_t *key, size_t key_length, uint8_t tag, int32_t column) {
    ExpectedItem item{};
    const uint8_t value_tag[2] = {0x82, 0x01};
    for (size_t place = 0; place < expected_head_size; ++place) {
        const size_t behind_key = place - bytes_before_key - key_length;
        if (place == 0) {
            item.head.bytes[place] = tag;
        } else if (place >= bytes_before_key && place < bytes_before_key + key_length) {
            item.head.bytes[place] = key[place - bytes_before_key];
        } else if (place >= bytes_before_key && behind_key < sizeof value_tag) {
            item.head.bytes[place] = value_tag[behind_key];
        } else {
            item.head.unknown |= uint32_t{1} << place;
        }
    }
    item.key = key;
    item.key_length = static_cast<ptrdiff_t>(key_length);
    item.value_offset = bytes_before_key + item.key_length + bytes_before_value;
    item.added_length = item.value_offset - bytes_before_key;
    item.is_passed_over = column == unread_column && item.value_offset - 1 <= expected_head_size;
    item.needed = item.value_offset < expected_head_size ? expected_head_size : item.value_offset;
    item.cells.column = column;
    return item;
}

// Whether the known bytes of the item at `pos` that are behind its head, if there are any, are the expected ones.
HISTSCAN_INLINE bool has_expected_rest(const uint8_t *pos, const ExpectedItem &item) {
    if (item.value_offset - 1 <= expected_head_size) return true;
    const uint8_t *key = pos + bytes_before_key, *key_end = key + item.key_length;
    return key_end[0] == 0x82 && key_end[1] == 0x01 &&
           has_same_rest(key, item.key, item.key_length, expected_head_size - bytes_before_key);
}

// How many bytes are left behind the item at `pos` of the `left` that there are from `pos` on, if it begins like the
// expected one and its lengths agree; a negative number if another reader has to look.
template <typename Vectors>
HISTSCAN_INLINE ptrdiff_t left_behind_item(
    const Vectors &vectors, const uint8_t *pos, ptrdiff_t left, const ExpectedItem &item) {
    if (left < item.needed || !vectors.begins_with(pos, item.head)) return -1;
    // A longer length than one byte has begins with one from 0x80 on: with its sign, it is not the sum of others.
    const ptrdiff_t length = static_cast<int8_t>(pos[1]);
    if (length != item.added_length + pos[item.value_offset - 1]) return -1;
    return left - bytes_before_key - length;
}

// What became of rows.
struct AddedRows {
    size_t row_count;     // how many are done
    size_t position;      // the item that the next one has to be read from: those before have been added
    const uint8_t *next;  // where that item begins; null for the first one
};

// Takes items of one row; returns where it stopped, and `item` is then the one that would be next.
template <typename Vectors>
HISTSCAN_INLINE const uint8_t *add_items(
    const Vectors &vectors, const uint8_t *pos, const uint8_t *end, const ExpectedItem **item,
    const ExpectedItem *last, size_t row) {
    ptrdiff_t left = end - pos;
    const ExpectedItem *one = *item;
    for (; one != last; ++one) {
        const ptrdiff_t left_behind = left_behind_item(vectors, pos, left, *one);
        if (left_behind < 0) break;
        const uint8_t *item_end = pos + (left - left_behind);
        if (!one->is_passed_over) {
            if (!has_expected_rest(pos, *one)) break;
            if (one->cells.column != unread_column) {
                if (one->cells.column == other_column) break;
                const PlainKind kind = vectors.read_number(pos + one->value_offset, item_end, one->cells.bits + row);
                if (kind == NOT_PLAIN) break;
                one->cells.note(row, kind);
            }
        }
        pos = item_end;
        left = left_behind;
    }
    *item = one;
    return pos;
}

template <typename Vectors>
HISTSCAN_INLINE size_t add_some_items(
    const Vectors &vectors, const uint8_t **next, const uint8_t *end, const uint8_t *start,
    const ExpectedItem *expected, size_t count, size_t row) {
    if (*next - start < Vectors::reach) return 0;
    const ExpectedItem *item = expected;
    *next = add_items(vectors, *next, end, &item, expected + count, row);
    return static_cast<size_t>(item - expected);
}

template <typename Vectors>
HISTSCAN_INLINE AddedRows add_rows(
    const Vectors &vectors, const uint8_t **rest, const uint8_t *end, const uint8_t *start,
    const ExpectedItem *expected, size_t count, size_t row, size_t stop) {
    const uint8_t *pos = *rest;
    const size_t first = row;
    AddedRows added{0, 0, nullptr};
    // A tag, and a length in one byte or two.
    for (; row < stop && end - pos > 3 && pos[0] == row_tag; ++row) {
        ptrdiff_t length = pos[1];
        const uint8_t *begin = pos + 2;
        if (length >= 0x80) {
            if (pos[2] >= 0x80) break;
            length = (length & 0x7F) | pos[2] << 7;
            ++begin;
        }
        if (length > end - begin || begin - start < Vectors::reach) break;
        const ExpectedItem *item = expected;
        const uint8_t *next = add_items(vectors, begin, begin + length, &item, expected + count, row);
        if (item != expected + count || next != begin + length) {
            added.position = static_cast<size_t>(item - expected);
            added.next = next;
            break;
        }
        pos = next;
    }
    *rest = pos;
    added.row_count = row - first;
    return added;
}

#if HISTSCAN_HAS_WIDE_VECTORS

HISTSCAN_WIDE inline size_t add_some_items_wide(
    const uint8_t **next, const uint8_t *end, const uint8_t *start, const ExpectedItem *expected, size_t count,
    size_t row) {
    return add_some_items(WideVectors(), next, end, start, expected, count, row);
}

HISTSCAN_WIDE inline AddedRows add_rows_wide(
    const uint8_t **rest, const uint8_t *end, const uint8_t *start, const ExpectedItem *expected, size_t count,
    size_t row, size_t stop) {
    return add_rows(WideVectors(), rest, end, start, expected, count, row, stop);
}

#endif

// Takes items as long as they are the expected ones, and unread or plain numbers; returns how many these are, and moves
// `next` behind them. [next, end) are a row's bytes, of a reader whose bytes begin at `start`.
//
// The numbers become cells: `row` is one of those that `point_to_cells` has said can be put.
inline size_t add_expected_items(
    const uint8_t **next, const uint8_t *end, const uint8_t *start, const ExpectedItem *expected, size_t count,
    size_t row) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return add_some_items_wide(next, end, start, expected, count, row);
#endif
    return add_some_items(NarrowVectors(), next, end, start, expected, count, row);
}

// Takes rows of a page, [rest, end), up to the row before `stop`, as long as they are made of the expected items; moves
// `rest` behind them. The page's bytes begin at `start`, and all rows before `stop` are such as `point_to_cells` has
// said can be put. Whatever is not a row, or is one with a long length, is left.
inline AddedRows add_expected_rows(
    const uint8_t **rest, const uint8_t *end, const uint8_t *start, const ExpectedItem *expected, size_t count,
    size_t row, size_t stop) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return add_rows_wide(rest, end, start, expected, count, row, stop);
#endif
    return add_rows(NarrowVectors(), rest, end, start, expected, count, row, stop);
}

}  // namespace histscan

#endif
