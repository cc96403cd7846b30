// Updates and removals of a summary as a Sink of `read_members`: of each key the latest are kept, undecoded.

#ifndef HISTSCAN_SUMMARY_SINK_HPP
#define HISTSCAN_SUMMARY_SINK_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "wire/item_format.hpp"
#include "bytes/number_readers.hpp"

namespace histscan {

// The latest events of one key. Events are numbered from 1, because keys may overlap: a later one replaces, or removes,
// what earlier ones put above and below it.
struct LatestItem {
    int64_t updated = 0;  // the number of the latest update; 0 if there was none
    int64_t removed = 0;  // the number of the latest removal; 0 if there was none
    std::string message;  // the SummaryItem or ConfigItem of the latest update, or of a removal if there was none

    void note(int64_t number, bool is_removal, const uint8_t *begin, const uint8_t *end) {
        if (!is_removal || !updated) message.assign(reinterpret_cast<const char *>(begin), end - begin);
        (is_removal ? removed : updated) = number;
    }
};

// All events so far.
struct LatestItems {
    KeyTable table;
    RowTemplate row_template;
    std::vector<LatestItem> known;   // by the index of their key; perhaps one more, which is empty
    std::vector<LatestItem> others;  // one event each, of keys that are not in the table
    int64_t count = 0;
};

class SummarySink {
public:
    static constexpr bool has_plain = false;

    explicit SummarySink(LatestItems &items) : items_(items) {}

    template <typename Format>
    bool put_plain(Format &, const Key &, const uint8_t *) {
        return false;
    }
    template <typename Format>
    int put(Format &format, const Key &key) {
        item_for(key.index).note(++items_.count, false, format.item_begin(), format.value_end());
        return OUTCOME_DONE;
    }
    template <typename Format>
    int learn(Format &format, int32_t *index) {
        *index = add(format.key_begin(), format.key_end());
        return OUTCOME_DONE;
    }
    // A removal has no value, and an update may have other fields: both are found by the key fields they begin with.
    template <typename Format>
    int put_rare(Format &format) {
        Cursor *item = format.open_value();
        const uint8_t *begin = item->pos;
        if (!skip_keys(item, UPDATE_ITEM)) return OUTCOME_SLOW;
        int32_t index = items_.table.find(begin, item->pos - begin, item->end);
        if (index == unknown_key && item->pos != begin) index = add(begin, item->pos);
        item_for(index).note(++items_.count, format.is_removal(), begin, item->end);
        return OUTCOME_DONE;
    }
    int leave_template(size_t) { return OUTCOME_DONE; }

private:
    int32_t add(const uint8_t *begin, const uint8_t *end) {
        // Before the table has the key, which must have its item.
        if (items_.known.size() <= items_.table.size()) items_.known.resize(items_.table.size() + 1);
        return add_item_key(items_.table, begin, end - begin);
    }
    LatestItem &item_for(int32_t index) {
        if (index != unknown_key) return items_.known[static_cast<size_t>(index)];
        items_.others.emplace_back();
        return items_.others.back();
    }

    LatestItems &items_;
};

// Reads a SummaryRecord or ConfigRecord; returns false where it is malformed, with the fault in the cursor.
inline bool read_updates(Cursor *cursor, LatestItems &items) {
    const NarrowVectors vectors;
    ItemFormat<NarrowVectors> format(cursor, UPDATE_ITEM, vectors);
    SummarySink sink(items);
    return read_members(format, items.table, items.row_template, sink) == OUTCOME_DONE;
}

}  // namespace histscan

#endif
