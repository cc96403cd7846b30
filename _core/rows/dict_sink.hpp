// Dict rows as a Sink of `read_members`: values become objects here, in the loop; new keys and what is rare are for
// functions of a Cython module.

#ifndef HISTSCAN_DICT_SINK_HPP
#define HISTSCAN_DICT_SINK_HPP

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "bytes/number_readers.hpp"
#include "json/json_quoted.hpp"
#include "json/value_objects.hpp"
#include "rows/json_format.hpp"
#include "wire/item_format.hpp"

namespace histscan {

// A row while it is read. The functions return an Outcome.
struct DictRow {
    PyObject *members;            // the dict
    const ValueContext *context;  // for values
    PyObject *keys;               // a list: the object of each key of the table
    void *self;
    // Returns the key spelt in [begin, end).
    PyObject *(*make_key)(void *self, Cursor *value, const uint8_t *begin, const uint8_t *end);
    // Adds a key to the table and to `keys`; returns its index, or `unknown_key`; -2 with an exception.
    int32_t (*add_key)(void *self, const uint8_t *begin, size_t length, PyObject *key);
    // Puts a value under a path: a tuple of names.
    int (*put_path)(void *self, PyObject *path, PyObject *value);
    // Reads a member with a rare layout, by all the rules of its encoding.
    int (*put_rare_member)(void *self, Cursor *member, bool is_removal);
    // Only the first `count` members of the row are the predicted ones: sets `members` to a dict of these.
    int (*leave)(void *self, size_t count, PyObject **members);
    // Of rows within a JSON string: room for their text without the quotes' backslashes.
    std::vector<uint8_t> *unquoted;
};

// The str of a string in a row that is within a JSON string, which has no escapes of its own. Returns null with an
// exception, or with a fault in the cursor.
inline PyObject *quoted_text(Cursor *cursor, const Token &token) {
    if (HISTSCAN_LIKELY(token.is_ascii)) return ascii_text(token.begin, token.end - token.begin);
    PyObject *text = nullptr;
#if HISTSCAN_HAS_WIDE_VECTORS
    if (widest_vectors) text = unit_text(token.begin, token.end);
    if (text != nullptr || PyErr_Occurred()) return text;
#endif
    text = PyUnicode_DecodeUTF8(reinterpret_cast<const char *>(token.begin), token.end - token.begin, nullptr);
    if (text == nullptr && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        stop(cursor, JSON_UTF8_INVALID, find_invalid_utf8(token.begin, token.end));
    }
    return text;
}

// Points the cursor at the text that it may read, without the backslashes of quotes.
HISTSCAN_NOINLINE void unquote_row(Cursor *cursor, std::vector<uint8_t> &text) {
    const size_t room = static_cast<size_t>(cursor->end - cursor->pos) + 16;
    if (text.size() < room) text.resize(room);
    open_cursor(
        cursor, text.data(), static_cast<size_t>(unquote_text(cursor->pos, cursor->end, text.data()) - text.data()));
}

// `is_document`: a value is all that the cursor may read, white space included.
template <bool is_document>
class DictSink {
public:
    static constexpr bool has_plain = true;

    DictSink(DictRow &row, KeyTable &table) : row_(row), table_(table) {}
    DictSink(const DictSink &) = delete;
    DictSink &operator=(const DictSink &) = delete;
    ~DictSink() { Py_XDECREF(new_key_); }

