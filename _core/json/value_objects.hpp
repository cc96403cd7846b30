// Python objects from JSON text: exactly those that `json.loads` makes.

#ifndef HISTSCAN_VALUE_OBJECTS_HPP
#define HISTSCAN_VALUE_OBJECTS_HPP

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "json/json_skip.hpp"
#include "json/json_text.hpp"
#include "json/string_objects.hpp"
#include "keys/key_table.hpp"

namespace histscan {

// What decoding needs besides the text. The functions that take it need the GIL, and return null (or false) with an
// exception or, if there is none, with a fault in the cursor.
struct ValueContext {
    KeyTable *keys;         // the keys of objects, as written from the opening quote to the value
    PyObject *key_objects;  // a list: the str of each
    // True if surrogates written as UTF-8 are accepted: only where an enclosing string's escapes have been resolved.
    bool allow_surrogates;
    // Adds a key to `keys` and `key_objects`; returns its index, or `unknown_key`; -2 with an exception.
    int32_t (*intern_key)(void *owner, const uint8_t *text, size_t length, PyObject *key);
    void *owner;
    // The int of TOKEN_BIG_INTEGER.
    PyObject *(*big_integer)(Cursor *cursor, const Token *token);
};

inline PyObject *new_reference(PyObject *object) {
    Py_INCREF(object);
    return object;
}

// The values of arrays that are not complete, each array's above those of the array around it.
class OpenValues {
public:
    ~OpenValues() { release(0); }

    size_t size() const { return size_; }
    // Takes ownership of the value; returns false with an exception if there is no memory.
    HISTSCAN_INLINE bool push(PyObject *value) {
        if (HISTSCAN_UNLIKELY(size_ == room_) && !grow()) {
            Py_DECREF(value);
            return false;
        }
        values_[size_++] = value;
        return true;
    }
    // Makes a list of the values from `first` on.
    PyObject *take_list(size_t first) {
        PyObject *list = PyList_New(static_cast<Py_ssize_t>(size_ - first));
        if (list == nullptr) return nullptr;
        for (size_t place = first; place < size_; ++place) {
            PyList_SET_ITEM(list, static_cast<Py_ssize_t>(place - first), values_[place]);
        }
        size_ = first;
        return list;
    }
    void release(size_t first) {
        while (size_ > first) Py_DECREF(values_[--size_]);
    }

private:
    HISTSCAN_NOINLINE bool grow() {
        std::unique_ptr<PyObject *[]> larger(new (std::nothrow) PyObject *[2 * room_]);
        if (!larger) {
            PyErr_NoMemory();
            return false;
        }
        std::memcpy(larger.get(), values_, size_ * sizeof *values_);
        own_values_.swap(larger);
        values_ = own_values_.get();
        room_ *= 2;
        return true;
    }

    static constexpr size_t first_room = 128;

