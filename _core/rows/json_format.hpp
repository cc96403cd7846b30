// The members of a row that is a JSON object, as text of its own or within a JSON string (see `json_quoted.hpp`).

#ifndef HISTSCAN_JSON_FORMAT_HPP
#define HISTSCAN_JSON_FORMAT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "json/json_quoted.hpp"
#include "keys/key_table.hpp"
#include "rows/members.hpp"

namespace histscan {

// The members of a JSON object as a Format of `read_members`.
template <typename Vectors>
class JsonFormat {
public:
    // The cursor must be past the row's white space, and may read beyond the row.
    JsonFormat(Cursor *cursor, bool is_quoted, const Vectors &vectors)
        : vectors_(vectors), cursor_(cursor), start_(cursor->start), end_(cursor->end), pos_(cursor->pos),
          is_quoted_(is_quoted) {}

    NextMember begin_row() {
        if (peek(cursor_) != '{') return fault(JSON_VALUE_EXPECTED);
        ++pos_;
        pos_ = skip_space_from(pos_);
        if (byte_at(pos_, end_) != '}') return NEXT_MEMBER;
        ++pos_;
        return NEXT_END;
    }

    // A key was interned with the white space after its colon, if there was any.
    HISTSCAN_INLINE bool enter(const Key &key) {
        const ptrdiff_t left = end_ - pos_;
        if (HISTSCAN_UNLIKELY(left < key.needed)) {
            if (key.length > left || !same_bytes(pos_, key.text, static_cast<size_t>(key.length))) return false;
        } else {
            if (!vectors_.begins_with(pos_, key.prefix)) return false;
            if (key.length > prefix_size) {
                const size_t rest = static_cast<size_t>(key.length - prefix_size);
                if (std::memcmp(pos_ + prefix_size, key.text + prefix_size, rest) != 0) return false;
            }
        }
        value_ = pos_ + key.length;
        if (HISTSCAN_UNLIKELY(byte_at(value_, end_) <= ' ')) value_ = skip_space_from(value_);
        return true;
    }

    HISTSCAN_INLINE bool enter_long(const Key &key) { return enter(key); }

    HISTSCAN_INLINE int32_t look_up(const KeyTable &table) {
        key_begin_ = cursor_->pos = pos_;
        if (!(is_quoted_ ? skip_quoted_key(cursor_) : skip_key(cursor_))) return malformed_member;
        key_end_ = value_ = cursor_->pos;
        return table.find(key_begin_, key_end_ - key_begin_, end_);
    }

    HISTSCAN_INLINE NextMember end_member() {
        int byte = byte_at(pos_, end_);
        if (HISTSCAN_UNLIKELY(byte != ',')) {
            pos_ = skip_space_from(pos_);
            byte = byte_at(pos_, end_);
            if (byte == '}') {
                ++pos_;
                return NEXT_END;
            }
            if (byte != ',') return fault(JSON_COMMA_EXPECTED);
        }
        ++pos_;
        if (HISTSCAN_UNLIKELY(byte_at(pos_, end_) <= ' ')) pos_ = skip_space_from(pos_);
        return NEXT_MEMBER;
    }
    void end_row() { cursor_->pos = pos_; }

    const uint8_t *value() const { return value_; }
    HISTSCAN_INLINE const uint8_t *plain_value(const Key &) const { return value_; }
    const uint8_t *start() const { return start_; }
    const uint8_t *key_begin() const { return key_begin_; }
    const uint8_t *key_end() const { return key_end_; }
    bool is_removal() const { return false; }

    // Points the cursor at the value; the reader of the value must move it to the end.
    Cursor *open_value() {
        cursor_->pos = value_;
        return cursor_;
    }
    void close_value() {
        pos_ = cursor_->pos;
        // A container within a string has been unquoted, with all that follows it.
        start_ = cursor_->start;
        end_ = cursor_->end;
    }

    // Where the value ends if it is a number that a comma or a closing brace follows; else where it begins.
    HISTSCAN_INLINE const uint8_t *find_value_end() const {
        return value_ + vectors_.length_of_number(value_, end_, start_);
    }
    // Moves to the end of the value.
    HISTSCAN_INLINE void take_value(const uint8_t *value_end) { pos_ = value_end; }
    // Skips the value if it is a plain number.
    HISTSCAN_INLINE bool skip_plain_value() {
        const ptrdiff_t length = vectors_.length_of_plain_number(value_, end_);
        if (length == 0) return false;
        pos_ = value_ + length;
        return true;
    }
    bool is_quoted() const { return is_quoted_; }
    void set_quoted(bool is_quoted) { is_quoted_ = is_quoted; }

private:
    const uint8_t *skip_space_from(const uint8_t *pos) const {
        while (is_space(byte_at(pos, end_))) ++pos;
        return pos;
    }
    NextMember fault(Fault fault) {
        stop(cursor_, fault, pos_);
        return NEXT_FAULT;
    }

    Vectors vectors_;
    Cursor *cursor_;
    const uint8_t *start_, *end_;
    const uint8_t *pos_;  // where the member begins, or what follows it
    const uint8_t *value_ = nullptr;
    const uint8_t *key_begin_ = nullptr, *key_end_ = nullptr;
    bool is_quoted_;
};

}  // namespace histscan

#endif
