// What the next item of a row will be if the row brings the keys of the row before in the same order.
//
// An ordinary item is a tag, its length in one byte, its key fields, the two bytes of the tag of `value_json`, that
// field's length in one byte, and the value. All of it but the two lengths and the value is known from the row before,
// so that two vectors compare it at once, and the lengths have to agree with each other.

#ifndef HISTSCAN_EXPECTED_ITEM_HPP
#define HISTSCAN_EXPECTED_ITEM_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace histscan {

struct ExpectedItem {
    alignas(16) uint8_t head[32];   // the first bytes of the item, as far as they are known
    alignas(16) uint8_t beyond[32]; // of each of these, all ones if it is not: the length, and what follows the value's tag
    const uint8_t *key;             // the key fields; whoever expects the item keeps them alive
    ptrdiff_t key_length;
    ptrdiff_t needed;               // bytes of a row that have to be left for the item to be looked at
    int32_t column;                 // where the value goes at once; or UNREAD_ITEM, or OTHER_ITEM
};

// How much of an ordinary item is not its key fields and its value: in front of the one and in front of the other.
constexpr ptrdiff_t bytes_before_key = 2, bytes_before_value = 3;

// `key` are the `key_length` bytes of the item's key fields, `tag` is the item's own.
inline ExpectedItem expect_item(const uint8_t *key, size_t key_length, uint8_t tag, int32_t column) {
    ExpectedItem item{};
    const uint8_t value_tag[2] = {0x82, 0x01};
    for (size_t place = 0; place < sizeof item.head; ++place) {
        const size_t behind_key = place - bytes_before_key - key_length;
        if (place == 0) {
            item.head[place] = tag;
        } else if (place >= bytes_before_key && place < bytes_before_key + key_length) {
            item.head[place] = key[place - bytes_before_key];
        } else if (place >= bytes_before_key && behind_key < sizeof value_tag) {
            item.head[place] = value_tag[behind_key];
        } else {
            item.beyond[place] = 0xFF;
        }
    }
    item.key = key;
    item.key_length = static_cast<ptrdiff_t>(key_length);
    item.needed = item.key_length + bytes_before_key + bytes_before_value;
    if (item.needed < static_cast<ptrdiff_t>(sizeof item.head)) item.needed = sizeof item.head;
    item.column = column;
    return item;
}

// Whether the bytes at `pos`, of which there are `item.needed`, are those that the item begins with.
inline bool begins_expected_item(const uint8_t *pos, const ExpectedItem &item) {
    constexpr ptrdiff_t compared = sizeof item.head;
#if defined(__SSE2__)
    const auto same = [pos, &item](int place) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(pos + place));
        const __m128i wanted = _mm_load_si128(reinterpret_cast<const __m128i *>(item.head + place));
        const __m128i beyond = _mm_load_si128(reinterpret_cast<const __m128i *>(item.beyond + place));
        return _mm_or_si128(_mm_cmpeq_epi8(bytes, wanted), beyond);
    };
    if (_mm_movemask_epi8(_mm_and_si128(same(0), same(16))) != 0xFFFF) return false;
#else
    uint8_t differences = 0;
    for (ptrdiff_t place = 0; place < compared; ++place) {
        differences |= static_cast<uint8_t>((pos[place] ^ item.head[place]) & ~item.beyond[place]);
    }
    if (differences) return false;
#endif
    const uint8_t *key_end = pos + bytes_before_key + item.key_length;
    if (key_end + 2 - pos <= compared) return true;
    return key_end[0] == 0x82 && key_end[1] == 0x01 && std::memcmp(pos + bytes_before_key, item.key, static_cast<size_t>(item.key_length)) == 0;
}

// Where the item at `pos` ends, if it is the expected one and an ordinary one; null if another reader has to look.
// Its value then is all that follows its key fields and `bytes_before_value`.
inline const uint8_t *expected_item_end(const uint8_t *pos, const uint8_t *end, const ExpectedItem &item) {
    if (end - pos < item.needed || !begins_expected_item(pos, item)) return nullptr;
    const ptrdiff_t length = pos[1];
    const ptrdiff_t value_length = pos[bytes_before_key + item.key_length + bytes_before_value - 1];
    // A longer length than one byte has begins with one from 0x80 on.
    if (length != item.key_length + bytes_before_value + value_length || length >= 0x80) return nullptr;
    return length <= end - pos - bytes_before_key ? pos + bytes_before_key + length : nullptr;
}

// Where the value of the item at `pos` begins, of which `expected_item_end` has found the end.
inline const uint8_t *expected_value(const uint8_t *pos, const ExpectedItem &item) {
    return pos + bytes_before_key + item.key_length + bytes_before_value;
}

}  // namespace histscan

#endif
