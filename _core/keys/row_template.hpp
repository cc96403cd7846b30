// The keys that the next row is predicted to have, derived from the rows before.

#ifndef HISTSCAN_ROW_TEMPLATE_HPP
#define HISTSCAN_ROW_TEMPLATE_HPP

#include <cstddef>
#include <vector>

#include "bytes/compiler.hpp"
#include "keys/key_table.hpp"

namespace histscan {

struct RowTemplate {
    std::vector<const Key *> keys;   // the predicted keys, in order; none if rows differ
    std::vector<const Key *> order;  // of the latest row that was looked up: the key at each position
    int misses = 0;                  // rows since the prediction was last right
    bool is_new = false;             // the latest row has made the prediction

    // Rows that may differ before the prediction is given up.
    static constexpr int miss_limit = 3;

    // Records which key is at `position`; returns true if it was there in the row before.
    bool note(size_t position, const Key *key) {
        if (HISTSCAN_UNLIKELY(position >= order.size())) {
            append(key);
            return false;
        }
        const bool is_same = order[position] == key;
        order[position] = key;
        return is_same;
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
    size_t size() const { return keys.size(); }
    void forget() { keys.clear(); }

private:
    // The key is a copy, which the loop need not keep in memory.
    HISTSCAN_NOINLINE void append(const Key *key) { order.push_back(key); }
};

}  // namespace histscan

#endif
