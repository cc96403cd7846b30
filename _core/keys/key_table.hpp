// The table that interns keys, by the bytes that spell them.
//
// History rows repeat their keys. A key seen before is found by its bytes, without making a str or hashing one.

#ifndef HISTSCAN_KEY_TABLE_HPP
#define HISTSCAN_KEY_TABLE_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
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
    TARGET_COLUMN,  // cells of a column
    TARGET_PATH,    // part of the object that is the cell of a column
    TARGET_OBJECT,  // nowhere, but an object under the key may hold a requested key: such rows take the slow path
    TARGET_SHARED,  // rows with it take the slow path: it belongs to several columns, or overlaps with another key
};

struct KeyTarget {
    Column *column = nullptr;        // of TARGET_COLUMN
    TargetKind kind = TARGET_SHARED;
    int32_t path = -1;               // of TARGET_PATH: its index among the paths
};

// A key of the table.
struct Key {
    Prefix32 prefix;      // what a member with this key begins with, as its encoding writes it
    const uint8_t *text;  // the spelling: quotes and colon, or tag and length, included
    ptrdiff_t length;     // of `text`
    ptrdiff_t needed;     // how many bytes must be left for a member to be compared with the prefix and the text
    uint64_t hash;        // of `text`
    KeyTarget target;     // set by the owner of the table, where that makes columns
};

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
    static constexpr size_t key_limit = 8192;
    static constexpr ptrdiff_t length_limit = 4096;

    KeyTable() : slots_(size_t{1} << first_size_bits, unknown_key) {}

    const Key &operator[](int32_t index) const { return keys_[static_cast<size_t>(index)]; }
    size_t size() const { return keys_.size(); }
    KeyTarget &target(int32_t index) { return keys_[static_cast<size_t>(index)].target; }

    // The index of the key spelt as the `length` bytes at `text`, or `unknown_key`. `end` is where readable bytes end.
    int32_t find(const uint8_t *text, ptrdiff_t length, const uint8_t *end) const {
        const uint64_t hash = hash_of(text, length, end);
        for (size_t probe = 0; probe < probe_limit; ++probe) {
            const int32_t index = slots_[slot_of(hash, probe)];
            if (index == unknown_key) break;
            const Key &key = (*this)[index];
            if (key.hash == hash && key.length == length && same_bytes(key.text, text, static_cast<size_t>(length))) {
                return index;
            }
        }
        return unknown_key;
    }

    // The index of a key that may be spelt so, for the caller to compare; or `unknown_key`. Eight bytes from `text` on
    // must be readable.
    int32_t guess(const uint8_t *text, ptrdiff_t length) const { return slots_[slot_of(hash_key(text, length), 0)]; }

    // Adds a key that `find` did not find, and copies its text; returns its index, or `unknown_key` if there is no
    // room. `around` is how many bytes of a member surround the key.
    int32_t add(const uint8_t *text, ptrdiff_t length, const Prefix32 &prefix, ptrdiff_t around = 0) {
        if (keys_.size() >= key_limit || length > length_limit) return unknown_key;
        if ((keys_.size() + 1) * slots_per_key > slots_.size()) grow();
        const uint64_t hash = hash_of(text, length, text + length);
        size_t probe = 0;
        while (probe < probe_limit && slots_[slot_of(hash, probe)] != unknown_key) ++probe;
        // Too many keys share these slots, as crafted ones may: this one stays unknown, and costs no memory.
        if (probe == probe_limit) return unknown_key;
        const uint8_t *copy = copy_text(text, static_cast<size_t>(length));
        const auto index = static_cast<int32_t>(keys_.size());
        const ptrdiff_t needed = length + around < prefix_size ? prefix_size : length + around;
        keys_.push_back(Key{prefix, copy, length, needed, hash, KeyTarget{}});
        slots_[slot_of(hash, probe)] = index;
        return index;
    }

private:
    // With this many slots for each key, few share one: each probe that fails is a mispredicted branch.
    static constexpr size_t slots_per_key = 16;
    static constexpr int first_size_bits = 10;
    // A lookup probes at most this many neighbouring slots, so that crafted keys cost no more.
    static constexpr size_t probe_limit = 16;
    static constexpr size_t block_size = length_limit;

    static uint64_t hash_of(const uint8_t *text, ptrdiff_t length, const uint8_t *end) {
        if (end - text >= 8) return hash_key(text, length);
        uint8_t padded[8] = {};
        std::memcpy(padded, text, static_cast<size_t>(length));
        return hash_key(padded, length);
    }
    size_t slot_of(uint64_t hash, size_t probe) const {
        return ((hash >> (64 - size_bits_)) + probe) & (slots_.size() - 1);
    }
    const uint8_t *copy_text(const uint8_t *text, size_t length) {
        if (length > block_size - block_used_ || blocks_.empty()) {
            blocks_.emplace_back(new uint8_t[block_size]);
            block_used_ = 0;
        }
        uint8_t *copy = blocks_.back().get() + block_used_;
        std::memcpy(copy, text, length);
        block_used_ += length;
        return copy;
    }
    void grow() {
        std::vector<int32_t> slots(slots_.size() * 4, unknown_key);
        slots_.swap(slots);
        size_bits_ += 2;
        for (size_t index = 0; index < keys_.size(); ++index) {
            size_t probe = 0;
            while (slots_[slot_of(keys_[index].hash, probe)] != unknown_key) ++probe;
            slots_[slot_of(keys_[index].hash, probe)] = static_cast<int32_t>(index);
        }
    }

    std::vector<Key> keys_;
    std::vector<int32_t> slots_;  // a hash table of indexes into `keys_`
    std::vector<std::unique_ptr<uint8_t[]>> blocks_;  // the keys' texts, one after the other
    size_t block_used_ = 0;                           // of the last block
    int size_bits_ = first_size_bits;
};

}  // namespace histscan

#endif
