// The items of a row that is a protobuf message: key fields, then a value. Only this file knows their layout.
//
// `HistoryRow.history_items`, `HistoryRecord.item`, `SummaryRecord.update` and `ConfigRecord.update` are all field 1 of
// their message, and hold items alike.

#ifndef HISTSCAN_ITEM_FORMAT_HPP
#define HISTSCAN_ITEM_FORMAT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bytes/prefetch.hpp"
#include "json/json_text.hpp"
#include "keys/key_table.hpp"
#include "rows/members.hpp"
#include "wire/wire.hpp"

namespace histscan {

constexpr uint8_t item_tag = 1 << 3 | WIRE_BYTES;
constexpr uint8_t key_tag = 1 << 3 | WIRE_BYTES;
constexpr uint8_t nested_key_tag = 2 << 3 | WIRE_BYTES;
constexpr uint8_t removal_tag = 2 << 3 | WIRE_BYTES;
constexpr uint8_t step_tag = 2 << 3 | WIRE_BYTES;
constexpr uint32_t json_tag = 16 << 3 | WIRE_BYTES;
constexpr uint8_t json_tag_bytes[] = {0x82, 0x01};
constexpr uint32_t typed_none = 3, typed_number = 6, typed_text = 7, typed_json = 8;

// The messages that hold items, and where: both have the item's key in field 1 and its JSON in field 16.
enum ItemSchema {
    PARQUET_ITEM,  // ParquetHistoryItem: key 1, value_json 16
    RECORD_ITEM,   // HistoryItem: key 1, repeated nested_key 2, typed values 3 to 8, value_json 16
    UPDATE_ITEM,   // SummaryItem and ConfigItem: as HistoryItem; field 2 of their message is an item that is removed
};

// What the fields of one item are; of a field given more than once, the last.
struct ItemFields {
    const uint8_t *key_begin;  // field 1, null if absent
    const uint8_t *key_end;
    const uint8_t *json_begin;  // field 16, null if absent
    const uint8_t *json_end;
    uint32_t typed_field;        // the typed value given last, 3 to 8; 0 if there is none
    const uint8_t *typed_begin;  // its payload
    const uint8_t *typed_end;
};

// Reads the tag of `value_json`, or nothing.
inline bool take_json_tag(Cursor *cursor) {
    if (!has_text(cursor, json_tag_bytes, sizeof json_tag_bytes)) return false;
    cursor->pos += sizeof json_tag_bytes;
    return true;
}

// Skips the key fields that an item begins with.
inline bool skip_keys(Cursor *cursor, ItemSchema schema) {
    const uint8_t *field_end;
    while (peek(cursor) == key_tag || (schema != PARQUET_ITEM && peek(cursor) == nested_key_tag)) {
        ++cursor->pos;
        if (!read_length(cursor, &field_end)) return false;
        cursor->pos = field_end;
    }
    return true;
}

// Returns true if the tag is that of a typed value, with the wire type of its field.
inline bool is_typed(uint32_t tag, ItemSchema schema) {
    const uint32_t field = tag >> 3, wire_type = tag & 7;
    if (schema == PARQUET_ITEM || field < typed_none || field > typed_json) return false;
    if (field == typed_text || field == typed_json) return wire_type == WIRE_BYTES;
    return wire_type == (field == typed_number ? WIRE_FIXED64 : WIRE_VARINT);
}

// Reads every field of an item, in any order, and checks the UTF-8 of its strings.
inline bool read_item_fields(Cursor *cursor, ItemSchema schema, ItemFields *fields) {
    *fields = ItemFields{};
    while (cursor->pos < cursor->end) {
        uint32_t tag;
        const uint8_t *field_end;
        if (!read_tag(cursor, &tag)) return false;
        if (tag == key_tag || tag == json_tag || (schema != PARQUET_ITEM && tag == nested_key_tag)) {
            if (!read_length(cursor, &field_end)) return false;
            const uint8_t *invalid = find_invalid_utf8(cursor->pos, field_end);
            if (invalid != field_end) return stop(cursor, WIRE_UTF8_INVALID, invalid);
            if (tag == key_tag) {
                fields->key_begin = cursor->pos;
                fields->key_end = field_end;
            } else if (tag == json_tag) {
                fields->json_begin = cursor->pos;
                fields->json_end = field_end;
            }
            cursor->pos = field_end;
        } else if (is_typed(tag, schema)) {
            fields->typed_begin = cursor->pos;
            if ((tag & 7) == WIRE_BYTES) {
                if (!read_length(cursor, &field_end)) return false;
                fields->typed_begin = cursor->pos;
                cursor->pos = field_end;
            } else if (!skip_field(cursor, tag)) {
                return false;
            }
            fields->typed_field = tag >> 3;
            fields->typed_end = cursor->pos;
        } else if (!skip_field(cursor, tag)) {
            return false;
        }
    }
    return true;
}

// The size of what a short item has before its key fields, and between these and its value. Its length and its value's
// length have one byte each.
constexpr ptrdiff_t bytes_before_key = 2, bytes_before_value = 3;

// What a short item begins with: tag, length, the `length` bytes of key fields at `key`, tag of `value_json`.
inline Prefix32 item_prefix(const uint8_t *key, size_t length) {
    Prefix32 prefix{};
    const size_t room = sizeof prefix.bytes - bytes_before_key;
    prefix.bytes[0] = item_tag;
    std::memcpy(prefix.bytes + bytes_before_key, key, length < room ? length : room);
    for (size_t place = 0; place < sizeof json_tag_bytes && length + place < room; ++place) {
        prefix.bytes[bytes_before_key + length + place] = json_tag_bytes[place];
    }
    const size_t known = bytes_before_key + length + sizeof json_tag_bytes;
    prefix.ignored = 1u << 1 | (known < sizeof prefix.bytes ? ~uint32_t{0} << known : 0);
    return prefix;
}

// Adds an item's key; see KeyTable::add.
inline int32_t add_item_key(KeyTable &table, const uint8_t *key, ptrdiff_t length) {
    return table.add(key, length, item_prefix(key, static_cast<size_t>(length)), bytes_before_key + bytes_before_value);
}

// The items of a row as a Format of `read_members`. `Vectors` compares prefixes.
template <typename Vectors>
class ItemFormat {
public:
    // Of wide vectors, `wide_number_lookbehind` bytes before the row must be readable.
    static constexpr bool has_lookbehind = true;

