// The characters of JSON strings, read in one pass: escapes and UTF-8 become code points, or UTF-8 without escapes.

#ifndef HISTSCAN_STRING_TEXT_HPP
#define HISTSCAN_STRING_TEXT_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/bytes.hpp"
#include "json/escape_table.hpp"
#include "json/json_text.hpp"
#include "json/string_blocks.hpp"

namespace histscan {

// The room for the text of a string, beyond as many units as its encoded form has bytes: whole vectors are stored.
constexpr int string_room = 16;

// The UTF-16 code unit of the escape `\uXXXX` at `pos`, or -1 if there is no such escape.
inline int escaped_unit(const uint8_t *pos, const uint8_t *end) {
    if (end - pos < 6 || pos[0] != '\\' || pos[1] != 'u') return -1;
    const uint8_t *const digits = hex_digits.value;
    const int first = digits[pos[2]], second = digits[pos[3]], third = digits[pos[4]], fourth = digits[pos[5]];
    return (first | second | third | fourth) > 0xF ? -1 : first << 12 | second << 8 | third << 4 | fourth;
}

// Reads the character beyond ASCII at `pos`; returns where it ends, or null if it is not well-formed UTF-8. Surrogates
// are well-formed where they are allowed.
inline const uint8_t *read_utf8(const uint8_t *pos, const uint8_t *end, bool allow_surrogates, uint32_t *point) {
    const uint32_t lead = pos[0];
    const ptrdiff_t left = end - pos;
    if (lead < 0xC2 || left < 2) return nullptr;
    const uint32_t second = pos[1] ^ 0x80u;
    if (lead < 0xE0) {
        *point = (lead & 0x1F) << 6 | second;
        return second < 0x40 ? pos + 2 : nullptr;
    }
    if (left < 3) return nullptr;
    const uint32_t third = pos[2] ^ 0x80u;
    if (lead < 0xF0) {
        const uint32_t found = (lead & 0x0F) << 12 | second << 6 | third;
        *point = found;
        const bool is_surrogate = (found & 0xF800) == 0xD800;
        return (second | third) < 0x40 && found >= 0x800 && (allow_surrogates || !is_surrogate) ? pos + 3 : nullptr;
    }
    if (left < 4 || lead > 0xF4) return nullptr;
    const uint32_t fourth = pos[3] ^ 0x80u;
    const uint32_t found = (lead & 0x07) << 18 | second << 12 | third << 6 | fourth;
    *point = found;
    return (second | third | fourth) < 0x40 && found >= 0x10000 && found <= 0x10FFFF ? pos + 4 : nullptr;
}

HISTSCAN_INLINE void store_units(uint8_t *out, Bytes16 text) { store16(out, text); }
template <typename Unit>
HISTSCAN_INLINE void store_units(Unit *out, Bytes16 text) {
    uint8_t bytes[16];
    store16(bytes, text);
    for (int place = 0; place < 16; ++place) out[place] = bytes[place];
}

// Characters written as units of one width. `put` writes one of them; it returns null if the unit is too narrow.
template <typename AnyUnit>
struct CodePoints {
    using Unit = AnyUnit;

    static constexpr bool copies_utf8 = false;

    static HISTSCAN_INLINE Unit *put(Unit *out, uint32_t point) {
        if (sizeof(Unit) < sizeof point && point >> (8 * sizeof(Unit) & 31)) return nullptr;
        *out = static_cast<Unit>(point);
        return out + 1;
    }
};

// Characters written as UTF-8. Those beyond ASCII are copied as they are, unchecked, and lone surrogates get the three
// bytes that they would have: whoever needs well-formed UTF-8 looks for both afterwards.
struct Utf8 {
    using Unit = uint8_t;

    static constexpr bool copies_utf8 = true;

