// Numbers in JSON text: every reader of numbers against the grammar of RFC 8259 and std::strtod.
//
// Input: one byte that says how many bytes come before the number, those bytes, the number, and what follows it.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "bytes/number_readers.hpp"
#include "check.hpp"
#include "json/json_skip.hpp"
#include "json/json_text.hpp"
#include "json/json_write.hpp"

using namespace histscan;

namespace {

// The longest number at the beginning of a text, by JSON's grammar.
struct Number {
    size_t length = 0;  // 0 if there is none
    bool is_integer = true;
    bool is_malformed = false;  // it has a needless zero, or a point or an exponent without digits
};

size_t count_digits(const std::string &text, size_t pos) {
    size_t end = pos;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    return end - pos;
}

Number find_number(const std::string &text) {
    Number number;
    size_t pos = !text.empty() && text[0] == '-';
    const size_t whole = count_digits(text, pos);
    number.is_malformed = whole == 0 || (whole > 1 && text[pos] == '0');
    if (number.is_malformed) return number;
    pos += whole;
    if (pos < text.size() && text[pos] == '.') {
        number.is_integer = false;
        const size_t digits = count_digits(text, pos + 1);
        number.is_malformed = digits == 0;
        pos += 1 + digits;
    }
    if (!number.is_malformed && pos < text.size() && (text[pos] == 'e' || text[pos] == 'E')) {
        number.is_integer = false;
        ++pos;
        if (pos < text.size() && (text[pos] == '+' || text[pos] == '-')) ++pos;
        const size_t digits = count_digits(text, pos);
        number.is_malformed = digits == 0;
        pos += digits;
    }
    if (!number.is_malformed) number.length = pos;
    return number;
}

uint64_t bits_of_double(double number) {
    uint64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    return bits;
}

uint64_t expected_bits(const std::string &text) { return bits_of_double(std::strtod(text.c_str(), nullptr)); }

// Checks what a reader says of a whole number, if it takes it for a plain one.
void check_plain(const std::string &text, PlainKind kind, uint64_t bits) {
    if (kind == NOT_PLAIN) return;
    const Number number = find_number(text);
    CHECK(number.length == text.size() && !text.empty());
    CHECK(number.is_integer == (kind == PLAIN_INTEGER));
    if (kind == PLAIN_INTEGER) {
        CHECK(std::to_string(static_cast<int64_t>(bits)) == text || text == "-0");
        CHECK(text != "-0" || bits == 0);
    } else {
        CHECK(bits == expected_bits(text));
    }
}

void check_token(const std::string &text, const Token &token) {
    const Number number = find_number(text);
    CHECK(number.is_integer == (token.kind != TOKEN_FLOAT64));
    if (token.kind == TOKEN_FLOAT64) {
        CHECK(bits_of_double(token.number) == expected_bits(text));
        return;
    }
    errno = 0;
    const long long integer = std::strtoll(text.c_str(), nullptr, 10);
    CHECK((errno == ERANGE) == (token.kind == TOKEN_BIG_INTEGER));
    CHECK(token.kind == TOKEN_BIG_INTEGER || token.integer == integer);
}

// Checks the readers that find the number's end themselves.
void check_readers(const uint8_t *start, size_t place, const uint8_t *end) {
    const std::string text(start + place, end);
    const Number number = find_number(text);
    const bool is_infinity = text.compare(0, 9, "-Infinity") == 0;
    for (int reader = 0; reader < 4; ++reader) {
        Cursor cursor;
        Token token{};
        open_cursor_within(&cursor, start, place, static_cast<size_t>(end - start));
        token.begin = cursor.pos;
        const bool has_read = reader == 0   ? read_token(&cursor, &token)
                              : reader == 1 ? read_whole_token(&cursor, &token)
                              : reader == 2 ? read_number(&cursor, &token)
                                            : skip_number(&cursor);
        CHECK(cursor.pos >= start + place && cursor.pos <= end);
        // `skip_number` stops behind a zero that digits follow, which is an error for whoever reads on.
        if (reader == 3 && !is_infinity && number.is_malformed) {
            CHECK(!has_read || (cursor.pos < end && is_digit(*cursor.pos)));
            continue;
        }
        CHECK(has_read == (is_infinity || !number.is_malformed));
        if (!has_read) {
            CHECK(cursor.fault_at >= start + place && cursor.fault_at <= end);
            continue;
        }
        const size_t length = is_infinity ? 9 : number.length;
        CHECK(cursor.pos == start + place + length);
        if (reader == 3) continue;
        if (is_infinity) {
            CHECK(token.kind == TOKEN_FLOAT64 && token.number == -infinity());
        } else {
            CHECK(token.begin == start + place && token.end == cursor.pos);
            check_token(text.substr(0, length), token);
        }
    }
}

// Checks the readers of plain numbers, which may leave any other number to those above.
void check_plain_readers(const uint8_t *start, size_t place, const uint8_t *end) {
    const uint8_t *pos = start + place;
    const std::string text(pos, end);
    PlainNumber number = read_plain_number(pos, end, start);
    check_plain(text, number.kind, number.bits);
    number = read_plain_number_narrow(pos, end, start);
    check_plain(text, number.kind, number.bits);
    // To the readers a form feed is a comma; whoever reads on sees that it is not.
    const size_t comma = text.find(','), stop = text.find_first_of(",}]\f");
    const uint8_t *number_end = find_number_end(pos, end);
    CHECK(number_end == pos || static_cast<size_t>(number_end - pos) == stop);
    const ptrdiff_t length = plain_number_length(pos, end);
    // One that has more digits than a vector has bytes is not found.
    const Number before_comma = find_number(text.substr(0, comma));
    CHECK(length == 0 || (static_cast<size_t>(length) == comma && before_comma.length == comma));
    if (const uint8_t *found = read_ended_number(pos, end, start, &number)) {
        CHECK(static_cast<size_t>(found - pos) == stop);
        check_plain(text.substr(0, stop), number.kind, number.bits);
    }
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) {
        const WideVectors wide;
        CHECK(wide.length_of_plain_number(pos, end) == length);
        const ptrdiff_t wide_length = wide.length_of_number(pos, end, start);
        CHECK(wide_length == 0 || static_cast<size_t>(wide_length) == stop);
        uint64_t bits = 0;
        const PlainKind kind = wide.read_number<false>(pos, end, start, &bits);
        check_plain(text, kind, bits);
    }
#endif
}

// Checks that doubles and integers read back as they were written.
void check_written(const std::string &text) {
    std::vector<uint8_t> written;
    const double number = std::strtod(text.c_str(), nullptr);
    write_double(number, written);
    const std::string as_double(written.begin(), written.end());
    if (number - number == 0) {
        CHECK(!find_number(as_double).is_integer && find_number(as_double).length == as_double.size());
        CHECK(bits_of_double(number) == expected_bits(as_double));
    }
    written.clear();
    const long long integer = std::strtoll(text.c_str(), nullptr, 10);
    write_int64(integer, written);
    CHECK(std::string(written.begin(), written.end()) == std::to_string(integer));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::byte_counter.bytes += size;
    if (size < 2) return 0;
    const uint8_t *start = data + 1, *end = data + size;
    const size_t place = std::min<size_t>(data[0] % 48, size - 2);
    const int first = start[place];
    check_plain_readers(start, place, end);
    if (first == '-' || is_digit(first)) {
        check_readers(start, place, end);
        check_written(std::string(start + place, end));
    }
    return 0;
}
