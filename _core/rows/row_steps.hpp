// The step of a row in a `.wandb` log, where the row is what wandb's core writes: the other rows are for row_steps.pxd.

#ifndef HISTSCAN_ROW_STEPS_HPP
#define HISTSCAN_ROW_STEPS_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/bytes.hpp"
#include "wire/item_format.hpp"

namespace histscan {

// Reads the value of a short `_step` item of `size` bytes whose first four letters have been compared, if it is a whole
// number without a sign that fits an int64.
inline bool read_short_step(const uint8_t *item, ptrdiff_t size, int64_t *step) {
    // Tag, length, key field, tag of `value_json`, length.
    constexpr ptrdiff_t value_offset = 12, most_digits = 18;
    const uint8_t *value = item + value_offset, *end = item + size;
    const ptrdiff_t count = size - value_offset;
    if (count < 1 || count > most_digits || (item[2] != key_tag && item[2] != nested_key_tag)) return false;
    if (item[8] != 'p' || item[9] != json_tag_bytes[0] || item[10] != json_tag_bytes[1]) return false;
    if (item[11] != count) return false;
    if (*value == '0' && count > 1) return false;
    int64_t number = 0;
    for (; value < end; ++value) {
        const unsigned digit = *value - unsigned{'0'};
        if (digit > 9) return false;
        number = 10 * number + digit;
    }
    *step = number;
    return true;
}

// Returns true if [pos, end) is a `step` message with nothing but its number, or nothing.
inline bool is_step_message(const uint8_t *pos, const uint8_t *end) {
    constexpr uint8_t number_tag = 1 << 3 | WIRE_VARINT;
    constexpr ptrdiff_t longest = 3 + 10;
    const ptrdiff_t left = end - pos;
    if (left == 0) return true;
    if (left < 4 || left > longest || pos[0] != step_tag || pos[1] != left - 2 || pos[2] != number_tag) return false;
    for (pos += 3; pos < end - 1; ++pos) {
        if (*pos < 0x80) return false;
    }
    return *pos < 0x80;
}

// Reads the step of a row that is short items, one of which is `_step`, and then perhaps a `step` message. Returns
// false if the row is another one.
//
// Of the other items only the beginning is looked at: each takes about a dozen instructions.
inline bool read_usual_step(const uint8_t *pos, const uint8_t *end, int64_t *step) {
    // What a `_step` item begins with: tag, length, tag of a key field, its length, name.
    constexpr uint8_t step_item[] = {item_tag, 0, 0, 5, '_', 's', 't', 'e'};
    constexpr uint8_t tag_and_length[] = {0xFF, 0x80, 0, 0, 0, 0, 0, 0};
    constexpr uint8_t name[] = {0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    constexpr ptrdiff_t compared = sizeof step_item;
    bool has_step = false;
    ptrdiff_t left = end - pos;
    while (left >= compared) {
        const uint64_t different = load_word(pos) ^ load_word(step_item);
        if ((different & load_word(tag_and_length)) != 0) break;
        const ptrdiff_t size = bytes_before_key + pos[1];
        if (size > left) return false;
        if ((different & load_word(name)) == 0) {
            if (has_step || !read_short_step(pos, size, step)) return false;
            has_step = true;
        }
        pos += size;
        left -= size;
    }
    return has_step && is_step_message(pos, end);
}

}  // namespace histscan

#endif
