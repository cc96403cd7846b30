// Plain JSON strings that hold a row: long, with no escapes other than those of its quotes.

#ifndef HISTSCAN_PLAIN_STRING_HPP
#define HISTSCAN_PLAIN_STRING_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/compiler.hpp"
#include "bytes/prefetch.hpp"
#include "bytes/vectors.hpp"

namespace histscan {

// As `find_plain_string_end`, on any processor.
inline const uint8_t *find_plain_string_end_narrow(const uint8_t *pos, const uint8_t *end) {
    const Bytes16 quote = fill16('"'), backslash = fill16('\\'), highest_control = fill16(0x1F);
    for (; end - pos >= 64; pos += 64) {
        // The string is plain as long as quotes follow backslashes, and are nowhere else.
        Bytes16 least = highest_control, differences[4];
        for (int part = 0; part < 4; ++part) {
            const Bytes16 text = load16(pos + 16 * part);
            const Bytes16 before = load16(pos + 16 * part - 1);
            differences[part] = differing(equal(text, quote), equal(before, backslash));
            least = part ? lowest(least, text) : text;
        }
        const Bytes16 any = either(either(differences[0], differences[1]), either(differences[2], differences[3]));
        if (is_any(either(any, at_most(least, highest_control)))) {
            for (int part = 0; part < 4; ++part) {
                const Bytes16 controls = at_most(load16(pos + 16 * part), highest_control);
                const Marks16 marks = marks_of(either(differences[part], controls));
                if (!marks) continue;
                const uint8_t *found = pos + 16 * part + first_mark(marks);
                return *found == '"' ? found : nullptr;
            }
        }
    }
    for (; pos < end; ++pos) {
        const bool is_escaped = pos[-1] == '\\';
        if (*pos < 0x20 || (*pos == '"') != is_escaped) return *pos == '"' ? pos : nullptr;
    }
    return nullptr;
}

#if HISTSCAN_HAS_WIDE_VECTORS

// As `find_plain_string_end`.
HISTSCAN_WIDE inline const uint8_t *find_plain_string_end_wide(const uint8_t *pos, const uint8_t *end) {
    const Bytes32 quote = fill32('"'), backslash = fill32('\\'), highest_control = fill32(0x1F);
    for (; end - pos >= 64; pos += 64) {
        const Bytes32 first = load32(pos), second = load32(pos + 32);
        const Bytes32 before_first = load32(pos - 1), before_second = load32(pos + 31);
        const Bytes32 first_differences = differing(equal(first, quote), equal(before_first, backslash));
        const Bytes32 second_differences = differing(equal(second, quote), equal(before_second, backslash));
        const Bytes32 controls = at_most(lowest(first, second), highest_control);
        prefetch_ahead(pos);
        // The baseline function finds which of the bytes it is.
        if (bits_of(either(either(first_differences, second_differences), controls))) break;
    }
    return find_plain_string_end_narrow(pos, end);
}

#endif

// Finds the closing quote of the string whose opening quote is just before `pos`. Returns null if a backslash is not
// followed by a quote, if the string has a control character, or if it is not terminated: then it is not plain, and
// `unescape_string` must read it.
inline const uint8_t *find_plain_string_end(const uint8_t *pos, const uint8_t *end) {
#if HISTSCAN_HAS_WIDE_VECTORS
    if (wide_vectors) return find_plain_string_end_wide(pos, end);
#endif
    return find_plain_string_end_narrow(pos, end);
}

}  // namespace histscan

#endif
