// Vectors whose memory comes from the pool: of rows' places in a page, and of a column's cells.
//
// Each vector has the pool's address, and hands it on when it is moved or swapped, so any module may grow or free it. A
// global variable would not do: extension modules are loaded with RTLD_LOCAL, each would have its own, and one that is
// inline is shared only where the compiler and the loader agree to (STB_GNU_UNIQUE, which is GCC's on Linux). The
// modules that create vectors get the address from `buffer_pool.shared_pool`, through Python's import.

#ifndef HISTSCAN_POOLED_VECTORS_HPP
#define HISTSCAN_POOLED_VECTORS_HPP

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "memory/buffer_pool.hpp"

namespace histscan {

// Allocates memory from the pool, or without one if it has none.
template <typename Element>
struct PooledAllocator {
    using value_type = Element;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;

    BufferPool *pool = nullptr;

    PooledAllocator() noexcept = default;
    PooledAllocator(BufferPool *from) noexcept : pool(from) {}
    template <typename Other>
    PooledAllocator(const PooledAllocator<Other> &other) noexcept : pool(other.pool) {}

    Element *allocate(size_t count) {
        if (count > static_cast<size_t>(-1) / 2 / sizeof(Element)) throw std::bad_array_new_length();
        return static_cast<Element *>(take_buffer(pool, count * sizeof(Element)));
    }
    void deallocate(Element *elements, size_t count) noexcept { give_buffer(pool, elements, count * sizeof(Element)); }

    friend bool operator==(const PooledAllocator &a, const PooledAllocator &b) noexcept { return a.pool == b.pool; }
    friend bool operator!=(const PooledAllocator &a, const PooledAllocator &b) noexcept { return a.pool != b.pool; }
};

// Does not initialise new elements. Room for cells is made for many rows at once; filling it with zeros would push it
// through the caches once more, long before the cells are written.
template <typename Element>
struct UnfilledAllocator : PooledAllocator<Element> {
    template <typename Other>
    struct rebind {
        using other = UnfilledAllocator<Other>;
    };

    using PooledAllocator<Element>::PooledAllocator;
    UnfilledAllocator() noexcept = default;
    template <typename Other>
    UnfilledAllocator(const UnfilledAllocator<Other> &other) noexcept : PooledAllocator<Element>(other) {}

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
