// Compares the core's byte-level functions with loops over single bytes, on many texts.
//
// Each text ends right before a page that must not be read. The last line of the output is a digest of all results: it
// is the same whatever the compiler, the processor and the vectors. tests/core/test_headers.py builds and runs this.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "bytes/bytes.hpp"
#include "bytes/crc32.hpp"
#include "bytes/decimal.hpp"
#include "bytes/number_readers.hpp"
#include "bytes/plain_number.hpp"
#include "bytes/plain_string.hpp"

using namespace histscan;

namespace {

uint64_t digest = 0xCBF29CE484222325u;
long failures = 0;
std::mt19937_64 random_words(7);

void note(uint64_t result) { digest = (digest ^ result) * 0x100000001B3u; }

uint64_t below(uint64_t limit) { return random_words() % limit; }

void expect(bool condition, const char *what, const std::string &text) {
    if (condition) return;
    if (++failures <= 20) std::printf("wrong: %s of %zu bytes: %s\n", what, text.size(), text.c_str());
}

// Memory whose last byte is right before a page without access.
class Guarded {
public:
    Guarded() : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))), room_(16 * page_) {
        void *memory = mmap(nullptr, room_ + page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        memory_ = static_cast<uint8_t *>(memory);
        if (mprotect(memory_ + room_, page_, PROT_NONE) != 0) std::abort();
    }
    const uint8_t *end() const { return memory_ + room_; }
    // Copies the text to the end of the memory; returns where it begins.
    const uint8_t *put(const std::string &text) {
        uint8_t *begin = memory_ + room_ - text.size();
        std::memcpy(begin, text.data(), text.size());
        return begin;
    }

private:
    size_t page_, room_;
    uint8_t *memory_;
};

Guarded memory;

bool ends_string(uint8_t byte) { return byte == '"' || byte == '\\' || byte < 0x20; }

// Text with few of the bytes that end strings, or none.
std::string string_text() {
    static const char rare[] = {'"', '\\', '\n', '\0', 0x1F, 0x20, 0x7F, '\x80', '\xC3', '\xFF'};
    std::string text(below(150), ' ');
    for (char &byte : text) byte = static_cast<char>('!' + below(90));
    for (char &byte : text) {
        if (byte == '"' || byte == '\\') byte = 'x';
    }
    for (uint64_t count = below(3); count && !text.empty(); --count) {
        char &byte = text[below(text.size())];
        byte = rare[below(sizeof rare)];
    }
    return text;
}

void check_strings() {
    const std::string text = string_text();
    const uint8_t *begin = memory.put(text), *end = memory.end(), *special = begin, *stop = begin;
    while (special < end && !ends_string(*special) && *special < 0x80) ++special;
    while (stop < end && !ends_string(*stop)) ++stop;
    // Also where bytes before the searched ones may be read.
    const uint8_t *const from = begin + below(text.size() + 1);
    for (const uint8_t *start : {begin, from}) {
        const uint8_t *after_special = special < start ? start : special, *after_stop = stop < start ? start : stop;
        while (after_special < end && !ends_string(*after_special) && *after_special < 0x80) ++after_special;
        while (after_stop < end && !ends_string(*after_stop)) ++after_stop;
        expect(find_string_special(begin, start, end) == after_special, "find_string_special", text);
        expect(find_string_end(begin, start, end) == after_stop, "find_string_end", text);
    }
    note(static_cast<uint64_t>(special - begin) << 32 | static_cast<uint64_t>(stop - begin));
}

void check_plain_strings() {
    // The byte before the text is the opening quote, as in a body.
    std::string text = "\"";
    for (uint64_t count = below(220); count; --count) {
        const uint64_t kind = below(40);
        text += kind < 5                     ? "\\\""
                : kind == 5 && below(6) == 0 ? "\\n"
                                             : std::string(1, static_cast<char>('a' + kind % 26));
    }
    if (below(8) == 0 && text.size() > 1) {
        char &byte = text[1 + below(text.size() - 1)];
        byte = static_cast<char>(below(256));
    }
    if (below(8)) text += '"';
    text += std::string(below(80), 'z');
    const uint8_t *begin = memory.put(text) + 1, *end = memory.end(), *found = nullptr;
    for (const uint8_t *pos = begin; pos < end; ++pos) {
        const bool is_escaped = pos[-1] == '\\';
        if (*pos < 0x20 || (*pos == '"') != is_escaped) {
            found = *pos == '"' ? pos : nullptr;
            break;
        }
    }
    expect(find_plain_string_end(begin, end) == found, "find_plain_string_end", text);
    note(found ? static_cast<uint64_t>(found - begin) : ~uint64_t{0});
}

