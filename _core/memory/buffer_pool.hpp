// Memory of columns that are no longer needed, kept for the next columns.
//
// A scan's buffers go to its consumer, which frees them all at once. The C library then returns them to the system, and
// the system must allocate and clear every page of them again for the next scan: a tenth of the time that it takes to
// fill them, and more where several threads need pages at once.

#ifndef HISTSCAN_BUFFER_POOL_HPP
#define HISTSCAN_BUFFER_POOL_HPP

#include <atomic>
#include <cstddef>
#include <new>

namespace histscan {

// Buffers of these sizes are kept: powers of two, and half as much again, in bytes.
constexpr size_t smallest_pooled = size_t{1} << 12, largest_pooled = size_t{1} << 22;
// Altogether no more than this is kept, in bytes.
constexpr size_t pool_capacity = size_t{64} << 20;

// As Arrow recommends for buffers. It matters for windows of files, too: to a place 16 bytes behind the start of a page
// of memory, where large allocations are otherwise, the system copies a file at 0.7 of the speed.
constexpr std::align_val_t buffer_alignment{64};

constexpr int pool_class_count = 2 * (22 - 12) + 1;

// The class of buffers that have room for so many bytes; -1 where buffers of that size are not kept.
inline int pool_class(size_t size) {
    if (size < smallest_pooled || size > largest_pooled) return -1;
    int index = 0;
    for (size_t room = smallest_pooled; room < size; index += 2, room <<= 1) {
        if (size <= room + room / 2) return index + 1;
    }
    return index;
}

// The size of a buffer of a class, in bytes.
constexpr size_t pool_class_size(int index) {
    const size_t power = smallest_pooled << (index / 2);
    return index % 2 ? power + power / 2 : power;
}

// Thread-safe. No thread ever waits: one that finds the pool busy does not use it, and neither does a process that was
// forked while another thread used it.
class BufferPool {
public:
    // A buffer of the class, or null.
    void *take(int index) noexcept {
        if (in_use_.test_and_set(std::memory_order_acquire)) return nullptr;
        Spare *spare = spares_[index];
        if (spare) {
            spares_[index] = spare->next;
            size_ -= pool_class_size(index);
        }
        in_use_.clear(std::memory_order_release);
        return spare;
    }

    // Keeps a buffer of the class if there is room, or freeing one of another class makes some; returns true if kept.
    bool give(void *buffer, int index) noexcept {
        if (in_use_.test_and_set(std::memory_order_acquire)) return false;
        // A buffer that was just released is likely to be needed next.
        for (int other = 0; other < pool_class_count && !has_room(index); ++other) {
            while (other != index && spares_[other] && !has_room(index)) drop(other);
        }
        const bool is_kept = has_room(index);
        if (is_kept) {
            spares_[index] = ::new (buffer) Spare{spares_[index]};
            size_ += pool_class_size(index);
        }
        in_use_.clear(std::memory_order_release);
        return is_kept;
    }

    // How many bytes are kept.
    size_t size() const noexcept { return size_; }

private:
    struct Spare {
        Spare *next;
    };

    bool has_room(int index) const noexcept { return size_ + pool_class_size(index) <= pool_capacity; }

    // Frees a buffer of the class; there must be one.
    void drop(int index) noexcept {
        Spare *spare = spares_[index];
        spares_[index] = spare->next;
        size_ -= pool_class_size(index);
        ::operator delete(spare, buffer_alignment);
    }

    std::atomic_flag in_use_ = ATOMIC_FLAG_INIT;
    Spare *spares_[pool_class_count] = {};
    std::atomic<size_t> size_{0};
};

// Allocates `size` bytes, from the pool unless that is null. The allocated size does not depend on the pool.
inline void *take_buffer(BufferPool *pool, size_t size) {
    const int index = pool_class(size);
    if (index < 0) return ::operator new(size, buffer_alignment);
    void *buffer = pool ? pool->take(index) : nullptr;
    return buffer ? buffer : ::operator new(pool_class_size(index), buffer_alignment);
}

// Releases a buffer that `take_buffer` returned for the same size.
inline void give_buffer(BufferPool *pool, void *buffer, size_t size) noexcept {
    const int index = pool_class(size);
    if (index < 0 || !pool || !pool->give(buffer, index)) ::operator delete(buffer, buffer_alignment);
}

}  // namespace histscan

#endif
