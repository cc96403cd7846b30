// The items of a row that is a protobuf message: key fields, then a value. Only this file knows their layout.
//
// `HistoryRow.history_items`, `HistoryRecord.item`, `SummaryRecord.update` and `ConfigRecord.update` are all field 1 of
// their message, and hold items alike.

#ifndef HISTSCAN_ITEM_FORMAT_HPP
#define HISTSCAN_ITEM_FORMAT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "keys/key_table.hpp"
#include "rows/members.hpp"
#include "wire/wire.hpp"

namespace histscan {

constexpr uint8_t item_tag = 1 << 3 | WIRE_BYTES;
constexpr uint8_t key_tag = 1 << 3 | WIRE_BYTES;
constexpr uint8_t nested_key_tag = 2 << 3 | WIRE_BYTES;
constexpr uint8_t removal_tag = 2 << 3 | WIRE_BYTES;
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

// Returns true if two keys of the same length, 8 bytes or more, are equal from the byte at `place` on. Does not call
// std::memcmp: vectors would not stay in registers.
HISTSCAN_INLINE bool has_same_rest(const uint8_t *left, const uint8_t *right, ptrdiff_t length, ptrdiff_t place) {
    constexpr ptrdiff_t word_size = 8;
    for (; place < length; place += word_size) {
        const ptrdiff_t from = place < length - word_size ? place : length - word_size;
        if (load_word(left + from) != load_word(right + from)) return false;
    }
    return true;
}

// The items of a row as a Format of `read_members`. `Vectors` compares prefixes.
template <typename Vectors>
class ItemFormat {
public:
    // The cursor may read the row, and nothing else.
    ItemFormat(Cursor *cursor, ItemSchema schema, const Vectors &vectors)
        : vectors_(vectors), cursor_(cursor), start_(cursor->start), pos_(cursor->pos), row_end_(cursor->end),
          schema_(schema) {}

    NextMember begin_row() const { return NEXT_MEMBER; }

    // Its known bytes are compared at once, and its two lengths must agree.
    HISTSCAN_INLINE bool enter(const Key &key) {
        const ptrdiff_t left = row_end_ - pos_;
        const ptrdiff_t value_offset = key.length + (bytes_before_key + bytes_before_value);
        if (left < key.needed || !vectors_.begins_with(pos_, key.prefix)) return false;
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

    // With lengths of any size, and near the row's end.
    HISTSCAN_INLINE bool enter_long(const Key &key) {
        if (enter(key)) {
            value_ = plain_value(key);
            return true;
        }
        // The copy leaves this one's fields in registers.
        ItemFormat copy = *this;
        const bool has_entered = copy.enter_any(key);
        *this = copy;
        return has_entered;
    }

    HISTSCAN_INLINE int32_t look_up(const KeyTable &table) {
        const ptrdiff_t left = row_end_ - pos_;
        if (left >= prefix_size) {
            // The key's own tag and length are part of its fields.
            const ptrdiff_t key_length = 2 + pos_[bytes_before_key + 1];
            if (key_length <= left - bytes_before_key) {
                const int32_t index = table.guess(pos_ + bytes_before_key, key_length);
                if (index != unknown_key && enter(table[index])) {
                    value_ = plain_value(table[index]);
                    return index;
                }
            }
        }
        if (left == 0) return no_member;
        ItemFormat copy = *this;
        const int32_t index = copy.look_up_any(table);
        *this = copy;
        return index;
    }

    HISTSCAN_INLINE NextMember end_member() {
        pos_ = value_end_;
        return pos_ == row_end_ ? NEXT_END : NEXT_MEMBER;
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
    bool is_removal() const { return is_removal_; }
    const uint8_t *start() const { return start_; }
    // Of a member that was looked up, but not found: the key fields.
    const uint8_t *key_begin() const { return key_begin_; }
    const uint8_t *key_end() const { return key_end_; }

    // Points the cursor at the value, or at an item with a rare layout.
    Cursor *open_value() {
        cursor_->pos = value_;
        cursor_->end = value_end_;
        return cursor_;
    }
    // Continues where the reader of the value stopped, which is the value's end.
    void close_value() {}
    HISTSCAN_INLINE const uint8_t *find_value_end() const { return value_end_; }
    HISTSCAN_INLINE void take_value(const uint8_t *) {}
    HISTSCAN_INLINE bool skip_plain_value() { return true; }
    bool is_quoted() const { return false; }
    void set_quoted(bool) {}

private:
    HISTSCAN_NOINLINE bool enter_any(const Key &key) {
        Cursor item = *cursor_;
        const uint8_t *item_end;
        item.pos = pos_;
        item.end = row_end_;
        if (peek(&item) != item_tag) return false;
        ++item.pos;
        if (!read_length(&item, &item_end)) return false;
        item.end = item_end;
        if (!has_text(&item, key.text, static_cast<size_t>(key.length))) return false;
        item.pos += key.length;
        if (!take_json_tag(&item) || !read_length(&item, &value_end_) || value_end_ != item_end) return false;
        value_ = item.pos;
        return true;
    }

    // Moves to the next item's value, whatever its lengths, and skips fields that are not items.
    HISTSCAN_NOINLINE int32_t look_up_any(const KeyTable &table) {
        cursor_->pos = pos_;
        cursor_->end = row_end_;
        while (cursor_->pos < row_end_) {
            uint32_t tag;
            pos_ = cursor_->pos;
            if (!read_tag(cursor_, &tag)) return malformed_member;
            is_removal_ = schema_ == UPDATE_ITEM && tag == removal_tag;
            if (tag != item_tag && !is_removal_) {
                if (!skip_field(cursor_, tag)) return malformed_member;
                continue;
            }
            if (!read_length(cursor_, &value_end_)) return malformed_member;
            value_ = key_begin_ = cursor_->pos;
            if (is_removal_) return odd_member;
            cursor_->end = value_end_;
            if (!skip_keys(cursor_, schema_)) return malformed_member;
            key_end_ = cursor_->pos;
            const uint8_t *json_end;
            if (take_json_tag(cursor_) && read_length(cursor_, &json_end) && json_end == value_end_) {
                value_ = cursor_->pos;
                return table.find(key_begin_, key_end_ - key_begin_, value_end_);
            }
            cursor_->fault = NO_FAULT;
            return odd_member;
        }
        return no_member;
    }

    Vectors vectors_;
    Cursor *cursor_;
    const uint8_t *start_;
    const uint8_t *pos_;  // the item's tag
    const uint8_t *row_end_;
    const uint8_t *value_ = nullptr, *value_end_ = nullptr;  // the item's end is its value's
    const uint8_t *key_begin_ = nullptr, *key_end_ = nullptr;
    bool is_removal_ = false;
    ItemSchema schema_;
};

}  // namespace histscan

#endif