void check_prefixes() {
    std::string text(32 + below(20), ' ');
    for (char &byte : text) byte = static_cast<char>(below(256));
    const size_t length = below(40);
    Prefix32 prefix = prefix_of(reinterpret_cast<const uint8_t *>(text.data()), std::min(length, text.size()));
    if (below(2)) {
        char &byte = text[below(text.size())];
        byte = static_cast<char>(byte ^ 1 << below(8));
    }
    if (below(4) == 0) prefix.ignored |= uint32_t{1} << below(32);
    const uint8_t *begin = memory.put(text);
    bool is_same = true;
    for (int place = 0; place < 32; ++place) {
        is_same &= (prefix.ignored >> place & 1) || begin[place] == prefix.bytes[place];
    }
    expect(has_prefix(begin, prefix) == is_same, "has_prefix", text);
    note(is_same);
}

// A JSON number as other programs write it, or nearly one.
std::string number_text() {
    std::string number;
    char text[64];
    const double factor = static_cast<double>(static_cast<int64_t>(random_words())) * 0x1p-63;
    switch (below(9)) {
    case 0:
        std::snprintf(text, sizeof text, "%lld", static_cast<long long>(random_words() >> below(64)));
        break;
    case 1:
        std::snprintf(text, sizeof text, "-%lld", static_cast<long long>(random_words() >> (1 + below(63))));
        break;
    case 2:
        std::snprintf(text, sizeof text, "%.*f", static_cast<int>(below(28)), factor);
        break;
    case 3:
        std::snprintf(text, sizeof text, "%.17g", factor * 1e5);
        break;
    case 4:
        std::snprintf(text, sizeof text, "%.*e", static_cast<int>(below(20)), factor * 1e-9);
        break;
    case 5:
        std::snprintf(text, sizeof text, "%.*f", static_cast<int>(below(12)), 1.7e9 + factor * 1e6);
        break;
    case 6: {
        double any;
        const uint64_t bits = random_words();
        std::memcpy(&any, &bits, sizeof any);
        std::snprintf(text, sizeof text, "%.*e", static_cast<int>(below(30)), any == any && any - any == 0 ? any : 0.1);
        break;
    }
    case 7:
        // Zeros that take no room in the digits, and end where the memory does.
        number = below(2) ? "0." : "-0.";
        number += std::string(15 + below(30), '0');
        if (below(2)) number += std::to_string(below(1000));
        return number;
    default:
        number = std::to_string(below(100));
        number += "." + std::to_string(random_words());
        number += std::to_string(random_words());
        return number;
    }
    number = text;
    if (below(30) == 0) {
        char &byte = number[below(number.size())];
        byte = "0123456789.-+eE,x "[below(18)];
    }
    return number;
}

// Returns true if the text is a number by JSON's grammar, and sets whether it is an integer.
bool is_number(const std::string &text, bool *is_integer) {
    size_t pos = !text.empty() && text[0] == '-';
    const auto digits = [&] {
        const size_t begin = pos;
        while (pos < text.size() && text[pos] >= '0' && text[pos] <= '9') ++pos;
        return pos - begin;
    };
    const bool has_zero = pos < text.size() && text[pos] == '0';
    const size_t whole = digits();
    *is_integer = true;
    if (whole == 0 || (has_zero && whole > 1)) return false;
    if (pos < text.size() && text[pos] == '.') {
        *is_integer = false;
        ++pos;
        if (!digits()) return false;
    }
    if (pos < text.size() && (text[pos] == 'e' || text[pos] == 'E')) {
        *is_integer = false;
        ++pos;
        if (pos < text.size() && (text[pos] == '+' || text[pos] == '-')) ++pos;
        if (!digits()) return false;
    }
    return pos == text.size();
}

uint64_t bits_of_double(double number) {
    uint64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    return bits;
}

