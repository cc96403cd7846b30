// What the escapes of JSON strings mean.

#ifndef HISTSCAN_ESCAPE_TABLE_HPP
#define HISTSCAN_ESCAPE_TABLE_HPP

#include <cstdint>

namespace histscan {

// What an escape of one character means; 0 for all other characters.
struct EscapeTable {
    uint8_t meaning[256];

    constexpr EscapeTable() : meaning{} {
        meaning[int{'"'}] = '"';
        meaning[int{'\\'}] = '\\';
        meaning[int{'/'}] = '/';
        meaning[int{'b'}] = '\b';
        meaning[int{'f'}] = '\f';
        meaning[int{'n'}] = '\n';
        meaning[int{'r'}] = '\r';
        meaning[int{'t'}] = '\t';
    }
};

inline constexpr EscapeTable escape_table{};

// The value of a hexadecimal digit; 255 for all other characters.
struct HexDigits {
    uint8_t value[256];

    constexpr HexDigits() : value{} {
        for (uint8_t &one : value) one = 0xFF;
        for (uint8_t digit = 0; digit < 10; ++digit) value['0' + digit] = digit;
        for (uint8_t digit = 10; digit < 16; ++digit) value['a' + digit - 10] = value['A' + digit - 10] = digit;
    }
};

inline constexpr HexDigits hex_digits{};

}  // namespace histscan

#endif