    // The cursor may read the row, and nothing else.
    ItemFormat(Cursor *cursor, ItemSchema schema, const Vectors &vectors)
        : vectors_(vectors), cursor_(cursor), start_(cursor->start), pos_(cursor->pos), row_end_(cursor->end),
          schema_(schema) {}

    NextMember begin_row() const { return NEXT_MEMBER; }

    // Its known bytes are compared at once, and its two lengths must agree.
    HISTSCAN_INLINE bool enter(const Key &key) {
        const ptrdiff_t left = row_end_ - pos_;
        const ptrdiff_t value_offset = key.length + (bytes_before_key + bytes_before_value);
        if (HISTSCAN_LIKELY(left >= key.needed)) {
            if (!vectors_.begins_with(pos_, key.prefix)) return false;
        } else if (!begins_short_item(pos_, left, key)) {
            return false;
        }
        // A longer length than one byte has begins with one from 0x80 on: with its sign, it is not the sum of others.
        const ptrdiff_t length = static_cast<int8_t>(pos_[1]);
        if (length != value_offset - bytes_before_key + pos_[value_offset - 1] || length > left - bytes_before_key) {
            return false;
        }
        // The tag of `value_json` is the last that is known in advance.
        if (key.needed > prefix_size + 1) {
            const uint8_t *text = pos_ + bytes_before_key;
            if (text[key.length] != json_tag_bytes[0] || text[key.length + 1] != json_tag_bytes[1]) return false;
            if (!has_same_rest(text, key.text, key.length, prefix_size - bytes_before_key)) return false;
        }
        value_end_ = pos_ + bytes_before_key + length;
        return true;
    }

    // With lengths of any size.
    HISTSCAN_INLINE bool enter_long(const Key &key, bool has_entered) {
        if (HISTSCAN_LIKELY(has_entered || enter(key))) {
            value_ = plain_value(key);
            return true;
        }
        if (!enter_any(cursor_, pos_, row_end_, key)) return false;
        take_found();
        return true;
    }