void check_numbers() {
    const std::string number = number_text();
    // What is before a number must not matter; sometimes nothing is.
    const std::string before = below(3) ? "{\"key\":12345678901234567890,\"another/key\":" : "";
    const std::string text = before + number;
    const uint8_t *start = memory.put(text), *begin = start + before.size(), *end = memory.end();
    bool is_integer;
    const bool is_sound = is_number(number, &is_integer);
    const double nearest = std::strtod(number.c_str(), nullptr);
    const PlainNumber plain = read_plain_number(begin, end, start);
    if (plain.kind == PLAIN_DOUBLE) {
        expect(is_sound && !is_integer && plain.bits == bits_of_double(nearest), "a plain double", text);
    } else if (plain.kind == PLAIN_INTEGER) {
        const auto value = static_cast<uint64_t>(std::strtoll(number.c_str(), nullptr, 10));
        expect(is_sound && is_integer && plain.bits == value, "a plain integer", text);
    }
    // Which numbers are plain depends on the vectors' width, so it is not part of the digest.
    if (is_sound && !is_integer) {
        const double read = read_double(begin, end);
        expect(bits_of_double(read) == bits_of_double(nearest), "read_double", text);
        note(bits_of_double(read));
        long exponent = 0;
        uint64_t digits = 0;
        ptrdiff_t count = 0;
        size_t pos = number[0] == '-';
        for (bool is_behind = false; pos < number.size() && (number[pos] | 0x20) != 'e'; ++pos) {
            if (number[pos] == '.') {
                is_behind = true;
            } else {
                digits = digits * 10 + static_cast<uint64_t>(number[pos] - '0');
                ++count;
                exponent -= is_behind;
            }
        }
        if (pos < number.size()) exponent += std::strtol(number.c_str() + pos + 1, nullptr, 10);
        const double found = nearest_double(digits, exponent, count, begin, end);
        expect(bits_of_double(found) == bits_of_double(nearest), "nearest_double", text);
    }
}

void check_number_ends() {
    const std::string number = number_text();
    const char *ends[] = {",", "}", "]", " ,", ""};
    std::string text = number + ends[below(5)];
    const char byte_behind = "\"a,}0"[below(5)];
    text += std::string(below(50), byte_behind);
    const uint8_t *begin = memory.put(text), *end = memory.end();
    ptrdiff_t length = 0;
    if (end - begin >= 32) {
        while (length < 32 && begin[length] != ',' && begin[length] != '}' && begin[length] != ']') ++length;
        length %= 32;
    }
    expect(find_number_end(begin, end) - begin == length, "find_number_end", text);
    const ptrdiff_t plain = plain_number_length(begin, end);
    bool is_integer;
    const bool is_sound = is_number(text.substr(0, static_cast<size_t>(plain)), &is_integer);
    expect(plain == 0 || (begin[plain] == ',' && is_sound), "plain_number_length", text);
    note(static_cast<uint64_t>(length) << 32 | static_cast<uint64_t>(plain));
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) {
        expect(WideVectors().length_of_plain_number(begin, end) == plain, "plain_number_length_wide", text);
        if (end - begin >= 32)
            expect(WideVectors().length_of_number(begin, end, begin) == length, "number_length", text);
    }
#endif
}

void check_digits() {
    uint64_t words[2], masks[2], expected = 0;
    bool are_digits = true;
    for (int half = 0; half < 2; ++half) {
        uint8_t bytes[8];
        const int first = static_cast<int>(below(9));
        uint64_t value = 0;
        for (int place = 0; place < 8; ++place) {
            bytes[place] = static_cast<uint8_t>(below(60) ? '0' + below(10) : below(256));
            if (place < first) continue;
            are_digits &= bytes[place] >= '0' && bytes[place] <= '9';
            value = value * 10 + (bytes[place] - uint64_t{'0'});
        }
        std::memcpy(&words[half], bytes, 8);
        masks[half] = first == 8 ? 0 : ~uint64_t{0} << 8 * first;
        expected |= (value & 0xFFFFFFFFu) << 32 * half;
    }
    uint64_t numbers = 0;
    const bool has_read = read_two_numbers(words[0], masks[0], words[1], masks[1], &numbers);
    expect(has_read == are_digits && (!has_read || numbers == expected), "read_two_numbers", "two words");
    note(has_read ? numbers : 0);
}

void check_checksums() {
    std::string text(below(700), ' ');
    for (char &byte : text) byte = static_cast<char>(below(256));
    const auto type = static_cast<uint8_t>(below(256));
    const uint8_t *begin = memory.put(text);
    uint32_t remainder = ~uint32_t{0};
    const auto add = [&remainder](uint8_t byte) {
        remainder ^= byte;
        for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ (remainder & 1 ? 0xEDB88320u : 0);
    };
    add(type);
    for (const char byte : text) add(static_cast<uint8_t>(byte));
    expect(chunk_crc32(type, begin, text.size()) == ~remainder, "chunk_crc32", "bytes");
    note(remainder);
}

