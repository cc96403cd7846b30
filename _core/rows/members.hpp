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

// Why `Format::look_up` finds no key.
enum MemberKind {
    NEW_MEMBER,  // the key is not in the table
    ODD_MEMBER,  // the member has a rare layout: for the slow path
    NO_MEMBER,   // the row has ended
    MALFORMED_MEMBER,
};

struct FoundMember {
    const Key *key;   // null if there is none,
    MemberKind kind;  // and why
};

// Reads a row from the beginning to its end.
//
// A Format has a cursor and knows how one member looks:
//   begin_row()       skips what is before the first member
//   enter(key)        finds the value of the next member, for `put_plain`, if it has this key and the usual layout
//   enter_long(key, has_entered)  goes to the value of the next member if it has this key, however it is laid out;
//                     `has_entered`: `enter` has found it
//   look_up(table)    goes to the value of the next member, and returns its key
//   end_member()      skips what is between the value and the next member, or leaves the row's end to `look_up`
//   end_row()         leaves the cursor after the row
// A Sink is handed values:
//   has_plain                 true if it reads plain values without a call
//   put_plain(format, key, value)  reads the value, which begins there, if it is a plain one; else nothing
//   put(format, key)          reads any value of a known key
//   learn(format, &index)     interns a new key; the index may be unknown_key if the sink keeps it for one `put`
//   put_rare(format)           reads a member with a rare layout
//   leave_template(count)     is told that only the first `count` members are the predicted ones
template <typename Format, typename Sink>
HISTSCAN_INLINE int read_members(Format &format, KeyTable &table, RowTemplate &row_template, Sink &sink) {
    const Key *const *const first = row_template.keys.data();
    const Key *const *predicted = first;  // the next member's key
    const Key *const *last = first + row_template.keys.size();
    const bool has_template = first != last;
    bool has_left = false;  // a member was not the predicted one: those from it on are looked up
    size_t others = 0;      // how many members have been looked up
    bool repeats = true;    // they were the same in the row before
    NextMember next = format.begin_row();
    while (next == NEXT_MEMBER) {
        bool has_entered = false;
        if (Sink::has_plain) {
            // Predicted members with plain values: most members are.
            for (; predicted != last; ++predicted) {
                const Key &key = **predicted;
                if (!format.enter(key)) break;
                if (!sink.put_plain(format, key, format.plain_value(key))) {
                    has_entered = true;
                    break;
                }
                next = format.end_member();
                if (next != NEXT_MEMBER) {
                    ++predicted;
                    break;
                }
            }
            if (next != NEXT_MEMBER) break;
        }
        const Key *key;
        bool is_taken = false;
        if (predicted != last && format.enter_long(**predicted, has_entered)) {
            // Predicted, with another value, or with longer lengths than `enter` takes.
            key = *predicted++;
            is_taken = Sink::has_plain && !has_entered && sink.put_plain(format, *key, format.value());
        } else {
            if (predicted != last) {
                last = predicted;
                has_left = true;
                row_template.miss();
                if (sink.leave_template(static_cast<size_t>(predicted - first)) < 0) return OUTCOME_RAISED;
            }
            const FoundMember found = format.look_up(table);
            key = found.key;
            if (HISTSCAN_UNLIKELY(key == nullptr)) {
                if (found.kind == NO_MEMBER) break;
                if (found.kind == MALFORMED_MEMBER) return OUTCOME_SLOW;
                int32_t index = unknown_key;
                is_taken = found.kind == ODD_MEMBER;
                const int outcome = is_taken ? sink.put_rare(format) : sink.learn(format, &index);
                if (outcome != OUTCOME_DONE) return outcome;
                key = index == unknown_key ? &no_key : &table[index];
                repeats = repeats && index != unknown_key;
            }
            repeats &= row_template.note(static_cast<size_t>(predicted - first) + others, key);
            ++others;
            is_taken = is_taken || (Sink::has_plain && sink.put_plain(format, *key, format.value()));
        }
        if (!is_taken) {
            const int outcome = sink.put(format, *key);
            if (outcome != OUTCOME_DONE) return outcome;
        }
        next = format.end_member();
    }
    if (HISTSCAN_UNLIKELY(next == NEXT_FAULT)) return OUTCOME_SLOW;
    format.end_row();
    const auto count = static_cast<size_t>(predicted - first);
    if (has_left || !has_template) {
        row_template.finish(count + others, repeats && !has_template);
    } else if (predicted == last && others == 0) {
        row_template.misses = 0;
    } else {
        // The row has fewer members, or more: then those after the predicted ones have been looked up.
        row_template.miss();
        if (sink.leave_template(count) < 0) return OUTCOME_RAISED;
    }
    return OUTCOME_DONE;
}

}  // namespace histscan

#endif
