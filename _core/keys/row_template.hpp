// The keys that the next row is predicted to have, derived from the rows before.

#ifndef HISTSCAN_ROW_TEMPLATE_HPP
#define HISTSCAN_ROW_TEMPLATE_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

namespace histscan {

struct RowTemplate {
    std::vector<int32_t> keys;   // the predicted keys, in order, as indexes into a KeyTable; none if rows differ
    std::vector<int32_t> order;  // of the latest row that was looked up: the key at each position
    int misses = 0;              // rows since the prediction was last right
    bool is_new = false;         // the latest row has made the prediction

    // Rows that may differ before the prediction is given up.
    static constexpr int miss_limit = 3;

    // Records which key is at `position`; returns true if it was there in the row before.
    bool note(size_t position, int32_t index) {
        if (position < order.size()) {
            if (order[position] == index) return true;
            order[position] = index;
        } else {
            order.push_back(index);
        }
        return false;
    }
    // A row differs from the prediction.
    void miss() {
        if (++misses > miss_limit) keys.clear();
    }
    // Updates the prediction from a complete row of `count` members. `repeats`: all of its keys were looked up, and are
    // where they were in the row before.
    void finish(size_t count, bool repeats) {
        if (repeats && count == order.size()) {
            keys = order;
            misses = 0;
            is_new = true;
        } else {
            order.resize(count);
        }
    }
    void forget() { keys.clear(); }
};

}  // namespace histscan

#endif
