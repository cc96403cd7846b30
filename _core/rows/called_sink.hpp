// A Sink of `read_members` whose parts are functions of a Cython module: those that make Python objects.

#ifndef HISTSCAN_CALLED_SINK_HPP
#define HISTSCAN_CALLED_SINK_HPP

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <new>

#include "wire/item_format.hpp"
#include "bytes/number_readers.hpp"

namespace histscan {

// The functions return an Outcome.
struct CalledSink {
    static constexpr bool has_plain = false;

    void *self;
    // Reads the value of a known key.
    int (*put_value)(void *self, int32_t index, Cursor *value);
    // Interns the key spelt in [begin, end), and sets `index`: to unknown_key where it keeps the key for
    // one `put_value`.
    int (*learn_key)(void *self, Cursor *value, const uint8_t *begin, const uint8_t *end, int32_t *index);
    // Reads a member with a rare layout, by all the rules of its encoding.
    int (*put_rare_member)(void *self, Cursor *member, bool is_removal);
    // Only the first `count` members of the row are the predicted ones.
    int (*leave)(void *self, size_t count);

    template <typename Format>
    bool put_plain(Format &, const Key &, const uint8_t *) const {
        return false;
    }
    template <typename Format>
    HISTSCAN_INLINE int put(Format &format, const Key &key) const {
        const int outcome = put_value(self, key.index, format.open_value());
        format.close_value();
        return outcome;
    }
    template <typename Format>
    HISTSCAN_INLINE int learn(Format &format, int32_t *index) const {
        const int outcome = learn_key(self, format.open_value(), format.key_begin(), format.key_end(), index);
        format.close_value();
        return outcome;
    }
    template <typename Format>
    HISTSCAN_INLINE int put_rare(Format &format) const {
        const int outcome = put_rare_member(self, format.open_value(), format.is_removal());
        format.close_value();
        return outcome;
    }
    HISTSCAN_INLINE int leave_template(size_t count) const { return leave(self, count); }
};

// Reads a row of items.
HISTSCAN_INLINE int read_item_row(
    Cursor *cursor, ItemSchema schema, KeyTable &table, RowTemplate &row_template, const CalledSink &sink) {
    const NarrowVectors vectors;
    ItemFormat<NarrowVectors> format(cursor, schema, vectors);
    try {
        return read_members(format, table, row_template, sink);
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
        return OUTCOME_RAISED;
    }
}

}  // namespace histscan

#endif