    PyObject *first_values_[first_room];
    std::unique_ptr<PyObject *[]> own_values_;
    PyObject **values_ = first_values_;
    size_t size_ = 0, room_ = first_room;
};

// The state of reading one value.
struct ValueReading {
    OpenValues values;
    const Key *latest = nullptr;  // the latest key of an object; null if unknown
};

// Reads a key, its colon and the white space around them. Returns a new reference, and sets `found` to the key in the
// context's table, or null.
inline PyObject *look_up_key_object(Cursor *cursor, const ValueContext &context, const Key **found) {
    const uint8_t *begin = cursor->pos, *end = cursor->end;
    if (peek(cursor) != '"') {
        stop(cursor, JSON_KEY_EXPECTED, begin);
        return nullptr;
    }
    const uint8_t *pos = find_string_special(cursor->start, begin + 1, end);
    const bool is_plain = byte_at(pos, end) == '"';
    PyObject *text = nullptr;
    if (HISTSCAN_LIKELY(is_plain)) {
        cursor->pos = pos + 1;
    } else {
        text = read_special_string(cursor, context.allow_surrogates);
        if (text == nullptr) return nullptr;
    }
    if (HISTSCAN_LIKELY(end - cursor->pos > 1 && cursor->pos[0] == ':' && cursor->pos[1] > ' ')) {
        ++cursor->pos;
    } else if (!take_colon(cursor)) {
        Py_XDECREF(text);
        return nullptr;
    }
    const ptrdiff_t length = cursor->pos - begin;
    const Key *key = context.keys->look_up(begin, length, end);
    if (HISTSCAN_LIKELY(key != nullptr)) {
        Py_XDECREF(text);
        *found = key;
        return new_reference(PyList_GET_ITEM(context.key_objects, key->index));
    }
    *found = nullptr;
    if (text == nullptr) text = ascii_text(begin + 1, pos - begin - 1);
    if (text == nullptr) return nullptr;
    // Keys that are valid only where surrogates are allowed must not be interned for other text.
    if (is_plain || !context.allow_surrogates) {
        const int32_t index = context.keys->is_recurring(begin, length)
                                  ? context.intern_key(context.owner, begin, static_cast<size_t>(length), text)
                                  : unknown_key;
        if (index < unknown_key) {
            Py_DECREF(text);
            return nullptr;
        }
        if (index != unknown_key) *found = &(*context.keys)[index];
    }
    return text;
}

// As `look_up_key_object`; the index is `unknown_key` where there is no key.
inline PyObject *read_key_object(Cursor *cursor, const ValueContext &context, int32_t *index) {
    const Key *key = nullptr;
    PyObject *text = look_up_key_object(cursor, context, &key);
    *index = key == nullptr ? unknown_key : key->index;
    return text;
}

// As `read_key_object`, for nested objects, whose keys are predicted: each by the one before it in the text.
HISTSCAN_INLINE PyObject *read_nested_key(Cursor *cursor, const ValueContext &context, ValueReading &reading) {
    const Key *latest = reading.latest, *key = latest == nullptr ? nullptr : latest->next;
    const uint8_t *pos = cursor->pos;
    if (key != nullptr && cursor->end - pos >= key->needed && has_prefix(pos, key->prefix) &&
        (key->length <= prefix_size || has_same_rest(pos, key->text, key->length, prefix_size))) {
        reading.latest = key;
        cursor->pos += key->length;
        // There may be more white space than the key was interned with.
        if (HISTSCAN_UNLIKELY(is_space(peek(cursor)))) skip_space(cursor);
        return new_reference(PyList_GET_ITEM(context.key_objects, key->index));
    }
    PyObject *text = look_up_key_object(cursor, context, &reading.latest);
    if (latest != nullptr) latest->next = reading.latest;
    return text;
}

PyObject *read_container(Cursor *cursor, const ValueContext &context, ValueReading &reading, bool is_object);

HISTSCAN_INLINE PyObject *number_object(Cursor *cursor, const ValueContext &context, const Token &token) {
    if (token.kind == TOKEN_FLOAT64) return PyFloat_FromDouble(token.number);
    if (HISTSCAN_LIKELY(token.kind == TOKEN_INT64)) return PyLong_FromLongLong(token.integer);
    return context.big_integer(cursor, &token);
}

// Returns true, and skips the word, if the four bytes at the cursor are this.
HISTSCAN_INLINE bool take_word(Cursor *cursor, const char (&word)[5]) {
    if (cursor->end - cursor->pos < 4 || std::memcmp(cursor->pos, word, 4) != 0) return false;
    cursor->pos += 4;
    return true;
}

HISTSCAN_INLINE PyObject *plain_number_object(const PlainNumber &number) {
    if (number.kind == PLAIN_INTEGER) return PyLong_FromLongLong(static_cast<int64_t>(number.bits));
    double value;
    std::memcpy(&value, &number.bits, sizeof value);
    return PyFloat_FromDouble(value);
}

// Reads a number that is not plain, or has another end than most.
HISTSCAN_NOINLINE PyObject *read_rare_number(Cursor *cursor, const ValueContext &context) {
    Token token;
    token.begin = cursor->pos;
    return read_number(cursor, &token) ? number_object(cursor, context, token) : nullptr;
}

// Reads a value that is not a number; the cursor must be past any white space.
inline PyObject *read_other_value(Cursor *cursor, const ValueContext &context, ValueReading &reading) {
    switch (peek(cursor)) {
    case '"':
        return read_string_object(cursor, context.allow_surrogates);
    case '{':
        return read_container(cursor, context, reading, true);
    case '[':
        return read_container(cursor, context, reading, false);
    case 't':
        if (take_word(cursor, "true")) return new_reference(Py_True);
        break;
    case 'n':
        if (take_word(cursor, "null")) return new_reference(Py_None);
        break;
    case 'f':
        // The last four bytes of the word, where there are five.
        ++cursor->pos;
        if (take_word(cursor, "alse")) return new_reference(Py_False);
        --cursor->pos;
        break;
    case 'N':
        if (read_literal(cursor, "NaN", 3)) return PyFloat_FromDouble(not_a_number());
        return nullptr;
    case 'I':
        if (read_literal(cursor, "Infinity", 8)) return PyFloat_FromDouble(infinity());
        return nullptr;
    }
    stop(cursor, JSON_VALUE_EXPECTED, cursor->pos);
    return nullptr;
}

// Reads one value; the cursor must be past any white space.
HISTSCAN_INLINE PyObject *read_value(Cursor *cursor, const ValueContext &context, ValueReading &reading) {
    if (!begins_number(peek(cursor))) return read_other_value(cursor, context, reading);
    PlainNumber number;
    const uint8_t *number_end = read_ended_number(cursor->pos, cursor->end, cursor->start, &number);
    if (HISTSCAN_LIKELY(number_end != nullptr)) {
        cursor->pos = number_end;
        return plain_number_object(number);
    }
    return read_rare_number(cursor, context);
}

// Moves past a comma, or past the closing bracket if `is_closed`; returns false with a fault.
HISTSCAN_INLINE bool take_separator(Cursor *cursor, uint8_t bracket, bool *is_closed) {
    if (HISTSCAN_UNLIKELY(is_space(peek(cursor)))) skip_space(cursor);
    const int byte = peek(cursor);
    *is_closed = byte == bracket;
    if (byte != ',' && !*is_closed) return stop(cursor, JSON_COMMA_EXPECTED, cursor->pos);
    ++cursor->pos;
    if (byte == ',' && HISTSCAN_UNLIKELY(is_space(peek(cursor)))) skip_space(cursor);
    return true;
}

// Reads the values of an array, of which the cursor is past the opening bracket.
inline PyObject *read_array(Cursor *cursor, const ValueContext &context, ValueReading &reading) {
    OpenValues &values = reading.values;
    const size_t first = values.size();
    bool is_closed = peek(cursor) == ']';
    if (is_closed) ++cursor->pos;
    while (!is_closed) {
        PyObject *value = read_value(cursor, context, reading);
        if (value == nullptr || !values.push(value) || !take_separator(cursor, ']', &is_closed)) {
            values.release(first);
            return nullptr;
        }
    }
    return values.take_list(first);
}

// Reads one member of an object.
inline bool read_member(Cursor *cursor, const ValueContext &context, ValueReading &reading, PyObject *members) {
    PyObject *key = read_nested_key(cursor, context, reading);
    if (key == nullptr) return false;
    PyObject *value = read_value(cursor, context, reading);
    const bool is_set = value != nullptr && PyDict_SetItem(members, key, value) == 0;
    Py_XDECREF(value);
    Py_DECREF(key);
    return is_set;
}

// Reads the members of an object, of which the cursor is past the opening bracket.
inline PyObject *read_object(Cursor *cursor, const ValueContext &context, ValueReading &reading) {
    PyObject *members = PyDict_New();
    if (members == nullptr) return nullptr;
    bool is_closed = peek(cursor) == '}';
    if (is_closed) ++cursor->pos;
    while (!is_closed) {
        if (!read_member(cursor, context, reading, members) || !take_separator(cursor, '}', &is_closed)) {
            Py_DECREF(members);
            return nullptr;
        }
    }
    return members;
}

// Reads a container, as deeply nested as Python's own recursion limit allows; the cursor must be at its opening bracket.
//
// Beyond the limit there is no stack left for an exception of ours: the RecursionError propagates to the decoder of the
// row, which replaces it by `raise_too_deep`.
inline PyObject *read_container(Cursor *cursor, const ValueContext &context, ValueReading &reading, bool is_object) {
    if (Py_EnterRecursiveCall(" while decoding JSON")) return nullptr;
    ++cursor->pos;
    skip_space(cursor);
    PyObject *container = is_object ? read_object(cursor, context, reading) : read_array(cursor, context, reading);
    Py_LeaveRecursiveCall();
    return container;
}

// As `read_value`, for one value at a time. `key` is the key before it in the text; null if unknown.
HISTSCAN_INLINE PyObject *read_value_object(Cursor *cursor, const ValueContext &context, const Key *key = nullptr) {
    ValueReading reading;
    reading.latest = key;
    return read_value(cursor, context, reading);
}

// Reads the one value that is all of the cursor's text, as `json.loads` does. `key` is its key; null if unknown.
HISTSCAN_INLINE PyObject *read_document_object(Cursor *cursor, const ValueContext &context, const Key *key = nullptr) {
    if (HISTSCAN_UNLIKELY(is_space(peek(cursor)))) skip_space(cursor);
    PyObject *value;
    if (begins_number(peek(cursor))) {
        Token token;
        value = read_whole_token(cursor, &token) ? number_object(cursor, context, token) : nullptr;
    } else {
        ValueReading reading;
        reading.latest = key;
        value = read_other_value(cursor, context, reading);
    }
    if (HISTSCAN_LIKELY(cursor->pos == cursor->end) || value == nullptr) return value;
    skip_space(cursor);
    if (cursor->pos == cursor->end) return value;
    Py_DECREF(value);
    stop(cursor, JSON_TRAILING_DATA, cursor->pos);
    return nullptr;
}

}  // namespace histscan

#endif
