// JSON values that are skipped, against a parser of a page: `skip_value` accepts what the grammar does, and ends where it
// does. Escapes and UTF-8 in skipped strings are not checked (json_skip.hpp says why).
//
// Input: a JSON text.

#include <string>

#include "check.hpp"
#include "json/json_skip.hpp"

using namespace histscan;

namespace {

// A recursive parser of JSON, and Python's NaN and infinities, that only checks.
class Parser {
public:
    explicit Parser(const std::string &text) : text_(text) {}

    bool value(int depth) {
        // The core's own limit, and so that this parser needs no more stack.
        if (depth > skip_depth_limit) return false;
        switch (next()) {
        case '{':
            return container(depth, '}', true);
        case '[':
            return container(depth, ']', false);
        case '"':
            return string();
        default:
            return word("null") || word("true") || word("false") || word("NaN") || word("Infinity") ||
                   word("-Infinity") || number();
        }
    }
    void space() {
        while (next() == ' ' || next() == '\t' || next() == '\n' || next() == '\r') ++pos_;
    }
    size_t pos() const { return pos_; }

private:
    int next() const { return pos_ < text_.size() ? static_cast<uint8_t>(text_[pos_]) : -1; }
    bool take(int byte) {
        const bool is_next = next() == byte;
        pos_ += is_next;
        return is_next;
    }
    bool word(const std::string &word) {
        const bool is_next = text_.compare(pos_, word.size(), word) == 0;
        pos_ += is_next ? word.size() : 0;
        return is_next;
    }
    bool digits() {
        const size_t begin = pos_;
        while (next() >= '0' && next() <= '9') ++pos_;
        return pos_ > begin;
    }
    bool number() {
        take('-');
        // What follows a zero is for whoever reads on.
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            return digits();
        }
        return true;
    }
    bool string() {
        if (!take('"')) return false;
        while (!take('"')) {
            if (next() == '\\') ++pos_;
            if (next() < 0x20) return false;
            ++pos_;
        }
        return true;
    }
    bool container(int depth, char closing, bool has_keys) {
        ++pos_;
        space();
        if (take(closing)) return true;
        while (true) {
            if (has_keys) {
                if (!string()) return false;
                space();
                if (!take(':')) return false;
                space();
            }
            if (!value(depth + 1)) return false;
            space();
            if (take(closing)) return true;
            if (!take(',')) return false;
            space();
        }
    }

    const std::string &text_;
    size_t pos_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::byte_counter.bytes += size;
    const std::string text(data, data + size);
    Parser parser(text);
    parser.space();
    const bool is_valid = parser.value(1);
    Cursor cursor;
    open_cursor(&cursor, data, size);
    skip_space(&cursor);
    const bool has_skipped = skip_value(&cursor);
    CHECK(has_skipped == is_valid);
    CHECK(has_skipped ? cursor.pos == data + parser.pos() : cursor.fault != NO_FAULT);
    CHECK(cursor.fault_at >= data && cursor.fault_at <= data + size);
    return 0;
}