    HISTSCAN_INLINE FoundMember look_up(const KeyTable &table) {
        const ptrdiff_t left = row_end_ - pos_;
        if (left >= prefix_size) {
            // The key's own tag and length are part of its fields.
            const ptrdiff_t key_length = 2 + pos_[bytes_before_key + 1];
            if (key_length <= left - bytes_before_key) {
                const Key *key = table.guess(pos_ + bytes_before_key, key_length);
                if (key == nullptr) {
                    if (is_ordinary(key_length)) {
                        value_ = pos_ + key_length + (bytes_before_key + bytes_before_value);
                        value_end_ = pos_ + bytes_before_key + pos_[1];
                        return {nullptr, NEW_MEMBER};
                    }
                } else if (enter(*key)) {
                    value_ = plain_value(*key);
                    return {key, NEW_MEMBER};
                }
            }
        }
        if (left == 0 || is_last_field(left)) return {nullptr, NO_MEMBER};
        const uint8_t *pos = pos_;
        const FoundMember found = look_up_any(cursor_, &pos, row_end_, schema_, table);
        pos_ = pos;
        take_found();
        return found;
    }

    // The row's end is found when the next member is looked up.
    HISTSCAN_INLINE NextMember end_member() {
        pos_ = value_end_;
        return NEXT_MEMBER;
    }
    void end_row() { cursor_->pos = cursor_->end = row_end_; }

    const uint8_t *value() const { return value_; }
    // Where the value begins of an item that `enter` has found.
    HISTSCAN_INLINE const uint8_t *plain_value(const Key &key) const {
        return pos_ + key.length + (bytes_before_key + bytes_before_value);
    }
    const uint8_t *value_end() const { return value_end_; }
    // The item as a message, and whether it is one that is removed.
    const uint8_t *item_begin() const {
        const uint8_t *begin = pos_ + 1;
        while (*begin >= 0x80) ++begin;
        return begin + 1;
    }
    bool is_removal() const { return schema_ == UPDATE_ITEM && *pos_ == removal_tag; }
    // The bytes from `start` to `end` may be read.
    const uint8_t *start() const { return start_; }
    const uint8_t *end() const { return row_end_; }
    // Of a member that was looked up, but not found: the key fields.
    const uint8_t *key_begin() const { return item_begin(); }
    const uint8_t *key_end() const {
        Cursor item = *cursor_;
        item.pos = item_begin();
        item.end = value_end_;
        skip_keys(&item, schema_);
        return item.pos;
    }

    // Points the cursor at the value, or at an item with a rare layout.
    Cursor *open_value() {
        cursor_->pos = value_;
        cursor_->end = value_end_;
        return cursor_;
    }
    // Continues where the reader of the value stopped, which is the value's end.
    void close_value() {}
    HISTSCAN_INLINE const uint8_t *find_value_end() const { return value_end_; }
    HISTSCAN_INLINE void take_value(const uint8_t *) { prefetch_ahead(pos_, value_end_); }
    HISTSCAN_INLINE bool skip_plain_value() { return true; }
    HISTSCAN_INLINE bool begins_number(const uint8_t *value) const {
        return histscan::begins_number(byte_at(value, value_end_));
    }
    // Where the text of the value begins if it is a string, else null; the byte at `value` follows the text, too.
    HISTSCAN_INLINE const uint8_t *string_text(const uint8_t *value) const {
        return byte_at(value, value_end_) == '"' ? value + 1 : nullptr;
    }
    // The last byte of the value, where that is known.
    HISTSCAN_INLINE const uint8_t *value_last() const { return value_end_ - 1; }
    // Reads the value, which begins at `value`, if it is a plain number.
    HISTSCAN_INLINE bool take_plain_number(const uint8_t *value, PlainNumber *number) const {
        if (!begins_number(value)) return false;
        number->kind = vectors_.template read_number<has_lookbehind>(value, value_end_, start_, &number->bits);
        return number->kind != NOT_PLAIN;
    }
    bool is_quoted() const { return false; }
    void set_quoted(bool) {}

private:
    // Continues with the value, or the item with a rare layout, that the cursor may now read.
    void take_found() {
        value_ = cursor_->pos;
        value_end_ = cursor_->end;
    }

