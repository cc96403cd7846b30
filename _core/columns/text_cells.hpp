// Cells of plain texts, bools and null, without a call for each step of the way. All other values are for the functions of
// the column builder.

#ifndef HISTSCAN_TEXT_CELLS_HPP
#define HISTSCAN_TEXT_CELLS_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bytes/bytes.hpp"
#include "bytes/cursor.hpp"
#include "bytes/number_readers.hpp"
#include "columns/column.hpp"
#include "columns/string_cells.hpp"

namespace histscan {

// The text of a string that becomes a cell if it is printable ASCII without escapes. It is copied while its end is
// looked for.
class TextCopy {
public:
    // The text begins at `begin`; the readable bytes are those in [start, end).
    TextCopy(Column &column, const uint8_t *start, const uint8_t *begin, const uint8_t *end)
        : column_(column), copy_(column.text, first_room), start_(start), begin_(begin), end_(end) {}

    // Copies the text up to the first byte that is not plain.
    HISTSCAN_INLINE void copy() {
        constexpr size_t block_size = sizeof(Bytes16);
        while (true) {
            const Bytes16 text = load_up_to(start_, begin_ + copy_.length(), end_);
            store16(copy_.end(), text);
            const Marks16 marks = special_marks(text);
            if (marks) {
                copy_.move_on(static_cast<size_t>(first_mark(marks)));
                return;
            }
            copy_.move_on(block_size);
            copy_.make_room(block_size);
        }
    }

#if HISTSCAN_HAS_WIDE_VECTORS
    // As `copy`. Where the text must end at `last`, which may be null, it is not looked at byte by byte.
    HISTSCAN_WIDE HISTSCAN_INLINE void copy_wide(const uint8_t *last) {
        constexpr auto block_size = sizeof(Bytes32);
        const auto readable = static_cast<size_t>(end_ - begin_);
        if (last != nullptr && last - begin_ >= wide_vector_size) {
            copy_blocks(static_cast<size_t>(last - begin_));
            return;
        }
        while (readable - copy_.length() >= block_size) {
            const Bytes32 text = load32(begin_ + copy_.length());
            store32(copy_.end(), text);
            const uint32_t marks = bits_of(special_bytes(text));
            if (marks) {
                copy_.move_on(static_cast<size_t>(trailing_zeros(marks)));
                return;
            }
            copy_.move_on(block_size);
            copy_.make_room(block_size);
        }
        copy();
    }
#endif

    // Makes the cell if `closing` follows what was copied, at `last` unless that is null. Returns where it is, or null.
    HISTSCAN_INLINE const uint8_t *close(size_t row, uint8_t closing, const uint8_t *last) {
        const uint8_t *const found = begin_ + copy_.length();
        if (byte_at(found, end_) != closing || (last != nullptr && found != last)) return nullptr;
        return put_text_cell(column_, row, copy_.length()) ? found : nullptr;
    }

private:
    // For most texts, and for a vector more than has been read.
    static constexpr size_t first_room = 64;

#if HISTSCAN_HAS_WIDE_VECTORS
    // Copies the first `length` bytes, at least 32, if all of them are plain. The last block overlaps the one before.
    HISTSCAN_WIDE HISTSCAN_INLINE void copy_blocks(size_t length) {
        const size_t last_block = length - sizeof(Bytes32);
        copy_.make_room(length);
        Bytes32 special = fill32(0);
        for (size_t place = 0;;) {
            const Bytes32 text = load32(begin_ + place);
            store32(copy_.end() + place, text);
            special = either(special, special_bytes(text));
            if (place == last_block) break;
            place = place + sizeof(Bytes32) < last_block ? place + sizeof(Bytes32) : last_block;
        }
        if (!bits_of(special)) copy_.move_on(length);
    }
#endif

    Column &column_;
    TextTail copy_;
    const uint8_t *start_, *begin_, *end_;
};

// Makes a cell of a string of printable ASCII without escapes, whose text begins at `begin`. `closing` follows the text,
// at `last` unless that is null. Returns where it is, or null if the string is any other one. The readable bytes are
// those in [start, end).
HISTSCAN_NOINLINE const uint8_t *put_plain_text(const NarrowVectors &, Column &column, size_t row, const uint8_t *start,
    const uint8_t *begin, const uint8_t *end, uint8_t closing, const uint8_t *last) {
    if (!has_capacity(column, end - begin)) return nullptr;
    TextCopy text(column, start, begin, end);
    text.copy();
    return text.close(row, closing, last);
}

#if HISTSCAN_HAS_WIDE_VECTORS

HISTSCAN_WIDE HISTSCAN_NOINLINE const uint8_t *put_plain_text(const WideVectors &, Column &column, size_t row,
    const uint8_t *start, const uint8_t *begin, const uint8_t *end, uint8_t closing, const uint8_t *last) {
    if (!has_capacity(column, end - begin)) return nullptr;
    if (column.has_plain_text) {
        TextCopy text(column, start, begin, end);
        text.copy_wide(last);
        const uint8_t *const found = text.close(row, closing, last);
        if (found != nullptr || !widest_vectors) return found;
    }
    return put_any_text(column, row, begin, end, closing, last);
}

#endif

// Makes a cell of `true`, `false` or, with `takes_null`, `null`, whose last byte is at `last` unless that is null. Returns
// where it ends, or null if the value is another one.
HISTSCAN_INLINE const uint8_t *put_plain_word(
    Column &column, size_t row, const uint8_t *value, const uint8_t *end, const uint8_t *last, bool takes_null) {
    if (end - value < 4) return nullptr;
    const bool is_true = std::memcmp(value, "true", 4) == 0;
    const bool is_null = takes_null && std::memcmp(value, "null", 4) == 0;
    const bool is_short = is_true || is_null;
    if (!is_short && (end - value < 5 || std::memcmp(value, "false", 5) != 0)) return nullptr;
    const uint8_t *const value_end = value + (is_short ? 4 : 5);
    if (last != nullptr && value_end - 1 != last) return nullptr;
    column.tags[row] = is_true ? CELL_TRUE : is_null ? CELL_NULL : CELL_FALSE;
    if (!is_null) column.type_flags |= TYPE_BOOL;
    return value_end;
}

}  // namespace histscan

#endif