    static HISTSCAN_INLINE uint8_t *put(uint8_t *out, uint32_t point) {
        if (point < 0x80) {
            *out++ = static_cast<uint8_t>(point);
            return out;
        }
        if (point < 0x800) {
            *out++ = static_cast<uint8_t>(0xC0 | point >> 6);
        } else {
            if (point < 0x10000) {
                *out++ = static_cast<uint8_t>(0xE0 | point >> 12);
            } else {
                *out++ = static_cast<uint8_t>(0xF0 | point >> 18);
                *out++ = static_cast<uint8_t>(0x80 | (point >> 12 & 0x3F));
            }
            *out++ = static_cast<uint8_t>(0x80 | (point >> 6 & 0x3F));
        }
        *out++ = static_cast<uint8_t>(0x80 | (point & 0x3F));
        return out;
    }
};

// A string while it is read.
struct StringReading {
    const uint8_t *start;  // the first readable byte
    const uint8_t *pos;    // the next byte
    const uint8_t *end;    // one past the last byte that may be read
    size_t count;          // the units written so far
    uint32_t bits;         // of all of them: below a power of two if and only if each of them is
    bool allow_surrogates;
    bool has_surrogates;  // one was escaped alone
    Fault fault;          // why it is malformed, at `pos`
};

// How the reading of a string stopped.
enum StringStop {
    STRING_CLOSED,     // at its closing quote
    STRING_WIDER,      // before a character that can't be written, which is the last in `bits`
    STRING_MALFORMED,  // at a fault, or at the end of the bytes
};

// Reads the escape or the character beyond ASCII at `pos`; returns where it ends, or null with a fault.
inline const uint8_t *read_special(const uint8_t *pos, StringReading *reading, uint32_t *point) {
    const uint8_t *const end = reading->end;
    const int byte = byte_at(pos, end);
    if (byte >= 0x80) {
        reading->fault = JSON_UTF8_INVALID;
        return read_utf8(pos, end, reading->allow_surrogates, point);
    }
    if (byte != '\\' || end - pos < 2) {
        reading->fault = byte < 0 || byte == '\\' ? JSON_STRING_UNTERMINATED : JSON_CONTROL_CHARACTER;
        return nullptr;
    }
    *point = escape_table.meaning[pos[1]];
    if (*point) return pos + 2;
    const int unit = escaped_unit(pos, end);
    reading->fault = JSON_ESCAPE_INVALID;
    if (unit < 0) return nullptr;
    *point = static_cast<uint32_t>(unit);
    if ((unit & 0xFC00) == 0xD800) {
        const int low = escaped_unit(pos + 6, end);
        if (low >= 0 && (low & 0xFC00) == 0xDC00) {
            *point = 0x10000 + ((*point & 0x3FF) << 10) + (static_cast<uint32_t>(low) & 0x3FF);
            return pos + 12;
        }
    }
    if ((unit & 0xF800) == 0xD800) reading->has_surrogates = true;
    return pos + 6;
}

// Continues to read a string, and writes its characters from `out` on, where there is room for `string_room` more units
// than there are bytes.
template <typename Characters>
inline StringStop read_characters(StringReading *reading, typename Characters::Unit *out) {
    constexpr int block_size = 16;
    const uint8_t *pos = reading->pos, *const end = reading->end;
    auto *next = out + reading->count;
    uint32_t bits = reading->bits;
    StringStop stopped;
    while (true) {
#if HISTSCAN_HAS_WIDE_VECTORS
        if constexpr (Characters::copies_utf8) {
            if (widest_vectors) {
                pos = unescape_widest_blocks(pos, end, &next);
            } else if (wide_vectors && end - pos >= 2 * wide_vector_size) {
                // Shorter ones are read as fast without a call.
                pos = unescape_blocks(pos, end, &next);
            }
        }
#endif
        const Bytes16 text = load_up_to(reading->start, pos, end);
        store_units(next, text);
        // Where the plain characters end is known for all of them: none waits for the one before it. The zeros after the
        // last byte are control characters.
        Marks16 marks = Characters::copies_utf8 ? marks_of(string_ends(text)) : special_marks(text);
        const auto last = static_cast<int>(end - pos < block_size ? end - pos : block_size) - 1;
        int done = 0;
        bool is_plain = true;
        while (marks) {
            const int place = first_mark(marks);
            next += place - done;
            done = place;
            const uint8_t meaning = place < last && pos[place] == '\\' ? escape_table.meaning[pos[place + 1]] : 0;
            is_plain = meaning != 0;
            if (!is_plain) break;
            *next++ = meaning;
            done += 2;
            store_units(next, load_up_to(reading->start, pos + done, end));
            marks = marks_from(marks, done);
        }
        if (is_plain) {
            next += block_size - done;
            pos += block_size;
            continue;
        }
        pos += done;
        if (byte_at(pos, end) == '"') {
            stopped = STRING_CLOSED;
            break;
        }
        // Where one character is beyond ASCII, or is escaped by its number, the next one often is, too.
        uint32_t point;
        const uint8_t *after;
        do {
            after = read_special(pos, reading, &point);
            if (after == nullptr) break;
            bits |= point;
            auto *const written = Characters::put(next, point);
            if (written == nullptr) break;
            next = written;
            pos = after;
        } while ((!Characters::copies_utf8 && byte_at(pos, end) >= 0x80) ||
                 (byte_at(pos, end) == '\\' && byte_at(pos + 1, end) == 'u'));
        if (after != pos) {
            stopped = after == nullptr ? STRING_MALFORMED : STRING_WIDER;
            break;
        }
    }
    reading->pos = pos;
    reading->count = static_cast<size_t>(next - out);
    reading->bits = bits;
    return stopped;
}

// Reads the rest of a string with its closing quote, and writes its text as UTF-8 from `out` on, where there is room for
// `string_room` more bytes than the cursor has left: no text is longer than its encoded form. Bytes beyond ASCII are copied
// unchecked, and `has_surrogates` is set if a lone surrogate was written, but never cleared. Returns where the text
// ends, or null with a fault in the cursor.
inline uint8_t *unescape_string(Cursor *cursor, uint8_t *out, bool *has_surrogates) {
    StringReading reading{cursor->start, cursor->pos, cursor->end, 0, 0, true, false, NO_FAULT};
    if (read_characters<Utf8>(&reading, out) != STRING_CLOSED) {
        stop(cursor, reading.fault, reading.fault == JSON_STRING_UNTERMINATED ? cursor->pos : reading.pos);
        return nullptr;
    }
    cursor->pos = reading.pos + 1;
    if (reading.has_surrogates) *has_surrogates = true;
    return out + reading.count;
}

}  // namespace histscan

#endif