    // Returns true if the item has one short key, whose field has `key_length` bytes, then a short value.
    HISTSCAN_INLINE bool is_ordinary(ptrdiff_t key_length) const {
        const ptrdiff_t left = row_end_ - pos_, value_offset = key_length + (bytes_before_key + bytes_before_value);
        if (value_offset > left || pos_[0] != item_tag || pos_[bytes_before_key] != key_tag) return false;
        const uint8_t *key_end = pos_ + bytes_before_key + key_length;
        if (key_end[0] != json_tag_bytes[0] || key_end[1] != json_tag_bytes[1]) return false;
        // As in `enter`: a longer length than one byte has is negative. That of the key must be short, too.
        const ptrdiff_t length = static_cast<int8_t>(pos_[1]);
        return length == value_offset - bytes_before_key + pos_[value_offset - 1] && length <= left - bytes_before_key;
    }

    // Returns true if the `left` bytes of the row are the `step` of a HistoryRecord, which comes after its items.
    bool is_last_field(ptrdiff_t left) const {
        return schema_ == RECORD_ITEM && left >= 2 && left < 0x80 && pos_[0] == step_tag && pos_[1] == left - 2;
    }

    // The following are static, so that the row's loop keeps its state in registers.

    // Compares the `left` bytes of a row's end, which are too few for a vector, with what an item begins with.
    static HISTSCAN_NOINLINE bool begins_short_item(const uint8_t *pos, ptrdiff_t left, const Key &key) {
        if (key.length > left - (bytes_before_key + bytes_before_value) || pos[0] != item_tag) return false;
        const uint8_t *key_end = pos + bytes_before_key + key.length;
        if (key_end[0] != json_tag_bytes[0] || key_end[1] != json_tag_bytes[1]) return false;
        return same_bytes(pos + bytes_before_key, key.text, static_cast<size_t>(key.length));
    }

    // Has the cursor read the value of the item at `pos` if it has this key.
    static HISTSCAN_NOINLINE bool enter_any(
        Cursor *cursor, const uint8_t *pos, const uint8_t *row_end, const Key &key) {
        Cursor item = *cursor;
        const uint8_t *item_end, *value_end;
        item.pos = pos;
        item.end = row_end;
        if (peek(&item) != item_tag) return false;
        ++item.pos;
        if (!read_length(&item, &item_end)) return false;
        item.end = item_end;
        if (!has_text(&item, key.text, static_cast<size_t>(key.length))) return false;
        item.pos += key.length;
        if (!take_json_tag(&item) || !read_length(&item, &value_end) || value_end != item_end) return false;
        cursor->pos = item.pos;
        cursor->end = item_end;
        return true;
    }

    // Has the cursor read the next item's value, whatever its lengths, or an item with a rare layout; skips fields that
    // are not items.
    static HISTSCAN_NOINLINE FoundMember look_up_any(
        Cursor *cursor, const uint8_t **pos, const uint8_t *row_end, ItemSchema schema, const KeyTable &table) {
        cursor->pos = *pos;
        cursor->end = row_end;
        while (cursor->pos < row_end) {
            uint32_t tag;
            const uint8_t *item_end, *json_end;
            *pos = cursor->pos;
            if (!read_tag(cursor, &tag)) return {nullptr, MALFORMED_MEMBER};
            const bool is_removal = schema == UPDATE_ITEM && tag == removal_tag;
            if (tag != item_tag && !is_removal) {
                if (!skip_field(cursor, tag)) return {nullptr, MALFORMED_MEMBER};
                continue;
            }
            if (!read_length(cursor, &item_end)) return {nullptr, MALFORMED_MEMBER};
            const uint8_t *begin = cursor->pos;
            cursor->end = item_end;
            if (is_removal) return {nullptr, ODD_MEMBER};
            if (!skip_keys(cursor, schema)) return {nullptr, MALFORMED_MEMBER};
            const uint8_t *key_end = cursor->pos;
            if (take_json_tag(cursor) && read_length(cursor, &json_end) && json_end == item_end) {
                return {table.look_up(begin, key_end - begin, item_end), NEW_MEMBER};
            }
            cursor->fault = NO_FAULT;
            cursor->pos = begin;
            return {nullptr, ODD_MEMBER};
        }
        return {nullptr, NO_MEMBER};
    }

    Vectors vectors_;
    Cursor *cursor_;
    const uint8_t *start_;
    const uint8_t *pos_;  // the item's tag
    const uint8_t *row_end_;
    const uint8_t *value_ = nullptr, *value_end_ = nullptr;  // the item's end is its value's
    ItemSchema schema_;
};

}  // namespace histscan

#endif
