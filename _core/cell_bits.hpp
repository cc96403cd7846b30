// The vector that the bits of a column's cells are in.

#ifndef HISTSCAN_CELL_BITS_HPP
#define HISTSCAN_CELL_BITS_HPP

#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace histscan {

// Leaves new elements that nobody gives a value as the memory was. Room for cells is made for many rows at once; to fill
// it with zeros would push it through the caches once more, long before the cells are written.
template <typename Element>
struct UnfilledAllocator : std::allocator<Element> {
    template <typename Other>
    struct rebind {
        using other = UnfilledAllocator<Other>;
    };

    UnfilledAllocator() noexcept = default;
    template <typename Other>
    UnfilledAllocator(const UnfilledAllocator<Other> &) noexcept {}

    template <typename Other>
    void construct(Other *place) noexcept {
        ::new (static_cast<void *>(place)) Other;
    }
    template <typename Other, typename... Arguments>
    void construct(Other *place, Arguments &&...arguments) {
        ::new (static_cast<void *>(place)) Other(std::forward<Arguments>(arguments)...);
    }
};

// Whoever hands the vector out of the process's own code has to have given every element a value by then.
using CellBits = std::vector<uint64_t, UnfilledAllocator<uint64_t>>;

}  // namespace histscan

#endif
