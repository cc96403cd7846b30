// Protobuf's wire format: varints, tags, lengths and unknown fields, against a reader of a page.
//
// Input: a message.

#include <string>

#include "check.hpp"
#include "wire/wire.hpp"

using namespace histscan;

namespace {

// Reads a message as protobuf's documentation has it; `false` if it is malformed.
class Reader {
public:
    Reader(const uint8_t *data, size_t size) : data_(data), size_(size) {}

    size_t pos() const { return pos_; }
    bool varint(uint64_t *value) {
        *value = 0;
        for (int count = 0; count < 10; ++count) {
            if (pos_ == size_) return false;
            const uint64_t byte = data_[pos_++];
            *value |= count < 9 ? (byte & 0x7F) << 7 * count : byte << 63;
            if (byte < 0x80) return true;
        }
        return false;
    }
    bool tag(uint64_t *value, bool in_group) {
        const size_t begin = pos_;
        return varint(value) && *value <= 0xFFFFFFFFu && pos_ - begin <= 5 && (in_group || *value >> 3 != 0);
    }
    bool length(uint64_t *value) {
        const size_t begin = pos_;
        return varint(value) && *value < uint64_t{1} << 31 && pos_ - begin <= 5 && *value <= size_ - pos_;
    }
    // Skips the rest of a field, whose tag was read.
    bool skip(uint64_t tag_value, int depth) {
        uint64_t value;
        switch (tag_value & 7) {
        case WIRE_VARINT:
            return varint(&value);
        case WIRE_FIXED64:
            return forward(8);
        case WIRE_FIXED32:
            return forward(4);
        case WIRE_BYTES:
            return length(&value) && forward(value);
        case WIRE_GROUP_START:
            if (depth == group_depth_limit) return false;
            while (tag(&value, true)) {
                if ((value & 7) == WIRE_GROUP_END) return value >> 3 == tag_value >> 3;
                if (!skip(value, depth + 1)) return false;
            }
            return false;
        default:
            return false;
        }
    }

private:
    bool forward(uint64_t count) {
        if (count > size_ - pos_) return false;
        pos_ += count;
        return true;
    }

    const uint8_t *data_;
    size_t size_, pos_ = 0;
};

void check_place(const Cursor &cursor, const uint8_t *data, size_t size) {
    CHECK(cursor.pos >= data && cursor.pos <= data + size);
    CHECK(cursor.fault_at >= data && cursor.fault_at <= data + size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::byte_counter.bytes += size;
    // Each place in turn as the beginning of a varint and of a length.
    for (size_t begin = 0; begin < size && begin < 64; ++begin) {
        Cursor cursor;
        uint64_t value = 0, expected = 0;
        open_cursor(&cursor, data + begin, size - begin);
        Reader varint(data + begin, size - begin);
        const bool is_varint = varint.varint(&expected);
        CHECK(read_varint(&cursor, &value) == is_varint);
        CHECK(!is_varint || (value == expected && cursor.pos == data + begin + varint.pos()));
        check_place(cursor, data, size);
        const uint8_t *field_end = nullptr;
        open_cursor(&cursor, data + begin, size - begin);
        Reader length(data + begin, size - begin);
        const bool is_length = length.length(&expected);
        CHECK(read_length(&cursor, &field_end) == is_length);
        CHECK(!is_length || (cursor.pos == data + begin + length.pos() && field_end == cursor.pos + expected));
        check_place(cursor, data, size);
    }
    Cursor cursor;
    Reader reader(data, size);
    open_cursor(&cursor, data, size);
    while (cursor.pos < cursor.end) {
        uint32_t tag = 0;
        uint64_t expected = 0;
        const bool is_tag = reader.tag(&expected, false);
        CHECK(read_tag(&cursor, &tag) == is_tag);
        if (!is_tag) break;
        CHECK(tag == expected);
        // The end of a group that did not begin.
        const bool is_field = (tag & 7) != WIRE_GROUP_END && reader.skip(expected, 0);
        CHECK(skip_field(&cursor, tag) == is_field);
        if (!is_field) break;
        CHECK(cursor.pos == data + reader.pos());
    }
    check_place(cursor, data, size);
    return 0;
}
