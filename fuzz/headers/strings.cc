// Strings in JSON text: where they end, what their escapes mean, and UTF-8, against loops over single bytes.
//
// Input: one byte of options, then the bytes of a string without its opening quote.

#include <Python.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "bytes/bytes.hpp"
#include "bytes/plain_string.hpp"
#include "check.hpp"
#include "json/json_quoted.hpp"
#include "json/json_text.hpp"
#include "json/json_write.hpp"
#include "json/string_objects.hpp"

using namespace histscan;

namespace {

// A string as JSON's grammar has it.
struct Decoded {
    std::vector<uint32_t> points;
    Fault fault = NO_FAULT;
    size_t place = 0;  // of the closing quote, or of the fault
};

int hex_digit(int byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

// The code unit of the escape `\uXXXX` at a place, or -1.
long unit_at(const std::string &text, size_t place) {
    if (place + 6 > text.size() || text[place] != '\\' || text[place + 1] != 'u') return -1;
    long unit = 0;
    for (size_t offset = 2; offset < 6; ++offset) {
        const int digit = hex_digit(static_cast<uint8_t>(text[place + offset]));
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

// The length of the character in UTF-8 at a place, or 0 if it is malformed; RFC 3629, by its table.
size_t utf8_at(const std::string &text, size_t place, bool allow_surrogates, uint32_t *point) {
    const auto lead = static_cast<uint8_t>(text[place]);
    const size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (length == 0 || place + length > text.size()) return 0;
    uint32_t found = length == 1 ? lead : lead & (0x7Fu >> length);
    for (size_t offset = 1; offset < length; ++offset) {
        const auto byte = static_cast<uint8_t>(text[place + offset]);
        if (byte >> 6 != 2) return 0;
        found = found << 6 | (byte & 0x3F);
    }
    *point = found;
    const bool is_surrogate = found >= 0xD800 && found < 0xE000;
    return found < smallest[length] || found > 0x10FFFF || (is_surrogate && !allow_surrogates) ? 0 : length;
}

Decoded decode(const std::string &text, bool allow_surrogates) {
    static const std::string letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    Decoded decoded;
    for (size_t &place = decoded.place; place < text.size();) {
        const auto byte = static_cast<uint8_t>(text[place]);
        if (byte == '"') return decoded;
        if (byte < 0x20) {
            decoded.fault = JSON_CONTROL_CHARACTER;
            return decoded;
        }
        if (byte >= 0x80) {
            uint32_t point;
            const size_t length = utf8_at(text, place, allow_surrogates, &point);
            decoded.fault = JSON_UTF8_INVALID;
            if (length == 0) return decoded;
            decoded.fault = NO_FAULT;
            decoded.points.push_back(point);
            place += length;
        } else if (byte != '\\') {
            decoded.points.push_back(byte);
            ++place;
        } else if (place + 1 == text.size()) {
            break;
        } else if (const size_t letter = letters.find(text[place + 1]); letter != std::string::npos) {
            decoded.points.push_back(static_cast<uint8_t>(meanings[letter]));
            place += 2;
        } else {
            const long unit = unit_at(text, place);
            decoded.fault = JSON_ESCAPE_INVALID;
            if (unit < 0) return decoded;
            decoded.fault = NO_FAULT;
            place += 6;
            const long low = unit >= 0xD800 && unit < 0xDC00 ? unit_at(text, place) : -1;
            if (low >= 0xDC00 && low < 0xE000) {
                place += 6;
                decoded.points.push_back(static_cast<uint32_t>(0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00)));
            } else {
                decoded.points.push_back(static_cast<uint32_t>(unit));
            }
        }
    }
    decoded.fault = JSON_STRING_UNTERMINATED;
    return decoded;
}

// Reads the string with characters of one width, and compares them.
template <typename Unit>
void check_characters(const uint8_t *begin, const uint8_t *end, bool allow_surrogates, const Decoded &expected) {
    const auto size = static_cast<size_t>(end - begin);
    StringReading reading{begin, begin, end, 0, 0, allow_surrogates, false, NO_FAULT};
    // As much room as the core makes, and no more.
    const std::unique_ptr<Unit[]> out(new Unit[size + string_room]);
    const StringStop stopped = read_characters<CodePoints<Unit>>(&reading, out.get());
    CHECK(reading.pos >= begin && reading.pos <= end);
    CHECK(reading.count <= expected.points.size());
    CHECK(std::equal(out.get(), out.get() + reading.count, expected.points.begin()));
    if (stopped == STRING_WIDER) {
        const uint32_t next = expected.points[reading.count];
        CHECK(sizeof(Unit) < sizeof next && next >> (8 * sizeof(Unit) & 31) != 0);
        return;
    }
    CHECK(reading.count == expected.points.size());
    CHECK((stopped == STRING_CLOSED) == (expected.fault == NO_FAULT));
    CHECK(stopped == STRING_CLOSED || reading.fault == expected.fault);
    CHECK(static_cast<size_t>(reading.pos - begin) == expected.place || expected.fault == JSON_STRING_UNTERMINATED);
}

bool is_surrogate(uint32_t point) { return point >= 0xD800 && point < 0xE000; }

// UTF-8 by its table in RFC 3629.
void append_utf8(std::string &text, uint32_t point) {
    const size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint32_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    text.push_back(static_cast<char>(leads[length - 1 ? length : 0] | point >> 6 * (length - 1)));
    for (size_t left = length - 1; left-- > 0;) text.push_back(static_cast<char>(0x80 | (point >> 6 * left & 0x3F)));
}

// Reads the string as UTF-8, as for a column or a row within a body: bytes beyond ASCII are copied as they are.
void check_utf8(const uint8_t *begin, const uint8_t *end, bool allow_surrogates, const Decoded &expected) {
    if (expected.fault == JSON_UTF8_INVALID) return;
    Cursor cursor;
    open_cursor(&cursor, begin, static_cast<size_t>(end - begin));
    // As much room as the core makes, and no more.
    const std::unique_ptr<uint8_t[]> out(new uint8_t[static_cast<size_t>(end - begin) + string_room]);
    bool has_surrogates = false;
    const uint8_t *const written = unescape_string(&cursor, out.get(), &has_surrogates);
    CHECK((written != nullptr) == (expected.fault == NO_FAULT));
    CHECK(cursor.fault == expected.fault);
    if (written == nullptr) return;
    CHECK(static_cast<size_t>(cursor.pos - begin) == expected.place + 1);
    std::string text;
    for (const uint32_t point : expected.points) append_utf8(text, point);
    CHECK(written == out.get() + text.size());
    CHECK(std::memcmp(out.get(), text.data(), text.size()) == 0);
    // Where they are allowed, those that are not escaped are among the points, too.
    const bool is_lone = std::any_of(expected.points.begin(), expected.points.end(), is_surrogate);
    CHECK(has_surrogates == is_lone || (allow_surrogates && !has_surrogates));
}

bool ends_string(uint8_t byte) { return byte == '"' || byte == '\\' || byte < 0x20; }

// Checks the searches for what ends a run of characters.
void check_searches(const uint8_t *begin, const uint8_t *end) {
    const uint8_t *special = std::find_if(begin, end, [](uint8_t byte) { return ends_string(byte) || byte >= 0x80; });
    const uint8_t *stop = std::find_if(begin, end, ends_string);
    CHECK(find_string_special(begin, begin, end) == special);
    CHECK(find_string_end(begin, begin, end) == stop);
    // With bytes before the searched ones.
    for (const uint8_t *pos = begin; pos <= end && pos - begin < 40; ++pos) {
        const uint8_t *after = std::find_if(pos, end, [](uint8_t byte) { return ends_string(byte) || byte >= 0x80; });
        CHECK(find_string_special(begin, pos, end) == after);
        CHECK(find_string_end(begin, pos, end) == std::find_if(pos, end, ends_string));
    }
    const std::string text(begin, end);
    size_t invalid = 0;
    for (uint32_t point; invalid < text.size();) {
        const size_t length = utf8_at(text, invalid, false, &point);
        if (length == 0) break;
        invalid += length;
    }
    CHECK(find_invalid_utf8(begin, end) == begin + invalid);
}

// Checks the search for the end of a string whose only escapes are those of quotes; a byte is before `begin`.
void check_plain_end(const uint8_t *begin, const uint8_t *end) {
    const uint8_t *found = nullptr;
    for (const uint8_t *pos = begin; pos < end; ++pos) {
        const bool is_escaped = pos[-1] == '\\';
        if (*pos < 0x20 || (*pos == '"') != is_escaped) {
            found = *pos == '"' ? pos : nullptr;
            break;
        }
    }
    CHECK(find_plain_string_end(begin, end) == found);
    CHECK(find_plain_string_end_narrow(begin, end) == found);
}

// Checks the token of a string against its characters. The token's reader leaves escapes and UTF-8 unchecked.
void check_token(const std::string &text, const Decoded &expected) {
    const std::string quoted = '"' + text;
    const std::vector<uint8_t> bytes(quoted.begin(), quoted.end());
    Cursor cursor;
    Token token{};
    open_cursor(&cursor, bytes.data(), bytes.size());
    const bool has_read = read_string(&cursor, &token);
    if (expected.fault == NO_FAULT) {
        CHECK(has_read && cursor.pos == bytes.data() + 1 + expected.place + 1);
        CHECK(token.begin == bytes.data() + 1 && token.end == cursor.pos - 1);
        const std::string inside = text.substr(0, expected.place);
        CHECK(token.has_escapes == (inside.find('\\') != std::string::npos));
        const bool is_ascii = std::all_of(inside.begin(), inside.end(), [](char byte) { return byte >= 0; });
        CHECK(token.is_ascii == (is_ascii && !token.has_escapes));
    } else if (!has_read) {
        CHECK(cursor.fault == JSON_STRING_UNTERMINATED || cursor.fault == JSON_CONTROL_CHARACTER);
        CHECK(cursor.fault_at >= bytes.data() && cursor.fault_at <= bytes.data() + bytes.size());
    }
    CHECK(has_read || expected.fault != NO_FAULT);
}

// Checks that a text that is written as a string reads back.
void check_written(const std::string &text) {
    std::vector<uint8_t> written;
    write_string(reinterpret_cast<const uint8_t *>(text.data()), text.size(), written);
    const Decoded back = decode(std::string(written.begin() + 1, written.end()), true);
    const Decoded expected = decode(text, true);
    if (expected.fault == JSON_UTF8_INVALID) return;
    CHECK(back.fault == NO_FAULT || back.fault == JSON_UTF8_INVALID);
    CHECK(back.fault != NO_FAULT || back.place + 2 == written.size());
}

// Checks the removal of backslashes.
void check_unquoted(const uint8_t *begin, const uint8_t *end) {
    std::string expected(begin, end);
    expected.erase(std::remove(expected.begin(), expected.end(), '\\'), expected.end());
    const std::unique_ptr<uint8_t[]> out(new uint8_t[static_cast<size_t>(end - begin) + 16]);
    uint8_t *out_end = unquote_text(begin, end, out.get());
    CHECK(std::string(out.get(), out_end) == expected);
}

void check_comparisons(const uint8_t *begin, size_t size, size_t length) {
    length = std::min(length, size / 2);
    const uint8_t *left = begin, *right = begin + size - length;
    CHECK(same_bytes(left, right, length) == (std::memcmp(left, right, length) == 0));
    if (size < 32) return;
    const Prefix32 prefix = prefix_of(right, length);
    const size_t compared = std::min<size_t>(length, 32);
    CHECK(has_prefix(left, prefix) == (std::memcmp(left, right, compared) == 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::byte_counter.bytes += size;
    if (size < 1) return 0;
    const bool allow_surrogates = data[0] & 1;
    const uint8_t *begin = data + 1, *end = data + size;
    const std::string text(begin, end);
    const Decoded expected = decode(text, allow_surrogates);
    check_characters<uint8_t>(begin, end, allow_surrogates, expected);
    check_characters<uint16_t>(begin, end, allow_surrogates, expected);
    check_characters<uint32_t>(begin, end, allow_surrogates, expected);
    check_utf8(begin, end, allow_surrogates, expected);
    check_searches(begin, end);
    check_plain_end(begin, end);
    check_token(text, expected);
    check_written(text);
    check_unquoted(begin, end);
    check_comparisons(begin, size - 1, data[0] >> 1);
    return 0;
}
