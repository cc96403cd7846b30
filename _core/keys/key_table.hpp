// The table that interns keys, by the bytes that spell them.
//
// History rows repeat their keys. A key seen before is found by its bytes, without making a str or hashing one.

#ifndef HISTSCAN_KEY_TABLE_HPP
#define HISTSCAN_KEY_TABLE_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "bytes/bytes.hpp"
#include "bytes/compiler.hpp"

namespace histscan {

constexpr int32_t unknown_key = -1;

constexpr ptrdiff_t prefix_size = sizeof Prefix32::bytes;

struct Column;

// Where a key's values go in columns.
enum TargetKind {
    TARGET_UNREAD,  // nowhere: the key was not requested
    TARGET_COLUMN,  // cells of a dense column
    TARGET_SPARSE,  // cells of a sparse column
    TARGET_PATH,    // part of the object that is the cell of a column
    TARGET_OBJECT,  // nowhere, but an object under the key may hold a requested key: such rows take the slow path
    TARGET_SHARED,  // rows with it take the slow path: it belongs to several columns, or overlaps with another key
};

struct KeyTarget {
    Column *column = nullptr;  // of TARGET_COLUMN and TARGET_SPARSE
    TargetKind kind = TARGET_SHARED;
    int32_t path = -1;  // of TARGET_PATH: its index among the paths
};

// A key of the table. What an ordinary member is compared with is in one cache line.
struct alignas(64) Key {
    Prefix32 prefix{};              // what a member with this key begins with, as its encoding writes it
    int32_t index = unknown_key;    // in the table
    ptrdiff_t length = 0;           // of `text`
    ptrdiff_t needed = 0;           // how many bytes must be left for the comparison with the prefix and the text
    KeyTarget target;               // set by the owner of the table, where that makes columns
    const uint8_t *text = nullptr;  // the spelling: quotes and colon, or tag and length, included
    uint64_t hash = 0;              // of `text`
    // The key that came after it in nested objects, the last time; null if unknown.
    mutable const Key *next = nullptr;
};

// What stands for a key that has no room in a table.
inline const Key no_key;

// Returns true if two keys of the same length, 8 bytes or more, are equal from the byte at `place` on. Does not call
// std::memcmp: vectors would not stay in registers.
HISTSCAN_INLINE bool has_same_rest(const uint8_t *left, const uint8_t *right, ptrdiff_t length, ptrdiff_t place) {
    constexpr ptrdiff_t word_size = 8;
    for (; place < length; place += word_size) {
        const ptrdiff_t from = place < length - word_size ? place : length - word_size;
        if (load_word(left + from) != load_word(right + from)) return false;
    }
    return true;
}

// A hash of the `length` bytes at `text`, in its highest bits. Eight bytes from `text` on must be readable, even if
// the text is shorter.
//
// Up to 32 bytes are hashed by four words, whatever their count: a branch could not be predicted.
HISTSCAN_INLINE uint64_t hash_key(const uint8_t *text, ptrdiff_t length) {
    constexpr uint64_t factors[] = {0x9E3779B97F4A7C15u, 0xC2B2AE3D27D4EB4Fu, 0xD6E8FEB86659FD93u, 0xA0761D6478BD642Fu};
    constexpr ptrdiff_t word_size = 8;
    // An empty key has no word to hash; one comparison finds it together with the long ones.
    if (static_cast<size_t>(length) - 1 >= 4 * word_size) {
        return length == 0 ? 0 : hash_long_text(text, static_cast<size_t>(length)) * factors[0];
    }
    // Where the last word begins, and about a third of the way to there: then no byte is left out.
    const ptrdiff_t last = length < word_size ? 0 : length - word_size;
    const ptrdiff_t third = (last * 11 + 16) >> 5;
    const int unused = length < word_size ? static_cast<int>(8 * (word_size - length)) : 0;
    return (load_word(text) << unused) * factors[0] + (load_word(text + third) << unused) * factors[1] +
           (load_word(text + last - third) << unused) * factors[2] + (load_word(text + last) << unused) * factors[3];
}

class KeyTable {
public:
    // Beyond this many different keys, or this long a key, new ones stay unknown.
    size_t key_limit = 8192;
    static constexpr ptrdiff_t length_limit = 4096;

    const Key &operator[](int32_t index) const { return key_at(static_cast<size_t>(index)); }
    size_t size() const { return size_; }
    KeyTarget &target(int32_t index) { return key_at(static_cast<size_t>(index)).target; }

    // The key spelt as the `length` bytes at `text`, or null. `end` is where readable bytes end.
    const Key *look_up(const uint8_t *text, ptrdiff_t length, const uint8_t *end) const {
        const uint64_t hash = hash_of(text, length, end);
        for (size_t probe = 0; probe < probe_limit; ++probe) {
            const Key *key = slots_[slot_of(hash, probe)];
            if (key == nullptr) break;
            if (key->hash != hash || key->length != length) continue;
            if (same_bytes(key->text, text, static_cast<size_t>(length))) return key;
        }
        return nullptr;
    }

    // As `look_up`: the key's index, or `unknown_key`.
    int32_t find(const uint8_t *text, ptrdiff_t length, const uint8_t *end) const {
        const Key *key = look_up(text, length, end);
        return key == nullptr ? unknown_key : key->index;
    }

    // A key that may be spelt so, for the caller to compare; or null. Eight bytes from `text` on must be readable.
    HISTSCAN_INLINE const Key *guess(const uint8_t *text, ptrdiff_t length) const {
        return slots_[hash_key(text, length) >> unused_bits_];
    }

