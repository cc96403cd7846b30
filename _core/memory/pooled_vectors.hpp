// Vectors whose memory comes from the pool: of rows' places in a page, and of a column's cells.

#ifndef HISTSCAN_POOLED_VECTORS_HPP
#define HISTSCAN_POOLED_VECTORS_HPP

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "memory/buffer_pool.hpp"

namespace histscan {

// Allocates memory from the pool.
template <typename Element>
struct PooledAllocator {
    using value_type = Element;

    PooledAllocator() noexcept = default;
    template <typename Other>
    PooledAllocator(const PooledAllocator<Other> &) noexcept {}

    Element *allocate(size_t count) {
        if (count > static_cast<size_t>(-1) / 2 / sizeof(Element)) throw std::bad_array_new_length();
        return static_cast<Element *>(take_buffer(count * sizeof(Element)));
    }
    void deallocate(Element *elements, size_t count) noexcept { give_buffer(elements, count * sizeof(Element)); }

    friend bool operator==(const PooledAllocator &, const PooledAllocator &) noexcept { return true; }
    friend bool operator!=(const PooledAllocator &, const PooledAllocator &) noexcept { return false; }
};

// Does not initialise new elements. Room for cells is made for many rows at once; filling it with zeros would push it
// through the caches once more, long before the cells are written.
template <typename Element>
struct UnfilledAllocator : PooledAllocator<Element> {
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

template <typename Element>
using PooledVector = std::vector<Element, PooledAllocator<Element>>;

// The bits of a column's cells. Every element must have a value before the vector is exported.
using CellBits = std::vector<uint64_t, UnfilledAllocator<uint64_t>>;

}  // namespace histscan

#endif
