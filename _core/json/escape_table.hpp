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

}  // namespace histscan

#endif
