// Cells of plain texts and bools, without a call for each step of the way. All other values are for the functions of
// the column builder.

#ifndef HISTSCAN_TEXT_CELLS_HPP
#define HISTSCAN_TEXT_CELLS_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bytes/bytes.hpp"
#include "bytes/cursor.hpp"
#include "columns/column.hpp"

namespace histscan {

// What the text of a column in a chunk may have: Arrow's offsets are 32 bits wide, with a sign.
constexpr ptrdiff_t text_capacity = 0x7FFFFFFF;

// Makes a cell of a string of printable ASCII without escapes, whose text begins at `begin`: it is copied while its end
// is looked for. `closing` follows the text, at `last` unless that is null. Returns where it is, or null if the string
// is any other one. The readable bytes are those in [start, end).
HISTSCAN_NOINLINE const uint8_t *put_plain_text(Column &column, size_t row, const uint8_t *start, const uint8_t *begin,
    const uint8_t *end, uint8_t closing, const uint8_t *last) {
    constexpr size_t block_size = 16;
    const size_t offset = column.text.size();
    const int first = byte_at(begin, end);
    // Those that may spell NaN or an infinity give the column another type.
    if (first == 'N' || first == 'I' || first == '-') return nullptr;
    if (end - begin > text_capacity - static_cast<ptrdiff_t>(offset)) return nullptr;
    uint8_t *out = column.text.make_room(4 * block_size);
    size_t room = column.text.capacity() - offset, length = 0;
    while (true) {
        const Bytes16 text = load_up_to(start, begin + length, end);
        store16(out + length, text);
        const Marks16 marks = special_marks(text);
        if (marks) {
            length += static_cast<size_t>(first_mark(marks));
            break;
        }
        length += block_size;
        if (HISTSCAN_UNLIKELY(room - length < block_size)) {
            // What is not counted yet does not move with the room: the text is copied again.
            out = column.text.make_room(2 * (length + block_size));
            room = column.text.capacity() - offset;
            length = 0;
        }
    }
    const uint8_t *const found = begin + length;
    if (byte_at(found, end) != closing || (last != nullptr && found != last)) return nullptr;
    column.text.add(length);
    column.bits[row] = uint64_t{offset} << 32 | length;
    column.tags[row] = CELL_TEXT;
    column.type_flags |= TYPE_TEXT;
    return found;
}

// Makes a cell of `true` or `false`, whose last byte is at `last` unless that is null. Returns where it ends, or null if
// the value is another one.
HISTSCAN_INLINE const uint8_t *put_plain_bool(
    Column &column, size_t row, const uint8_t *value, const uint8_t *end, const uint8_t *last) {
    if (end - value < 4) return nullptr;
    const bool is_true = std::memcmp(value, "true", 4) == 0;
    if (!is_true && (end - value < 5 || std::memcmp(value, "false", 5) != 0)) return nullptr;
    const uint8_t *const value_end = value + (is_true ? 4 : 5);
    if (last != nullptr && value_end - 1 != last) return nullptr;
    column.tags[row] = is_true ? CELL_TRUE : CELL_FALSE;
    column.type_flags |= TYPE_BOOL;
    return value_end;
}

}  // namespace histscan

#endif
