// Asks for bytes before they are needed.
//
// By the time that the rows of a page are read, it lies in memory, or in a cache of all cores. Processors fetch ahead of a
// reader by themselves, but not beyond a page of 4 KiB; and columns are written while rows are read, which makes more
// streams than some of them follow. Where a row becomes a dict, there is nothing to gain.

#ifndef HISTSCAN_PREFETCH_HPP
#define HISTSCAN_PREFETCH_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/compiler.hpp"

namespace histscan {

constexpr uintptr_t cache_line_size = 64;

// How far ahead of the reader: what it reads in the time that memory takes to answer, and some more.
constexpr uintptr_t prefetch_distance = 2048;

// Prefetches the byte `prefetch_distance` ahead of `pos`, which need not be readable.
HISTSCAN_INLINE void prefetch_ahead(const uint8_t *pos) {
    prefetch(reinterpret_cast<const void *>(reinterpret_cast<uintptr_t>(pos) + prefetch_distance));
}

// Prefetches what lies so far ahead of the bytes [begin, end), which were read just now; it need not be readable.
HISTSCAN_INLINE void prefetch_ahead(const uint8_t *begin, const uint8_t *end) {
    const auto last = reinterpret_cast<uintptr_t>(end);
    uintptr_t place = reinterpret_cast<uintptr_t>(begin) + prefetch_distance;
    // Of a long value, most of that has been read, too.
    if (HISTSCAN_UNLIKELY(place < last)) place = last;
    do {
        prefetch(reinterpret_cast<const void *>(place));
        place += cache_line_size;
    } while (HISTSCAN_UNLIKELY(place < last + prefetch_distance));
}

}  // namespace histscan

#endif
