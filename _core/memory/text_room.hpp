// Room for bytes that are written once, such as text with its escapes decoded; it is freed with its owner.

#ifndef HISTSCAN_TEXT_ROOM_HPP
#define HISTSCAN_TEXT_ROOM_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "bytes/compiler.hpp"
#include "memory/buffer_pool.hpp"

namespace histscan {

// Bytes one after the other, in memory from the pool. `std::vector` has no way to write bytes first, and to say then
// how many there are: `resize` took a sixth of the time of short texts.
class TextRoom {
public:
    TextRoom() noexcept = default;
    explicit TextRoom(BufferPool *pool) noexcept : pool_(pool) {}
    TextRoom(TextRoom &&other) noexcept { swap(other); }
    TextRoom &operator=(TextRoom &&other) noexcept {
        swap(other);
        return *this;
    }
    TextRoom(const TextRoom &) = delete;
    TextRoom &operator=(const TextRoom &) = delete;
    ~TextRoom() {
        if (bytes_) give_buffer(pool_, bytes_, capacity_);
    }

    uint8_t *data() noexcept { return bytes_; }
    const uint8_t *data() const noexcept { return bytes_; }
    size_t size() const noexcept { return size_; }
    size_t capacity() const noexcept { return capacity_; }
    bool empty() const noexcept { return size_ == 0; }
    void clear() noexcept { size_ = 0; }

    // Makes room for `count` bytes after the last one, and returns where they begin.
    uint8_t *make_room(size_t count) {
        if (capacity_ - size_ < count) grow(count, 0);
        return bytes_ + size_;
    }
    // Makes room for `capacity` bytes in all.
    void reserve(size_t capacity) {
        if (capacity > capacity_) move_to(capacity, size_);
    }
    // As `make_room`, where there is too little: the first `written` of the bytes are written already, and move as well.
    HISTSCAN_NOINLINE void make_more_room(size_t count, size_t written) { grow(count, written); }
    // Says that `count` bytes were written where `make_room` has made room.
    void add(size_t count) noexcept { size_ += count; }

    // New bytes have any value.
    void resize(size_t size) {
        if (size > size_) make_room(size - size_);
        size_ = size;
    }
    void push_back(uint8_t byte) {
        *make_room(1) = byte;
        ++size_;
    }
    void append(const uint8_t *bytes, size_t count) {
        uint8_t *const out = make_room(count);
        if (count) std::memcpy(out, bytes, count);
        size_ += count;
    }
    void swap(TextRoom &other) noexcept {
        std::swap(bytes_, other.bytes_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        std::swap(pool_, other.pool_);
    }

private:
    // Makes room for `count` bytes after the last one, of which `written` have been written.
    void grow(size_t count, size_t written) {
        constexpr size_t limit = static_cast<size_t>(-1) / 4;
        if (count > limit || size_ > limit) throw std::bad_alloc();
        const size_t needed = size_ + count, doubled = 2 * capacity_;
        move_to(needed > doubled ? needed : doubled, size_ + written);
    }
    // Moves the first `used` bytes.
    void move_to(size_t capacity, size_t used) {
        auto *const bytes = static_cast<uint8_t *>(take_buffer(pool_, capacity));
        if (used) std::memcpy(bytes, bytes_, used);
        if (bytes_) give_buffer(pool_, bytes_, capacity_);
        bytes_ = bytes;
        capacity_ = capacity;
    }

    uint8_t *bytes_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
    BufferPool *pool_ = nullptr;
};

// Bytes that are written behind a text, and belong to it when their number is known.
class TextTail {
public:
    // Makes room for `count` bytes.
    HISTSCAN_INLINE TextTail(TextRoom &text, size_t count) : text_(text), begin_(text.make_room(count)) {
        room_ = text.capacity() - text.size();
    }

    size_t length() const { return length_; }
    // Where the next byte is written.
    uint8_t *end() const { return begin_ + length_; }
    HISTSCAN_INLINE void make_room(size_t count) {
        if (HISTSCAN_LIKELY(room_ - length_ >= count)) return;
        text_.make_more_room(length_ + count, length_);
        begin_ = text_.data() + text_.size();
        room_ = text_.capacity() - text_.size();
    }
    // Says that `count` bytes were written where there is room.
    void move_on(size_t count) { length_ += count; }

private:
    TextRoom &text_;
    uint8_t *begin_;
    size_t room_, length_ = 0;
};

}  // namespace histscan

#endif
