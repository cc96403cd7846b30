// The members of a row that is a JSON object, as text of its own or within a JSON string (see `json_quoted.hpp`).

#ifndef HISTSCAN_JSON_FORMAT_HPP
#define HISTSCAN_JSON_FORMAT_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/prefetch.hpp"
#include "json/json_quoted.hpp"
#include "keys/key_table.hpp"
#include "rows/members.hpp"

namespace histscan {

// The members of a JSON object as a Format of `read_members`.
template <typename Vectors>
class JsonFormat {
public:
    static constexpr bool has_lookbehind = false;

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

    // A key was interned with the white space after its colon, if there was any. `enter_long` skips other white space.
    HISTSCAN_INLINE bool enter(const Key &key) {
        const ptrdiff_t left = end_ - pos_;
        if (HISTSCAN_UNLIKELY(left < key.needed)) {
            if (key.length > left || !same_bytes(pos_, key.text, static_cast<size_t>(key.length))) return false;
        } else {
            if (!vectors_.begins_with(pos_, key.prefix)) return false;
            if (key.length > prefix_size && !has_same_rest(pos_, key.text, key.length, prefix_size)) return false;
        }
        value_ = pos_ + key.length;
        return true;
    }

    HISTSCAN_INLINE bool enter_long(const Key &key, bool has_entered) {
        if (!has_entered && !enter(key)) return false;
        value_ = skip_space_from(value_);
        return true;
    }

    HISTSCAN_INLINE FoundMember look_up(const KeyTable &table) {
        const ptrdiff_t length = vectors_.plain_key_length(pos_, end_, is_quoted_);
        if (HISTSCAN_LIKELY(length != 0)) {
            const Key *const key = table.guess(pos_, length);
            if (HISTSCAN_LIKELY(key != nullptr && key->length == length && enter(*key))) return {key, NEW_MEMBER};
        }
        cursor_->pos = pos_;
        if (!(is_quoted_ ? skip_quoted_key(cursor_) : skip_key(cursor_))) return {nullptr, MALFORMED_MEMBER};
        value_ = cursor_->pos;
        return {table.look_up(pos_, value_ - pos_, end_), NEW_MEMBER};
    }

    HISTSCAN_INLINE NextMember end_member() {
        if (HISTSCAN_LIKELY(end_ - pos_ > 1 && pos_[0] == ',' && pos_[1] > ' ')) {
            ++pos_;
            return NEXT_MEMBER;
        }
        const uint8_t *pos = pos_;
        const NextMember next = end_spaced_member(cursor_, &pos, end_);
        pos_ = pos;
        return next;
    }
    void end_row() { cursor_->pos = pos_; }

    const uint8_t *value() const { return value_; }
    HISTSCAN_INLINE const uint8_t *plain_value(const Key &) const { return value_; }
    // The bytes from `start` to `end` may be read.
    const uint8_t *start() const { return start_; }
    const uint8_t *end() const { return end_; }
    // Of a member that was looked up: its key, with the colon and white space.
    const uint8_t *key_begin() const { return pos_; }
    const uint8_t *key_end() const { return value_; }
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
    HISTSCAN_INLINE void take_value(const uint8_t *value_end) {
        prefetch_ahead(value_, value_end);
        pos_ = value_end;
    }
    // Skips the value if it is a plain number.
    HISTSCAN_INLINE bool skip_plain_value() {
        const ptrdiff_t length = vectors_.length_of_plain_number(value_, end_);
        if (length == 0) return false;
        pos_ = value_ + length;
        return true;
    }
    HISTSCAN_INLINE bool begins_number(const uint8_t *value) const {
        return histscan::begins_number(byte_at(value, end_));
    }
    // Where the text of the value begins if it is a string, else null; the byte at `value` follows the text, too.
    HISTSCAN_INLINE const uint8_t *string_text(const uint8_t *value) const {
        if (is_quoted_) return end_ - value >= 2 && *value == '\\' ? value + 2 : nullptr;
        return byte_at(value, end_) == '"' ? value + 1 : nullptr;
    }
    const uint8_t *value_last() const { return nullptr; }
    // Reads the value, which begins at `value`, and moves to its end, if it is a plain number.
    HISTSCAN_INLINE bool take_plain_number(const uint8_t *value, PlainNumber *number) {
        if (!begins_number(value)) return false;
        const uint8_t *value_end = read_ended_number(value, end_, start_, number);
        if (value_end == nullptr) return false;
        pos_ = value_end;
        return true;
    }
    bool is_quoted() const { return is_quoted_; }
    void set_quoted(bool is_quoted) { is_quoted_ = is_quoted; }

private:
    const uint8_t *skip_space_from(const uint8_t *pos) const { return skip_space_until(pos, end_); }

    static const uint8_t *skip_space_until(const uint8_t *pos, const uint8_t *end) {
        while (is_space(byte_at(pos, end))) ++pos;
        return pos;
    }
    // As `end_member`, where white space or the row's end follows the value, or a fault.
    static HISTSCAN_NOINLINE NextMember end_spaced_member(Cursor *cursor, const uint8_t **pos, const uint8_t *end) {
        const uint8_t *comma = *pos = skip_space_until(*pos, end);
        const int byte = byte_at(comma, end);
        if (byte != ',' && byte != '}') {
            stop(cursor, JSON_COMMA_EXPECTED, comma);
            return NEXT_FAULT;
        }
        *pos = comma + 1;
        if (byte == '}') return NEXT_END;
        *pos = skip_space_until(*pos, end);
        return NEXT_MEMBER;
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
    bool is_quoted_;
};

}  // namespace histscan

#endif
