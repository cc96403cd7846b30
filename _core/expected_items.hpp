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
    ExpectedHead head;
    ExpectedCells cells;
    const uint8_t *key;      // the key fields; whoever expects the item keeps them alive
    ptrdiff_t key_length;
    ptrdiff_t value_offset;  // how far behind the item's first byte its value begins
    ptrdiff_t needed;        // how many bytes of the row have to be left for the item to be looked at
};

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
    item.needed = item.value_offset < expected_head_size ? expected_head_size : item.value_offset;
    item.cells.column = column;
    return item;
}

// Where the item at `pos` ends, if it is the expected one and an ordinary one; null if another reader has to look.
// Its value then is all from `value` on.
template <typename Vectors>
__attribute__((always_inline)) inline const uint8_t *expected_item_end(const Vectors &vectors, const uint8_t *pos, const uint8_t *end, const ExpectedItem &item, const uint8_t **value) {
    const ptrdiff_t left = end - pos;
    if (left < item.needed || !vectors.begins_with(pos, item.head)) return nullptr;
    *value = pos + item.value_offset;
    if (item.value_offset - 1 > expected_head_size) {
        const uint8_t *key_end = pos + bytes_before_key + item.key_length;
        if (key_end[0] != 0x82 || key_end[1] != 0x01) return nullptr;
        if (!has_same_rest(pos + bytes_before_key, item.key, item.key_length, expected_head_size - bytes_before_key)) return nullptr;
    }
    const ptrdiff_t length = pos[1];
    // A longer length than one byte has begins with one from 0x80 on.
    if (bytes_before_key + length != item.value_offset + (*value)[-1] || length >= 0x80) return nullptr;
    return length <= left - bytes_before_key ? pos + bytes_before_key + length : nullptr;
}

template <typename Vectors>
__attribute__((always_inline)) inline size_t add_items(const Vectors &vectors, const uint8_t **next, const uint8_t *end, const uint8_t *start, const ExpectedItem *expected, size_t count, size_t row) {
    const uint8_t *pos = *next;
    const ExpectedItem *item = expected;
    for (; item < expected + count; ++item) {
        const uint8_t *value;
        const uint8_t *item_end = expected_item_end(vectors, pos, end, *item, &value);
        if (item_end == nullptr) break;
        if (item->cells.column != unread_column) {
            if (item->cells.column == other_column) break;
            const PlainNumber number = vectors.read_number(value, item_end, start);
            if (number.kind == NOT_PLAIN) break;
            item->cells.put(row, number);
        }
        pos = item_end;
    }
    *next = pos;
    return static_cast<size_t>(item - expected);
}

#if HISTSCAN_HAS_WIDE_VECTORS

HISTSCAN_WIDE __attribute__((flatten)) inline size_t add_items_wide(const uint8_t **next, const uint8_t *end, const uint8_t *start, const ExpectedItem *expected, size_t count, size_t row) {
    return add_items(WideVectors(), next, end, start, expected, count, row);
}

#endif

// Takes items as long as they are the expected ones, and unread or plain numbers; returns how many these are, and moves
// `next` behind them. [next, end) are a row's bytes, of a reader whose bytes begin at `start`.
//
// The numbers become cells: `row` is one of those that `point_to_cells` has said can be put.
inline size_t add_expected_items(const uint8_t **next, const uint8_t *end, const uint8_t *start, const ExpectedItem *expected, size_t count, size_t row) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return add_items_wide(next, end, start, expected, count, row);
#endif
    return add_items(NarrowVectors(), next, end, start, expected, count, row);
}

}  // namespace histscan

#endif