// The first byte that is not part of well-formed UTF-8, by the ranges of RFC 3629, section 4.
size_t first_invalid(const std::string &text) {
    const auto in = [&text](size_t place, unsigned low, unsigned high) {
        const auto byte = place < text.size() ? static_cast<uint8_t>(text[place]) : 0u;
        return low <= byte && byte <= high;
    };
    size_t place = 0;
    while (place < text.size()) {
        if (in(place, 0, 0x7F)) {
            place += 1;
        } else if (in(place, 0xC2, 0xDF) && in(place + 1, 0x80, 0xBF)) {
            place += 2;
        } else if (in(place, 0xE0, 0xEF) && in(place + 2, 0x80, 0xBF) &&
                   in(place + 1, in(place, 0xE0, 0xE0) ? 0xA0 : 0x80, in(place, 0xED, 0xED) ? 0x9F : 0xBF)) {
            place += 3;
        } else if (in(place, 0xF0, 0xF4) && in(place + 2, 0x80, 0xBF) && in(place + 3, 0x80, 0xBF) &&
                   in(place + 1, in(place, 0xF0, 0xF0) ? 0x90 : 0x80, in(place, 0xF4, 0xF4) ? 0x8F : 0xBF)) {
            place += 4;
        } else {
            break;
        }
    }
    return place;
}

void check_utf8() {
    static const std::string characters[] = {"a", "plain", "\u00e9", "\u00df", "\u6570", "\u2192", "\U0001f600", "\uffff",
        "\U0010ffff", "\u0800", "\xED\x9F\xBF", "\U00010000"};
    static const std::string faults[] = {"\xC3", "\xE6\x95", "\xF0\x9F\x98", "\x80", "\xFF", "\xED\xA0\x80", "\xC0\x80",
        "\xE0\x80\x80", "\xF4\x90\x80\x80", "\xF0\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xC1\xBF", "\xE0\x9F\xBF"};
    std::string text;
    for (uint64_t count = below(60); count; --count) {
        text += below(80) ? characters[below(sizeof characters / sizeof *characters)]
                          : faults[below(sizeof faults / sizeof *faults)];
    }
    if (!text.empty() && below(3) == 0) text[below(text.size())] ^= static_cast<char>(1 << below(8));
    const uint8_t *begin = memory.put(text);
    const auto found = static_cast<size_t>(find_invalid_utf8(begin, memory.end()) - begin);
    expect(found == first_invalid(text), "find_invalid_utf8", text);
    note(found);
}

// Numbers of many digits, at the ends of the range and half way between doubles.
void check_rare_numbers() {
    std::vector<std::string> numbers = {"0.0", "-0.0", "0e5", "1e400", "-1e400", "1e-400", "4.9e-324",
        "2.4703282292062327e-324", "2.5e-324", "2.2250738585072011e-308", "1.7976931348623157e308",
        "1.7976931348623159e308", "9007199254740993.0", "9007199254740992.99999999999999999999999999",
        "9007199254740993.00000000000000000000000001", "1e1000000000000000000000000", "1e-1000000000000000000000000",
        "0.1e99999999999999999999"};
    // The number half way between 0 and the least double, and its neighbours: 768 digits and more.
    char half[1100];
    std::snprintf(half, sizeof half, "%.1074f", 4.9406564584124654e-324);
    numbers.push_back(half);
    numbers.push_back("1" + std::string(400, '0') + ".5e-400");
    numbers.push_back("0." + std::string(400, '0') + "15e400");
    numbers.push_back("9007199254740993." + std::string(900, '0') + "1");
    numbers.push_back("9007199254740993." + std::string(900, '0'));
    numbers.push_back("9007199254740993" + std::string(900, '0') + ".0e-900");
    numbers.push_back("9007199254740993" + std::string(900, '0') + "1.0e-901");
    for (const std::string &number : numbers) {
        const uint8_t *begin = memory.put(number);
        const double read = read_double(begin, memory.end());
        expect(bits_of_double(read) == bits_of_double(std::strtod(number.c_str(), nullptr)), "read_double", number);
        note(bits_of_double(read));
    }
}

}  // namespace

int main() {
    check_rare_numbers();
    for (int count = 0; count < 20000; ++count) {
        check_strings();
        check_plain_strings();
        check_prefixes();
        check_numbers();
        check_number_ends();
        check_digits();
        check_utf8();
        if (count % 10 == 0) check_checksums();
    }
    std::printf("%016llx\n", static_cast<unsigned long long>(digest));
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
