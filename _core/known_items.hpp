// The items of rows that bring known keys in whatever order, as those of Go's maps do: read in few steps, too.
//
// Which key comes next can't be foreseen, so it is looked up by its bytes. What was remembered of it is then compared as
// if it had been expected: `expected_items.hpp` has the layout of an ordinary item.

#ifndef HISTSCAN_KNOWN_ITEMS_HPP
#define HISTSCAN_KNOWN_ITEMS_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bytes.hpp"
#include "column.hpp"
#include "expected_items.hpp"

namespace histscan {

// A hash of the key fields of an item, `length` bytes of them, in its highest bits. Eight bytes from `key` on have to be
// the reader's, even if the fields are shorter.
//
// Up to 32 bytes are hashed by four words, whatever their count: a branch could not be foreseen.
HISTSCAN_INLINE uint64_t hash_item_key(const uint8_t *key, ptrdiff_t length) {
    constexpr uint64_t factors[] = {0x9E3779B97F4A7C15u, 0xC2B2AE3D27D4EB4Fu, 0xD6E8FEB86659FD93u, 0xA0761D6478BD642Fu};
    constexpr ptrdiff_t word_size = 8;
    if (length > 4 * word_size) return hash_bytes(key, static_cast<size_t>(length)) * factors[0];
    // Where the last word begins, and about a third of the way to there: then none of the bytes is left out.
    const ptrdiff_t last = length < word_size ? 0 : length - word_size;
    const ptrdiff_t third = (last * 11 + 16) >> 5;
    const int unused = length < word_size ? static_cast<int>(8 * (word_size - length)) : 0;
    return (load_word(key) << unused) * factors[0] + (load_word(key + third) << unused) * factors[1] +
           (load_word(key + last - third) << unused) * factors[2] + (load_word(key + last) << unused) * factors[3];
}

// The items whose keys are remembered, by the indexes that they have there.
class KnownItems {
public:
    static constexpr int32_t unknown = -1;

    // Makes the item known. Of keys that share a slot only the first one is found: the others' items are for a reader
    // that takes any, as crafted keys' are.
    void add(size_t index, const ExpectedItem &item) {
        if (items_.size() <= index) items_.resize(index + 1, unreadable());
        items_[index] = item;
        if (items_.size() * slots_per_item > slots_.size()) {
            size_bits_ = slots_.empty() ? first_size_bits : size_bits_ + 2;
            slots_.assign(size_t{1} << size_bits_, unknown);
            for (size_t other = 0; other < index; ++other) take_slot(other);
        }
        take_slot(index);
    }

    // Has the item left to another reader from now on.
    void leave(size_t index) {
        if (index < items_.size()) items_[index] = unreadable();
    }

    // The index of the item with these key fields, or of another one, or `unknown`; `key` as in `hash_item_key`.
    int32_t find(const uint8_t *key, ptrdiff_t length) const {
        return slots_[hash_item_key(key, length) >> (64 - size_bits_)];
    }
    const ExpectedItem &operator[](int32_t index) const { return items_[static_cast<size_t>(index)]; }
    bool empty() const { return items_.empty(); }

private:
    // With this many slots for each, few items have to share theirs.
    static constexpr size_t slots_per_item = 16;
    static constexpr int first_size_bits = 10;

    static ExpectedItem unreadable() {
        ExpectedItem item{};
        item.cells.column = other_column;
        return item;
    }
    void take_slot(size_t index) {
        const ExpectedItem &item = items_[index];
        if (item.key == nullptr) return;
        // The words of a short key are those of the item that it is part of.
        const uint8_t *key = item.key_length < 8 ? item.head.bytes + bytes_before_key : item.key;
        int32_t &slot = slots_[hash_item_key(key, item.key_length) >> (64 - size_bits_)];
        if (slot == unknown) slot = static_cast<int32_t>(index);
    }

    std::vector<ExpectedItem> items_;
    std::vector<int32_t> slots_;
    int size_bits_ = 0;
};

template <typename Vectors>
HISTSCAN_INLINE size_t add_some_known_items(
    const Vectors &vectors, const uint8_t **next, const uint8_t *end, const uint8_t *start, const KnownItems &known,
    std::vector<Column> &columns, size_t row, int32_t *order, size_t count, bool *repeats) {
    const uint8_t *pos = *next;
    if (known.empty() || pos - start < Vectors::reach) return 0;
    size_t position = 0;
    bool is_same = true;
    for (; position < count; ++position) {
        const ptrdiff_t left = end - pos;
        if (left < expected_head_size) break;
        // The key's own tag and length are part of its fields.
        const ptrdiff_t key_length = 2 + pos[bytes_before_key + 1];
        if (key_length > left - bytes_before_key) break;
        const int32_t index = known.find(pos + bytes_before_key, key_length);
        if (index == KnownItems::unknown) break;
        const ExpectedItem &item = known[index];
        const ptrdiff_t left_behind = left_behind_item(vectors, pos, left, item);
        if (left_behind < 0) break;
        const uint8_t *item_end = pos + (left - left_behind);
        if (!item.is_passed_over) {
            if (!has_expected_rest(pos, item) || item.cells.column == other_column) break;
            if (item.cells.column != unread_column) {
                Column &column = columns[static_cast<size_t>(item.cells.column)];
                if (row >= column.tags.size()) break;
                uint64_t *bits = column.bits.data() + row;
                const PlainKind kind = vectors.read_number(pos + item.value_offset, item_end, bits);
                if (kind == NOT_PLAIN) break;
                note_plain_number(column.tags[row], column.facts, kind, *bits);
            }
        }
        is_same &= order[position] == index;
        order[position] = index;
        pos = item_end;
    }
    *next = pos;
    *repeats = is_same;
    return position;
}

#if HISTSCAN_HAS_WIDE_VECTORS

HISTSCAN_WIDE inline size_t add_some_known_items_wide(
    const uint8_t **next, const uint8_t *end, const uint8_t *start, const KnownItems &known,
    std::vector<Column> &columns, size_t row, int32_t *order, size_t count, bool *repeats) {
    return add_some_known_items(WideVectors(), next, end, start, known, columns, row, order, count, repeats);
}

#endif

// Takes items as long as they are known, and unread or plain numbers in rows that their columns have reached; returns how
// many these are, and moves `next` behind them. [next, end) are a row's bytes, of a reader whose bytes begin at `start`.
//
// `order` are the `count` keys from here on that the row before brought, as indexes: no more items are taken, and the
// indexes of theirs are noted there. `repeats` says whether they were the same.
inline size_t add_known_items(
    const uint8_t **next, const uint8_t *end, const uint8_t *start, const KnownItems &known,
    std::vector<Column> &columns, size_t row, int32_t *order, size_t count, bool *repeats) {
    *repeats = true;
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return add_some_known_items_wide(next, end, start, known, columns, row, order, count, repeats);
#endif
    return add_some_known_items(NarrowVectors(), next, end, start, known, columns, row, order, count, repeats);
}

}  // namespace histscan

#endif
