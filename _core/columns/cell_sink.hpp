// Cells of columns as a Sink of `read_members`. Plain numbers, texts, bools and null become cells here, in the loop; other
// values by a function of the column builder.

#ifndef HISTSCAN_CELL_SINK_HPP
#define HISTSCAN_CELL_SINK_HPP

#include <cstddef>
#include <cstdint>
#include <new>

#include "columns/column.hpp"
#include "columns/text_cells.hpp"
#include "wire/item_format.hpp"
#include "rows/json_format.hpp"
#include "bytes/number_readers.hpp"

namespace histscan {

// The parts of the sink that are functions of a Cython module; they return an Outcome.
struct CellCalls {
    void *self;
    // Reads any value of a key. For JSON in a string, the cursor may read text that is not quoted from then on.
    int (*put_value)(void *self, const KeyTarget &target, Cursor *value, bool *is_quoted);
    // As in CalledSink; there must be an index.
    int (*learn_key)(void *self, Cursor *value, const uint8_t *begin, const uint8_t *end, int32_t *index);
    bool notes_nulls;  // `put_value` must see each null
};

template <typename Vectors>
class CellSink {
public:
    static constexpr bool has_plain = true;

    CellSink(const Vectors &vectors, size_t row, const CellCalls &calls, KeyTable &table)
        : vectors_(vectors), row_(row), calls_(calls), table_(table) {}

    template <typename Format>
    HISTSCAN_INLINE bool put_plain(Format &format, const Key &key, const uint8_t *value) {
        // One comparison, for the first two kinds.
        if (key.target.kind < TARGET_COLUMN) return format.skip_plain_value();
        if (key.target.kind > TARGET_COLUMN) return false;
        Column &column = *key.target.column;
        if (!format.begins_number(value)) return put_text_or_word(format, column, value);
        uint64_t *bits = column.bits.data() + row_;
        const uint8_t *value_end = format.find_value_end();
        const PlainKind kind =
            vectors_.template read_number<Format::has_lookbehind>(value, value_end, format.start(), bits);
        if (kind == NOT_PLAIN) return false;
        note_plain_number(column.tags[row_], column.type_flags, kind, *bits);
        format.take_value(value_end);
        return true;
    }
    template <typename Format>
    HISTSCAN_INLINE int put(Format &format, const Key &key) {
        bool is_quoted = format.is_quoted();
        const int outcome = calls_.put_value(calls_.self, key.target, format.open_value(), &is_quoted);
        format.close_value();
        format.set_quoted(is_quoted);
        // The value has made its column dense.
        if (key.target.kind == TARGET_SPARSE && key.target.column->is_dense) {
            table_.target(key.index).kind = TARGET_COLUMN;
        }
        return outcome;
    }
    template <typename Format>
    HISTSCAN_INLINE int learn(Format &format, int32_t *index) {
        int32_t learned = unknown_key;
        const int outcome =
            calls_.learn_key(calls_.self, format.open_value(), format.key_begin(), format.key_end(), &learned);
        format.close_value();
        *index = learned;
        return outcome == OUTCOME_DONE && learned == unknown_key ? OUTCOME_SLOW : outcome;
    }
    template <typename Format>
    int put_rare(Format &) {
        return OUTCOME_SLOW;
    }
    int leave_template(size_t) { return OUTCOME_DONE; }

private:
    template <typename Format>
    HISTSCAN_INLINE bool put_text_or_word(Format &format, Column &column, const uint8_t *value) {
        const uint8_t *const text = format.string_text(value), *const last = format.value_last();
        const uint8_t *value_end;
        if (text != nullptr) {
            value_end = put_plain_text(vectors_, column, row_, format.start(), text, format.end(), *value, last);
            if (value_end == nullptr) return false;
            value_end += text - value;
        } else {
            value_end = put_plain_word(column, row_, value, format.end(), last, !calls_.notes_nulls);
            if (value_end == nullptr) return false;
        }
        format.take_value(value_end);
        return true;
    }

    Vectors vectors_;
    size_t row_;
    const CellCalls &calls_;
    KeyTable &table_;
};

// What is needed to add a row to columns: all of it belongs to the builder.
struct CellRow {
    KeyTable *table;  // its keys have targets
    RowTemplate *row_template;
    CellCalls calls;
    size_t row;  // every dense column has room for it
};

template <typename Vectors>
HISTSCAN_INLINE int read_item_cells(const Vectors &vectors, Cursor *cursor, ItemSchema schema, const CellRow &row) {
    ItemFormat<Vectors> format(cursor, schema, vectors);
    CellSink<Vectors> sink(vectors, row.row, row.calls, *row.table);
    try {
        return read_members(format, *row.table, *row.row_template, sink);
    } catch (const std::bad_alloc &) {
        return OUTCOME_SLOW;  // which raises if there still is no memory
    }
}

template <typename Vectors>
HISTSCAN_INLINE int read_json_cells(const Vectors &vectors, Cursor *cursor, bool is_quoted, const CellRow &row) {
    JsonFormat<Vectors> format(cursor, is_quoted, vectors);
    CellSink<Vectors> sink(vectors, row.row, row.calls, *row.table);
    try {
        return read_members(format, *row.table, *row.row_template, sink);
    } catch (const std::bad_alloc &) {
        return OUTCOME_SLOW;  // which raises if there still is no memory
    }
}

HISTSCAN_NOINLINE int read_item_cells_narrow(Cursor *cursor, ItemSchema schema, const CellRow &row) {
    return read_item_cells(NarrowVectors(), cursor, schema, row);
}
HISTSCAN_NOINLINE int read_json_cells_narrow(Cursor *cursor, bool is_quoted, const CellRow &row) {
    return read_json_cells(NarrowVectors(), cursor, is_quoted, row);
}

#if HISTSCAN_HAS_WIDE_VECTORS

HISTSCAN_WIDE inline int read_item_cells_wide(Cursor *cursor, ItemSchema schema, const CellRow &row) {
    return read_item_cells(WideVectors(), cursor, schema, row);
}
HISTSCAN_WIDE inline int read_json_cells_wide(Cursor *cursor, bool is_quoted, const CellRow &row) {
    return read_json_cells(WideVectors(), cursor, is_quoted, row);
}

#endif

// Makes cells of a row of items; the cursor may read just the row.
inline int add_item_cells(Cursor *cursor, ItemSchema schema, const CellRow &row) {
#if HISTSCAN_HAS_WIDE_VECTORS
    const bool has_lookbehind = cursor->pos - cursor->start >= wide_number_lookbehind;
    if (wide_vectors && has_lookbehind) return read_item_cells_wide(cursor, schema, row);
#endif
    return read_item_cells_narrow(cursor, schema, row);
}

// Makes cells of a row that is a JSON object.
inline int add_json_cells(Cursor *cursor, bool is_quoted, const CellRow &row) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return read_json_cells_wide(cursor, is_quoted, row);
#endif
    return read_json_cells_narrow(cursor, is_quoted, row);
}

}  // namespace histscan

#endif
