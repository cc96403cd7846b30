// Cells of strings of any kind, read in one pass with AVX-512: 64 bytes are searched for their end, freed from escapes,
// checked as UTF-8 and copied in the same steps.

#ifndef HISTSCAN_STRING_CELLS_HPP
#define HISTSCAN_STRING_CELLS_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/cursor.hpp"
#include "bytes/utf8_blocks.hpp"
#include "bytes/vectors.hpp"
#include "columns/column.hpp"
#include "json/string_blocks.hpp"
#include "json/string_text.hpp"

#if HISTSCAN_HAS_WIDE_VECTORS

namespace histscan {

// In bytes, of a character.
constexpr size_t longest_utf8 = 4;

// Reads 64 bytes of a string without escapes, as `unescape_block`: a backslash stops, too.
HISTSCAN_WIDEST HISTSCAN_INLINE TextBlock read_block(Bytes64 bytes) {
    const uint64_t stops = bits_equal(bytes, '"') | bits_equal(bytes, '\\') | bits_at_most(bytes, 0x1F);
    const unsigned count = trailing_zeros_widest(stops);
    return {bytes, count, count, stops != 0};
}

// Reads pairs of surrogates, at which `unescape_block` stops, and any escapes that follow. Returns where they end, or
// null if an escape is malformed, or is a lone surrogate.
inline const uint8_t *read_surrogates(const uint8_t *pos, const uint8_t *end, TextTail *text) {
    StringReading reading{pos, pos, end, 0, 0, false, false, NO_FAULT};
    do {
        uint32_t point;
        pos = read_special(pos, &reading, &point);
        if (pos == nullptr || reading.has_surrogates) return nullptr;
        text->make_room(longest_utf8);
        text->move_on(static_cast<size_t>(Utf8::put(text->end(), point) - text->end()));
    } while (byte_at(pos, end) == '\\');
    return pos;
}

// Makes a cell of a string that is UTF-8 without lone surrogates, whose text begins at `begin`. `closing` follows the
// text, at `last` unless that is null; where it is a backslash, the text has no escapes. Returns where it is, or null,
// without a cell, if the string is any other one. The column must have capacity for the bytes before `end`.
HISTSCAN_WIDEST HISTSCAN_NOINLINE const uint8_t *put_any_text(
    Column &column, size_t row, const uint8_t *begin, const uint8_t *end, uint8_t closing, const uint8_t *last) {
    const bool has_escapes = closing != '\\';
    const uint8_t *pos = begin;
    TextTail text(column.text, widest_vector_size);
    Bytes64 before = fill64(0);  // the bytes before `pos`, or zeros where a character begins there
    uint64_t beyond_before = 0;  // a bit for each of these that is beyond ASCII
    bool is_ascii = true;
    while (true) {
        const Bytes64 bytes = load64_up_to(pos, end);
        const TextBlock block = has_escapes ? unescape_block(bytes) : read_block(bytes);
        const uint64_t beyond = bits_at_least_128(bytes);
        if (beyond | beyond_before) {
            is_ascii = false;
            // What a character lacks is a fault of the byte behind it.
            if (low_bits(utf8_fault_bits(before, bytes), block.count + 1)) return nullptr;
        }
        store64(text.end(), block.text);
        text.move_on(block.length);
        text.make_room(widest_vector_size);
        pos += block.count;
        if (block.is_stopped) {
            const int byte = byte_at(pos, end);
            if (byte == closing) break;
            if (byte != '\\') return nullptr;
            pos = read_surrogates(pos, end, &text);
            if (pos == nullptr) return nullptr;
            text.make_room(widest_vector_size);
        }
        // A vector that was not read to its last byte ends with a whole character.
        const bool is_whole = block.count == widest_vector_size;
        before = is_whole ? bytes : fill64(0);
        beyond_before = is_whole ? beyond : 0;
    }
    if (last != nullptr && pos != last) return nullptr;
    column.has_plain_text = is_ascii && text.length() == static_cast<size_t>(pos - begin);
    return put_text_cell(column, row, text.length()) ? pos : nullptr;
}

}  // namespace histscan

#endif

#endif