    // Adds a key that `find` did not find, and copies its text; returns its index, or `unknown_key` if there is no
    // room. `around` is how many bytes of a member surround the key.
    int32_t add(const uint8_t *text, ptrdiff_t length, const Prefix32 &prefix, ptrdiff_t around = 0) {
        if (size_ >= key_limit || length > length_limit) return unknown_key;
        if ((size_ + 1) * slots_per_key > slot_count()) grow();
        const uint64_t hash = hash_of(text, length, text + length);
        size_t probe = 0;
        while (probe < probe_limit && slots_[slot_of(hash, probe)] != nullptr) ++probe;
        // Too many keys share these slots, as crafted ones may: this one stays unknown, and costs no memory.
        if (probe == probe_limit) return unknown_key;
        // A block may be there already: where memory ran out, the key that it was made for was not added.
        if (size_ == key_blocks_.size() * key_block_size) {
            key_blocks_.push_back(std::make_unique<Key[]>(key_block_size));
        }
        Key &key = key_at(size_);
        key.prefix = prefix;
        key.length = length;
        key.needed = length + around < prefix_size ? prefix_size : length + around;
        key.index = static_cast<int32_t>(size_);
        key.text = copy_text(text, static_cast<size_t>(length));
        key.hash = hash;
        own_slots_[slot_of(hash, probe)] = &key;
        ++size_;
        return key.index;
    }

    // Returns true if a key that `find` did not find should be added: while there are few keys, at once; then when it
    // comes for the second time. So keys that never come again cost no memory, and don't slow down the lookup of others.
    bool is_recurring(const uint8_t *text, ptrdiff_t length) {
        if (size_ < unconditional_keys) return true;
        if (size_ >= key_limit || length > length_limit) return false;
        const uint64_t hash = hash_of(text, length, text + length);
        if (!seen_) seen_.reset(new uint32_t[seen_count]());
        // Another key may take the place: then a key is added when it comes for the third time.
        uint32_t &seen = seen_[hash >> (64 - seen_bits)];
        const uint32_t mark = static_cast<uint32_t>(hash >> (32 - seen_bits)) | 1;
        const bool is_recurring = seen == mark;
        seen = mark;
        return is_recurring;
    }

private:
    static constexpr size_t unconditional_keys = 128;
    static constexpr int seen_bits = 12;
    static constexpr size_t seen_count = size_t{1} << seen_bits;

    // With this many slots for each key, few share one: each probe that fails is a mispredicted branch.
    static constexpr size_t slots_per_key = 8;
    static constexpr int first_size_bits = 10;
    // A lookup probes at most this many neighbouring slots, so that crafted keys cost no more.
    static constexpr size_t probe_limit = 16;
    static constexpr size_t block_size = length_limit;
    static constexpr size_t key_block_size = 32;

    // The slots of an empty table.
    static constexpr const Key *no_slots[2] = {};

    struct FreeSlots {
        void operator()(const Key **slots) const { std::free(slots); }
    };

    size_t slot_count() const { return size_t{1} << (64 - unused_bits_); }
    Key &key_at(size_t index) const { return key_blocks_[index / key_block_size][index % key_block_size]; }

    static uint64_t hash_of(const uint8_t *text, ptrdiff_t length, const uint8_t *end) {
        if (end - text >= 8) return hash_key(text, length);
        uint8_t padded[8] = {};
        std::memcpy(padded, text, static_cast<size_t>(length));
        return hash_key(padded, length);
    }
    size_t slot_of(uint64_t hash, size_t probe) const { return ((hash >> unused_bits_) + probe) & (slot_count() - 1); }
    const uint8_t *copy_text(const uint8_t *text, size_t length) {
        if (length > block_size - block_used_ || blocks_.empty()) {
            blocks_.push_back(std::make_unique<uint8_t[]>(block_size));
            block_used_ = 0;
        }
        uint8_t *copy = blocks_.back().get() + block_used_;
        std::memcpy(copy, text, length);
        block_used_ += length;
        return copy;
    }
    void grow() {
        const int size_bits = own_slots_ ? 64 - unused_bits_ + 2 : first_size_bits;
        // Large memory from `calloc` is zero already, and most of it stays untouched.
        auto *slots = static_cast<const Key **>(std::calloc(size_t{1} << size_bits, sizeof(const Key *)));
        if (slots == nullptr) throw std::bad_alloc();
        own_slots_.reset(slots);
        slots_ = slots;
        unused_bits_ = 64 - size_bits;
        for (size_t index = 0; index < size_; ++index) {
            const Key &key = key_at(index);
            size_t probe = 0;
            while (slots[slot_of(key.hash, probe)] != nullptr) ++probe;
            slots[slot_of(key.hash, probe)] = &key;
        }
    }

    // Keys stay where they are: templates and slots point at them.
    std::vector<std::unique_ptr<Key[]>> key_blocks_;
    size_t size_ = 0;  // how many keys there are
    std::unique_ptr<const Key *[], FreeSlots> own_slots_;
    const Key *const *slots_ = no_slots;              // a hash table; those it owns, once it has a key
    std::vector<std::unique_ptr<uint8_t[]>> blocks_;  // the keys' texts, one after the other
    size_t block_used_ = 0;                           // of the last block
    int unused_bits_ = 63;                            // of a hash
    std::unique_ptr<uint32_t[]> seen_;                // parts of the hashes of keys that came once
};

}  // namespace histscan

#endif
