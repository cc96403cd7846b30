// Nested items of one row, put together as the JSON text of the objects that they are leaves of.

#ifndef HISTSCAN_NESTED_ITEMS_HPP
#define HISTSCAN_NESTED_ITEMS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "memory/pooled_vectors.hpp"

namespace histscan {

struct NestedPath {
    int32_t column;
    std::vector<std::string> names;
};

struct NestedItem {
    int32_t path;
    const uint8_t *begin;
    const uint8_t *end;
};

inline void append_text(TextRoom &out, const std::string &text) {
    out.append(reinterpret_cast<const uint8_t *>(text.data()), text.size());
}

// Sorts the items so that those of one column, and within it those of one object, are together. False if they are
// not the leaves of trees: an item is given twice, or is an object to another item and a value of its own.
inline bool is_tree(const std::vector<NestedPath> &paths, std::vector<NestedItem> &items) {
    std::sort(items.begin(), items.end(), [&paths](const NestedItem &left, const NestedItem &right) {
        const NestedPath &left_path = paths[left.path], &right_path = paths[right.path];
        if (left_path.column != right_path.column) return left_path.column < right_path.column;
        return left_path.names < right_path.names;
    });
    // A prefix of another path sorts right before the first of those that extend it.
    for (size_t index = 1; index < items.size(); ++index) {
        const NestedPath &before = paths[items[index - 1].path], &path = paths[items[index].path];
        if (before.column == path.column && before.names.size() <= path.names.size() &&
            std::equal(before.names.begin(), before.names.end(), path.names.begin())) {
            return false;
        }
    }
    return true;
}

// Writes the object that the items from `first` on make up, those of one column, and returns the index after them.
// The items are sorted as is_tree leaves them.
inline size_t write_object(
    const std::vector<NestedPath> &paths, const std::vector<NestedItem> &items, size_t first, TextRoom &out) {
    const int32_t column = paths[items[first].path].column;
    const std::vector<std::string> *before = nullptr;
    size_t index = first;
    for (; index < items.size() && paths[items[index].path].column == column; ++index) {
        const std::vector<std::string> &names = paths[items[index].path].names;
        size_t shared = 0;
        if (before == nullptr) {
            out.push_back('{');
        } else {
            while ((*before)[shared] == names[shared]) ++shared;
            for (size_t open = before->size(); open > shared + 1; --open) out.push_back('}');
            out.push_back(',');
        }
        for (size_t depth = shared; depth + 1 < names.size(); ++depth) {
            append_text(out, names[depth]);
            out.push_back(':');
            out.push_back('{');
        }
        append_text(out, names.back());
        out.push_back(':');
        out.append(items[index].begin, static_cast<size_t>(items[index].end - items[index].begin));
        before = &names;
    }
    for (size_t open = before->size(); open > 0; --open) out.push_back('}');
    return index;
}

}  // namespace histscan

#endif
