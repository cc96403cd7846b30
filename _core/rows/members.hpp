// One way to read a row: its members, one after the other, from an encoding into a sink.
//
// Three tiers. A member is *predicted*: the rows before say which key is next, and what the encoding writes around it
// is compared in one go. Or it is *looked up*: its key is found in the table by its bytes. Or the row, or that member,
// takes the *slow path*: the decoder of dict rows, which also raises every error.

#ifndef HISTSCAN_MEMBERS_HPP
#define HISTSCAN_MEMBERS_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/compiler.hpp"
#include "keys/key_table.hpp"
#include "keys/row_template.hpp"

namespace histscan {

// The outcome of a row, or of a member.
enum Outcome {
    OUTCOME_RAISED = -1,  // a Python exception is set
    OUTCOME_SLOW = 0,     // it is malformed, or legal but rare: for the slow path
    OUTCOME_DONE = 1,
};

// What comes next in a row.
enum NextMember {
    NEXT_MEMBER,
    NEXT_END,
    NEXT_FAULT,  // the row is malformed; the cursor has the fault
};

// What `Format::look_up` returns instead of a key's index.
constexpr int32_t new_key = -1;         // the key is not in the table
constexpr int32_t odd_member = -2;      // the member has a rare layout: for the slow path
constexpr int32_t no_member = -3;       // the row has ended
constexpr int32_t malformed_member = -4;

// Reads a row from the beginning to its end.
//
// A Format has a cursor and knows how one member looks:
//   begin_row()       skips what is before the first member
//   enter(key)        finds the value of the next member, for `put_plain`, if it has this key and the usual layout
//   enter_long(key)   goes to the value of the next member if it has this key, however it is laid out
//   look_up(table)    goes to the value of the next member, and returns its key's index or one of the constants above
//   end_member()      skips what is between the value and the next member
//   end_row()         leaves the cursor after the row
// A Sink is handed values:
//   has_plain                 true if it reads plain values without a call
//   put_plain(format, key, value)  reads the value, which begins there, if it is a plain one; else nothing
//   put(format, index)        reads any value of a known key
//   learn(format, &index)     interns a new key; the index may be unknown_key if the sink keeps it for one `put`
//   put_odd(format)           reads a member with a rare layout
//   leave_template(count)     is told that only the first `count` members are the predicted ones
template <typename Format, typename Sink>
HISTSCAN_INLINE int read_members(Format &format, KeyTable &table, RowTemplate &row_template, Sink &sink) {
    size_t position = 0;
    size_t predicted = row_template.keys.size();
    bool repeats = predicted == 0;
    const int32_t *order = row_template.keys.data();
    NextMember next = format.begin_row();
    while (next == NEXT_MEMBER) {
        // Predicted members with plain values: most members are.
        for (; Sink::has_plain && position < predicted; ++position) {
            const Key &key = table[order[position]];
            if (!format.enter(key) || !sink.put_plain(format, key, format.plain_value(key))) break;
            next = format.end_member();
            if (next != NEXT_MEMBER) {
                ++position;
                break;
            }
        }
        if (next != NEXT_MEMBER) break;
        int32_t index = no_member;
        if (position < predicted) {
            index = order[position];
            // Another value, or another key.
            if (!format.enter_long(table[index])) {
                predicted = 0;
                row_template.miss();
                if (sink.leave_template(position) < 0) return OUTCOME_RAISED;
            }
        }
        bool is_taken = false;
        if (position >= predicted) {
            index = format.look_up(table);
            if (HISTSCAN_UNLIKELY(index < 0)) {
                if (index == no_member) break;
                if (index == malformed_member) return OUTCOME_SLOW;
                const int outcome = index == odd_member ? sink.put_odd(format) : sink.learn(format, &index);
                if (outcome != OUTCOME_DONE) return outcome;
                is_taken = index == odd_member;
                if (is_taken) index = unknown_key;
            }
            repeats &= row_template.note(position, index) && index != unknown_key;
            is_taken = is_taken || (Sink::has_plain && sink.put_plain(format, table[index], format.value()));
        }
        if (!is_taken) {
            const int outcome = sink.put(format, index);
            if (outcome != OUTCOME_DONE) return outcome;
        }
        ++position;
        next = format.end_member();
    }
    if (next == NEXT_FAULT) return OUTCOME_SLOW;
    format.end_row();
    if (predicted == 0) {
        row_template.finish(position, repeats);
    } else if (position == predicted) {
        row_template.misses = 0;
    } else {
        // The row has fewer members, or more: then those after the predicted ones have been looked up.
        row_template.miss();
        if (sink.leave_template(position < predicted ? position : predicted) < 0) return OUTCOME_RAISED;
    }
    return OUTCOME_DONE;
}

}  // namespace histscan

#endif
