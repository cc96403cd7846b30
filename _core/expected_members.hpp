// The members of a JSON row that brings the keys of the row before in the same order: read in the fewest steps.

#ifndef HISTSCAN_EXPECTED_MEMBERS_HPP
#define HISTSCAN_EXPECTED_MEMBERS_HPP

#include <cstddef>
#include <cstdint>

#include "expected_keys.hpp"
#include "json_text.hpp"

namespace histscan {

struct ExpectedMember {
    TextHead head;
    ExpectedCells cells;
    const uint8_t *key;    // as written, from the opening quote to the value; whoever expects the member keeps it alive
    ptrdiff_t key_length;
};

inline ExpectedMember expect_member(const uint8_t *key, size_t key_length, int32_t column) {
    ExpectedMember member{};
    member.head = head_of(key, key_length);
    member.key = key;
    member.key_length = static_cast<ptrdiff_t>(key_length);
    member.cells.column = column;
    return member;
}

// Whether [pos, end) begins with the member's key; false if another reader has to look.
template <typename Vectors>
HISTSCAN_INLINE bool begins_expected_member(
    const Vectors &vectors, const uint8_t *pos, const uint8_t *end, const ExpectedMember &member) {
    constexpr ptrdiff_t compared = expected_head_size;
    if (end - pos < compared || !vectors.begins_with(pos, member.head)) return false;
    if (member.key_length <= compared) return true;
    return member.key_length <= end - pos && has_same_rest(pos, member.key, member.key_length, compared);
}

template <typename Vectors>
HISTSCAN_INLINE size_t add_members(
    const Vectors &vectors, const uint8_t **next, const uint8_t *end, const uint8_t *start,
    const ExpectedMember *expected, size_t count, size_t row, bool *is_closed) {
    const uint8_t *pos = *next;
    const ExpectedMember *member = expected;
    *is_closed = false;
    if (pos - start < Vectors::reach) return 0;
    while (member < expected + count) {
        if (!begins_expected_member(vectors, pos, end, *member)) {
            if (pos == end || !is_space(*pos)) break;
            ++pos;
            continue;
        }
        const uint8_t *value = pos + member->key_length;
        if (member->cells.column >= 0) {
            const uint8_t *value_end = value + vectors.length_of_number(value, end, start);
            if (value_end == value) break;
            const PlainKind kind = vectors.read_number(value, value_end, member->cells.bits + row);
            if (kind == NOT_PLAIN) break;
            member->cells.note(row, kind);
            pos = value_end;
            ++member;
            if (*pos == '}') {
                *is_closed = true;
                break;
            }
        } else {
            if (member->cells.column == other_column) break;
            const ptrdiff_t length = vectors.length_of_plain_number(value, end);
            if (length == 0) break;
            pos = value + length;
            ++member;
        }
        ++pos;
    }
    while (pos < end && is_space(*pos)) ++pos;
    *next = pos;
    return static_cast<size_t>(member - expected);
}

#if HISTSCAN_HAS_WIDE_VECTORS

HISTSCAN_WIDE inline size_t add_members_wide(
    const uint8_t **next, const uint8_t *end, const uint8_t *start, const ExpectedMember *expected, size_t count,
    size_t row, bool *is_closed) {
    return add_members(WideVectors(), next, end, start, expected, count, row, is_closed);
}

#endif

// Takes members as long as they have the expected keys and are plain numbers; returns how many it took. [next, end) are
// a row's bytes from a key on, of a reader whose bytes begin at `start`.
//
// `next` is moved to the key that follows the last member taken, behind a comma and white space; or, and then
// `is_closed` is true, to the object's closing brace. The numbers that are asked for become cells: `row` is one of
// those that `point_to_cells` has said can be put.
inline size_t add_expected_members(
    const uint8_t **next, const uint8_t *end, const uint8_t *start, const ExpectedMember *expected, size_t count,
    size_t row, bool *is_closed) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return add_members_wide(next, end, start, expected, count, row, is_closed);
#endif
    return add_members(NarrowVectors(), next, end, start, expected, count, row, is_closed);
}

}  // namespace histscan

#endif
