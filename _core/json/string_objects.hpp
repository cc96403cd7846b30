// The str objects of JSON strings, made in one pass over the text: escapes and UTF-8 become code points at once,
// and the str is as wide as the largest of them needs.

#ifndef HISTSCAN_STRING_OBJECTS_HPP
#define HISTSCAN_STRING_OBJECTS_HPP

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "bytes/bytes.hpp"
#include "json/json_text.hpp"

namespace histscan {

// What an escape of one character means; 0 for all other characters.
struct EscapeTable {
    uint8_t meaning[256];

    constexpr EscapeTable() : meaning{} {
        meaning[int{'"'}] = '"';
        meaning[int{'\\'}] = '\\';
        meaning[int{'/'}] = '/';
        meaning[int{'b'}] = '\b';
        meaning[int{'f'}] = '\f';
        meaning[int{'n'}] = '\n';
        meaning[int{'r'}] = '\r';
        meaning[int{'t'}] = '\t';
    }
};

inline constexpr EscapeTable escape_table{};

// The UTF-16 code unit of the escape `\uXXXX` at `pos`, or -1 if there is no such escape.
inline int escaped_unit(const uint8_t *pos, const uint8_t *end) {
    if (end - pos < 6 || pos[0] != '\\' || pos[1] != 'u') return -1;
    int unit = 0;
    for (int offset = 2; offset < 6; ++offset) {
        const int byte = pos[offset], letter = byte | 0x20;
        int digit;
        if (is_digit(byte)) {
            digit = byte - '0';
        } else if ('a' <= letter && letter <= 'f') {
            digit = letter - 'a' + 10;
        } else {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
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

// The bytes [pos, end), which are fewer than 16, then zeros. `start` is where the readable bytes begin.
HISTSCAN_INLINE Bytes16 load_last(const uint8_t *start, const uint8_t *pos, const uint8_t *end) {
    alignas(16) uint8_t room[32] = {};
    const ptrdiff_t left = end - pos;
    if (HISTSCAN_LIKELY(end - start >= 16)) {
        store16(room, load16(end - 16));
        return load16(room + (16 - left));
    }
    for (ptrdiff_t offset = 0; offset < left; ++offset) room[offset] = pos[offset];
    return load16(room);
}

// The marks of what a run of plain characters ends with: a quote, a backslash, a control character, a byte beyond ASCII.
HISTSCAN_INLINE Marks16 special_marks(Bytes16 text) {
    // Compared as signed numbers, control characters and bytes from 0x80 on are both below a space.
    return marks_of(either(quotes_and_backslashes(text), below_signed(text, fill16(' '))));
}

// As `find_string_special`; bytes from `start` on are readable. The last bytes are not looked at one by one.
HISTSCAN_INLINE const uint8_t *find_special(const uint8_t *start, const uint8_t *pos, const uint8_t *end) {
    for (; end - pos >= 16; pos += 16) {
        const Marks16 marks = special_marks(load16(pos));
        if (marks) return pos + first_mark(marks);
    }
    // The zeros after the last byte are control characters.
    return pos == end ? end : pos + first_mark(special_marks(load_last(start, pos, end)));
}

HISTSCAN_INLINE void store_units(uint8_t *out, Bytes16 text) { store16(out, text); }
template <typename Unit>
HISTSCAN_INLINE void store_units(Unit *out, Bytes16 text) {
    uint8_t bytes[16];
    store16(bytes, text);
    for (int place = 0; place < 16; ++place) out[place] = bytes[place];
}

// A string while it is read.
struct StringReading {
    const uint8_t *start;  // the first readable byte
    const uint8_t *pos;    // the next byte
    const uint8_t *end;    // one past the last byte that may be read
    size_t count;          // the characters so far
    uint32_t bits;         // of all of them: below a power of two if and only if each of them is
    bool allow_surrogates;
    Fault fault;  // why it is malformed, at `pos`
};

// How the reading of a string stopped.
enum StringStop {
    STRING_CLOSED,     // at its closing quote
    STRING_WIDER,      // before a character that does not fit, which is the last in `bits`
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
    return pos + 6;
}

// Continues to read a string, and writes its characters from `out` on, where there is room for 16 more of them than
// there are bytes.
template <typename Unit>
inline StringStop read_characters(StringReading *reading, Unit *out) {
    constexpr int block_size = 16;
    const uint8_t *pos = reading->pos, *const end = reading->end;
    Unit *next = out + reading->count;
    uint32_t bits = reading->bits;
    StringStop stopped;
    while (true) {
        // A block of bytes, and as many after it, which are zeros where there are no more.
        uint8_t room[2 * block_size];
        const uint8_t *block = pos;
        const ptrdiff_t left = end - pos;
        if (HISTSCAN_UNLIKELY(left < 2 * block_size)) {
            const bool is_whole = left >= block_size;
            store16(room, is_whole ? load16(pos) : load_last(reading->start, pos, end));
            store16(room + block_size, is_whole ? load_last(reading->start, pos + block_size, end) : fill16(0));
            block = room;
        }
        const Bytes16 text = load16(block);
        store_units(next, text);
        // Where the plain characters end is known for all of them: none waits for the one before it.
        Marks16 marks = special_marks(text);
        int done = 0;
        bool is_plain = true;
        while (marks) {
            const int place = first_mark(marks);
            next += place - done;
            done = place;
            const uint8_t meaning = escape_table.meaning[block[place + 1]];
            is_plain = block[place] == '\\' && meaning && place < block_size - 1;
            if (!is_plain) break;
            *next++ = meaning;
            done += 2;
            store_units(next, load16(block + done));
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
        // Where one character is beyond ASCII, the next one often is, too.
        uint32_t point;
        const uint8_t *after;
        do {
            after = read_special(pos, reading, &point);
            if (after == nullptr) break;
            bits |= point;
            if (sizeof(Unit) < sizeof point && point >> (8 * sizeof(Unit) & 31)) break;
            *next++ = static_cast<Unit>(point);
            pos = after;
        } while (byte_at(pos, end) >= 0x80);
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

// Strings up to this many bytes are read on the stack.
constexpr ptrdiff_t short_string_length = 512;

// Room for the characters of a string.
template <typename Unit>
class CharacterRoom {
public:
    // Returns room for `length` bytes of text, or null with an exception.
    Unit *reserve(ptrdiff_t length) {
        if (length <= short_string_length) return units_;
        own_units_.reset(new (std::nothrow) Unit[static_cast<size_t>(length) + 16]);
        if (!own_units_) PyErr_NoMemory();
        return own_units_.get();
    }

private:
    Unit units_[short_string_length + 16];
    std::unique_ptr<Unit[]> own_units_;
};

inline PyObject *new_text(const void *characters, size_t count, size_t size, uint32_t largest) {
    PyObject *text = PyUnicode_New(static_cast<Py_ssize_t>(count), largest);
    if (text != nullptr && count) std::memcpy(PyUnicode_DATA(text), characters, count * size);
    return text;
}

// The str of `length` bytes that are known to be ASCII.
inline PyObject *ascii_text(const uint8_t *text, ptrdiff_t length) {
    return new_text(text, static_cast<size_t>(length), 1, 0x7F);
}

// Reads the rest of a string with characters of `Unit`, where `narrow` are the characters so far. Returns null with an
// exception, or with a fault in the reading.
template <typename Unit, typename Narrow>
HISTSCAN_NOINLINE PyObject *widen_text(StringReading *reading, const Narrow *narrow) {
    CharacterRoom<Unit> room;
    Unit *out = room.reserve(static_cast<ptrdiff_t>(reading->count) + (reading->end - reading->pos));
    if (out == nullptr) return nullptr;
    for (size_t place = 0; place < reading->count; ++place) out[place] = narrow[place];
    const StringStop stopped = read_characters(reading, out);
    if (stopped == STRING_CLOSED) {
        const uint32_t largest = sizeof(Unit) == 2 ? 0xFFFF : 0x10FFFF;
        return new_text(out, reading->count, sizeof(Unit), largest);
    }
    if constexpr (sizeof(Unit) == 2) {
        if (stopped == STRING_WIDER) return widen_text<uint32_t>(reading, out);
    }
    return nullptr;
}

// Reads the rest of the string at `pos`, with its closing quote; `out` has room for its bytes and 16 more.
inline PyObject *read_text(StringReading *reading, uint8_t *out) {
    const StringStop stopped = read_characters(reading, out);
    if (stopped == STRING_CLOSED) return new_text(out, reading->count, 1, reading->bits < 0x80 ? 0x7F : 0xFF);
    if (stopped == STRING_MALFORMED) return nullptr;
    return reading->bits < 0x10000 ? widen_text<uint16_t>(reading, out) : widen_text<uint32_t>(reading, out);
}

// As `read_string_object`, where the string is not plain ASCII.
HISTSCAN_NOINLINE PyObject *read_special_string(Cursor *cursor, bool allow_surrogates) {
    const uint8_t *begin = cursor->pos + 1;
    const bool is_short = cursor->end - begin <= short_string_length;
    StringReading reading{
        cursor->start, begin, is_short ? cursor->end : begin + short_string_length, 0, 0, allow_surrogates, NO_FAULT};
    CharacterRoom<uint8_t> room;
    PyObject *text = read_text(&reading, room.reserve(reading.end - begin));
    if (text == nullptr && !is_short && !PyErr_Occurred()) {
        // Its end was not among these bytes.
        Token token;
        if (!read_string(cursor, &token)) return nullptr;
        reading = {cursor->start, begin, cursor->pos, 0, 0, allow_surrogates, NO_FAULT};
        cursor->pos = begin - 1;
        uint8_t *out = room.reserve(reading.end - begin);
        if (out == nullptr) return nullptr;
        text = read_text(&reading, out);
    }
    if (text != nullptr) {
        cursor->pos = reading.pos + 1;
    } else if (!PyErr_Occurred()) {
        stop(cursor, reading.fault, reading.fault == JSON_STRING_UNTERMINATED ? cursor->pos : reading.pos);
    }
    return text;
}

// Reads a string; the cursor must be at its opening quote. Returns null with an exception, or with a fault in the
// cursor. Surrogates written as UTF-8 are accepted only where they are allowed.
HISTSCAN_INLINE PyObject *read_string_object(Cursor *cursor, bool allow_surrogates) {
    const uint8_t *begin = cursor->pos + 1, *end = cursor->end;
    const uint8_t *pos = find_special(cursor->start, begin, end);
    if (HISTSCAN_UNLIKELY(byte_at(pos, end) != '"')) return read_special_string(cursor, allow_surrogates);
    cursor->pos = pos + 1;
    return ascii_text(begin, pos - begin);
}

}  // namespace histscan

#endif
