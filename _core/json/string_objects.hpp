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

#include "json/json_text.hpp"
#include "json/string_text.hpp"
#include "json/string_units.hpp"

namespace histscan {

// Strings up to this many bytes are read on the stack.
constexpr ptrdiff_t short_string_length = 4096;

// Room for the characters of a string.
template <typename Unit>
class CharacterRoom {
public:
    // Returns room for `length` bytes of text, or null with an exception.
    Unit *reserve(ptrdiff_t length) {
        if (length <= short_string_length) return units_;
        own_units_.reset(new (std::nothrow) Unit[static_cast<size_t>(length) + vector_room]);
        if (!own_units_) PyErr_NoMemory();
        return own_units_.get();
    }

private:
    // Whole vectors are stored.
    static constexpr int vector_room = 64;

    Unit units_[short_string_length + vector_room];
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
    const StringStop stopped = read_characters<CodePoints<Unit>>(reading, out);
    if (stopped == STRING_CLOSED) {
        const uint32_t largest = sizeof(Unit) == 2 ? 0xFFFF : 0x10FFFF;
        return new_text(out, reading->count, sizeof(Unit), largest);
    }
    if constexpr (sizeof(Unit) == 2) {
        if (stopped == STRING_WIDER) return widen_text<uint32_t>(reading, out);
    }
    return nullptr;
}

#if HISTSCAN_HAS_WIDE_VECTORS

// The str of characters below U+10000, not all of which are of ASCII.
inline PyObject *text_of_units(const uint16_t *units, size_t count) {
    uint16_t bits = 0;
    for (size_t place = 0; place < count; ++place) bits |= units[place];
    if (bits >= 0x100) return new_text(units, count, sizeof *units, 0xFFFF);
    PyObject *text = PyUnicode_New(static_cast<Py_ssize_t>(count), 0xFF);
    if (text == nullptr) return nullptr;
    Py_UCS1 *const out = PyUnicode_1BYTE_DATA(text);
    for (size_t place = 0; place < count; ++place) out[place] = static_cast<Py_UCS1>(units[place]);
    return text;
}

// As `read_text`, where `narrow` are the characters so far, all of ASCII, and others follow.
HISTSCAN_NOINLINE PyObject *read_unit_text(StringReading *reading, const uint8_t *narrow) {
    CharacterRoom<uint16_t> room;
    uint16_t *out = room.reserve(static_cast<ptrdiff_t>(reading->count) + (reading->end - reading->pos));
    if (out == nullptr) return nullptr;
    for (size_t place = 0; place < reading->count; ++place) out[place] = narrow[place];
    if (!read_unit_blocks(reading, out)) {
        const StringStop stopped = read_characters<CodePoints<uint16_t>>(reading, out);
        if (stopped == STRING_WIDER) return widen_text<uint32_t>(reading, out);
        if (stopped != STRING_CLOSED) return nullptr;
    }
    return text_of_units(out, reading->count);
}

// The str of a text without escapes, quotes and control characters, if it is UTF-8 and all its characters are below
// U+10000. Otherwise null, perhaps with an exception.
HISTSCAN_NOINLINE PyObject *unit_text(const uint8_t *begin, const uint8_t *end) {
    CharacterRoom<uint16_t> room;
    StringReading reading{begin, begin, end, 0, 0, false, false, NO_FAULT};
    uint16_t *const out = room.reserve(end - begin);
    if (out == nullptr) return nullptr;
    read_unit_blocks(&reading, out);
    return reading.pos == end ? text_of_units(out, reading.count) : nullptr;
}

#endif

// Reads the rest of the string at `pos`, with its closing quote; `out` is from a `CharacterRoom` for its bytes.
inline PyObject *read_text(StringReading *reading, uint8_t *out) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (widest_vectors) {
        if (read_ascii_blocks(reading, out)) return ascii_text(out, static_cast<ptrdiff_t>(reading->count));
        // As far as it may be read, the string is not closed.
        reading->fault = JSON_STRING_UNTERMINATED;
        return reading->pos == reading->end ? nullptr : read_unit_text(reading, out);
    }
#endif
    const StringStop stopped = read_characters<CodePoints<uint8_t>>(reading, out);
    if (stopped == STRING_CLOSED) return new_text(out, reading->count, 1, reading->bits < 0x80 ? 0x7F : 0xFF);
    if (stopped == STRING_MALFORMED) return nullptr;
    return reading->bits < 0x10000 ? widen_text<uint16_t>(reading, out) : widen_text<uint32_t>(reading, out);
}

// As `read_string_object`, where the string is not plain ASCII.
HISTSCAN_NOINLINE PyObject *read_special_string(Cursor *cursor, bool allow_surrogates) {
    const uint8_t *begin = cursor->pos + 1;
    const bool is_short = cursor->end - begin <= short_string_length;
    StringReading reading{cursor->start, begin, is_short ? cursor->end : begin + short_string_length, 0, 0,
        allow_surrogates, false, NO_FAULT};
    CharacterRoom<uint8_t> room;
    PyObject *text = read_text(&reading, room.reserve(reading.end - begin));
    if (text == nullptr && !is_short && !PyErr_Occurred()) {
        // Its end was not among these bytes.
        Token token;
        if (!read_string(cursor, &token)) return nullptr;
        reading = {cursor->start, begin, cursor->pos, 0, 0, allow_surrogates, false, NO_FAULT};
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
    const uint8_t *pos = find_string_special(cursor->start, begin, end);
    if (HISTSCAN_UNLIKELY(byte_at(pos, end) != '"')) return read_special_string(cursor, allow_surrogates);
    cursor->pos = pos + 1;
    return ascii_text(begin, pos - begin);
}

}  // namespace histscan

#endif