    template <typename Format>
    HISTSCAN_INLINE bool put_plain(Format &format, const Key &key, const uint8_t *begin) {
        PlainNumber number;
        if (!format.take_plain_number(begin, &number)) return false;
        // Where it fails, `put` is called next.
        put_object(key, plain_number_object(number));
        return outcome_ == OUTCOME_DONE;
    }
    template <typename Format>
    HISTSCAN_INLINE int put(Format &format, const Key &key) {
        if (HISTSCAN_UNLIKELY(outcome_ != OUTCOME_DONE)) return outcome_;
        Cursor *cursor = format.open_value();
        const Key *known_key = key.index == unknown_key ? nullptr : &key;
        PyObject *value;
        if (is_document) {
            value = read_document_object(cursor, *row_.context, known_key);
        } else if (format.is_quoted()) {
            value = read_quoted_object(format, cursor);
        } else {
            value = read_value_object(cursor, *row_.context, known_key);
        }
        if (HISTSCAN_UNLIKELY(value == nullptr)) return PyErr_Occurred() ? OUTCOME_RAISED : OUTCOME_SLOW;
        format.close_value();
        put_object(key, value);
        return outcome_;
    }
    template <typename Format>
    int learn(Format &format, int32_t *index) {
        const uint8_t *begin = format.key_begin(), *end = format.key_end();
        PyObject *key = plain_key(begin, end);
        if (key == nullptr && !PyErr_Occurred()) key = row_.make_key(row_.self, format.open_value(), begin, end);
        if (key == nullptr) return OUTCOME_RAISED;
        Py_XSETREF(new_key_, key);
        *index = unknown_key;
        if (table_.is_recurring(begin, end - begin)) {
            *index = row_.add_key(row_.self, begin, static_cast<size_t>(end - begin), key);
        }
        return *index < unknown_key ? OUTCOME_RAISED : OUTCOME_DONE;
    }
    template <typename Format>
    HISTSCAN_INLINE int put_rare(Format &format) const {
        const int outcome = row_.put_rare_member(row_.self, format.open_value(), format.is_removal());
        format.close_value();
        return outcome;
    }
    HISTSCAN_INLINE int leave_template(size_t count) const { return row_.leave(row_.self, count, &row_.members); }

private:
    // The str of a key that is plain ASCII and alone in [begin, end), as most are; null for others, or with an exception.
    static PyObject *plain_key(const uint8_t *begin, const uint8_t *end) {
        const uint8_t *text = begin + 2;
        if (is_document) {
            if (end - begin < 2 || begin[0] != key_tag || begin[1] >= 0x80 || end - text != begin[1]) return nullptr;
            return is_ascii(text, end) ? ascii_text(text, end - text) : nullptr;
        }
        // Within a JSON string, a backslash is before each quote.
        if (*begin == '"') --text;
        const uint8_t *text_end = find_string_special(begin, text, end);
        if (text_end == end || *text_end != text[-1 - (*begin == '\\')]) return nullptr;
        return ascii_text(text, text_end - text);
    }
    static bool is_ascii(const uint8_t *pos, const uint8_t *end) {
        uint8_t bits = 0;
        for (; pos < end; ++pos) bits |= *pos;
        return bits < 0x80;
    }
    // Puts the value under its key; takes ownership of it.
    HISTSCAN_INLINE void put_object(const Key &key, PyObject *value) {
        if (HISTSCAN_UNLIKELY(value == nullptr)) {
            outcome_ = OUTCOME_RAISED;
            return;
        }
        // Borrowed: whoever reads the row holds the keys, and the dict.
        PyObject *name = key.index == unknown_key ? new_key_ : PyList_GET_ITEM(row_.keys, key.index);
        if (HISTSCAN_UNLIKELY(PyTuple_CheckExact(name))) {
            outcome_ = row_.put_path(row_.self, name, value);
        } else if (HISTSCAN_UNLIKELY(PyDict_SetItem(row_.members, name, value) < 0)) {
            outcome_ = OUTCOME_RAISED;
        }
        Py_DECREF(value);
    }
    // Reads a value in a row that is within a JSON string. The first container has all that is left of the row unquoted.
    template <typename Format>
    HISTSCAN_INLINE PyObject *read_quoted_object(Format &format, Cursor *cursor) {
        const int byte = peek(cursor);
        if (byte == '\\') {
            Token token;
            return read_quoted_string(cursor, &token) ? quoted_text(cursor, token) : nullptr;
        }
        if (byte == '{' || byte == '[') {
            unquote_row(cursor, *row_.unquoted);
            format.set_quoted(false);
        }
        return read_value_object(cursor, *row_.context);
    }

    DictRow &row_;
    KeyTable &table_;
    PyObject *new_key_ = nullptr;  // the latest key that was looked up in vain
    int outcome_ = OUTCOME_DONE;   // of the values so far
};

template <typename Vectors>
HISTSCAN_INLINE int read_item_dict_by(const Vectors &vectors, Cursor *cursor, ItemSchema schema, KeyTable &table,
    RowTemplate &row_template, DictRow &row) {
    ItemFormat<Vectors> format(cursor, schema, vectors);
    DictSink<true> sink(row, table);
    try {
        return read_members(format, table, row_template, sink);
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return OUTCOME_RAISED;
    }
}

#if HISTSCAN_HAS_WIDE_VECTORS

HISTSCAN_WIDE HISTSCAN_NOINLINE int read_item_dict_wide(
    Cursor *cursor, ItemSchema schema, KeyTable &table, RowTemplate &row_template, DictRow &row) {
    return read_item_dict_by(WideVectors(), cursor, schema, table, row_template, row);
}

#endif

// Reads a row of items; the cursor may read just the row.
inline int read_item_dict(Cursor *cursor, ItemSchema schema, KeyTable &table, RowTemplate &row_template, DictRow &row) {
#if HISTSCAN_HAS_WIDE_VECTORS
    const bool has_lookbehind = cursor->pos - cursor->start >= wide_number_lookbehind;
    if (wide_vectors && has_lookbehind) return read_item_dict_wide(cursor, schema, table, row_template, row);
#endif
    return read_item_dict_by(NarrowVectors(), cursor, schema, table, row_template, row);
}

// Reads a row that is a JSON object; `is_quoted`: within a JSON string, as json_quoted.hpp has it.
inline int read_json_dict(Cursor *cursor, bool is_quoted, KeyTable &table, RowTemplate &row_template, DictRow &row) {
    const NarrowVectors vectors;
    JsonFormat<NarrowVectors> format(cursor, is_quoted, vectors);
    DictSink<false> sink(row, table);
    try {
        return read_members(format, table, row_template, sink);
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return OUTCOME_RAISED;
    }
}

}  // namespace histscan

#endif
