// Dict rows as a Sink of `read_members`: values become objects here, in the loop; new keys and what is rare are for
// functions of a Cython module.

#ifndef HISTSCAN_DICT_SINK_HPP
#define HISTSCAN_DICT_SINK_HPP

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <new>

#include "bytes/number_readers.hpp"
#include "json/value_objects.hpp"
#include "rows/json_format.hpp"
#include "wire/item_format.hpp"

namespace histscan {

// A row while it is read. The functions return an Outcome.
struct DictRow {
    PyObject *members;            // the dict
    const ValueContext *context;  // for values
    PyObject *keys;               // a list: the object of each key of the table
    PyObject *new_key;            // the latest key without an index
    void *self;
    // Interns the key spelt in [begin, end), and sets `index`, and `new_key` if that is unknown_key.
    int (*learn_key)(
        void *self, Cursor *value, const uint8_t *begin, const uint8_t *end, int32_t *index, PyObject **new_key);
    // Puts a value under a path: a tuple of names.
    int (*put_path)(void *self, PyObject *path, PyObject *value);
    // Reads a member with a rare layout, by all the rules of its encoding.
    int (*put_rare_member)(void *self, Cursor *member, bool is_removal);
    // Only the first `count` members of the row are the predicted ones: sets `members` to a dict of these.
    int (*leave)(void *self, size_t count, PyObject **members);
};

// `is_document`: a value is all that the cursor may read, white space included.
template <bool is_document>
class DictSink {
public:
    static constexpr bool has_plain = false;

    explicit DictSink(DictRow &row) : row_(row) {}

    template <typename Format>
    bool put_plain(Format &, const Key &, const uint8_t *) const {
        return false;
    }
    template <typename Format>
    HISTSCAN_INLINE int put(Format &format, const Key &key) const {
        Cursor *cursor = format.open_value();
        PyObject *value =
            is_document ? read_document_object(cursor, *row_.context) : read_value_object(cursor, *row_.context);
        if (HISTSCAN_UNLIKELY(value == nullptr)) return PyErr_Occurred() ? OUTCOME_RAISED : OUTCOME_SLOW;
        format.close_value();
        // Borrowed: whoever reads the row holds the keys, and the dict.
        PyObject *name = key.index == unknown_key ? row_.new_key : PyList_GET_ITEM(row_.keys, key.index);
        int outcome = OUTCOME_DONE;
        if (HISTSCAN_UNLIKELY(PyTuple_CheckExact(name))) {
            outcome = row_.put_path(row_.self, name, value);
        } else if (HISTSCAN_UNLIKELY(PyDict_SetItem(row_.members, name, value) < 0)) {
            outcome = OUTCOME_RAISED;
        }
        Py_DECREF(value);
        return outcome;
    }
    template <typename Format>
    HISTSCAN_INLINE int learn(Format &format, int32_t *index) const {
        int32_t learned = unknown_key;
        const int outcome = row_.learn_key(
            row_.self, format.open_value(), format.key_begin(), format.key_end(), &learned, &row_.new_key);
        format.close_value();
        *index = learned;
        return outcome;
    }
    template <typename Format>
    HISTSCAN_INLINE int put_rare(Format &format) const {
        const int outcome = row_.put_rare_member(row_.self, format.open_value(), format.is_removal());
        format.close_value();
        return outcome;
    }
    HISTSCAN_INLINE int leave_template(size_t count) const { return row_.leave(row_.self, count, &row_.members); }

private:
    DictRow &row_;
};

// Reads a row of items.
HISTSCAN_INLINE int read_item_dict(
    Cursor *cursor, ItemSchema schema, KeyTable &table, RowTemplate &row_template, DictRow &row) {
    const NarrowVectors vectors;
    ItemFormat<NarrowVectors> format(cursor, schema, vectors);
    DictSink<true> sink(row);
    try {
        return read_members(format, table, row_template, sink);
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return OUTCOME_RAISED;
    }
}

// Reads a row that is a JSON object.
HISTSCAN_INLINE int read_json_dict(Cursor *cursor, KeyTable &table, RowTemplate &row_template, DictRow &row) {
    const NarrowVectors vectors;
    JsonFormat<NarrowVectors> format(cursor, false, vectors);
    DictSink<false> sink(row);
    try {
        return read_members(format, table, row_template, sink);
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return OUTCOME_RAISED;
    }
}

}  // namespace histscan

#endif
