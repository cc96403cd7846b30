// Protobuf's wire format (protobuf.dev/programming-guides/encoding): varints, tags, lengths and skipping.

#ifndef HISTSCAN_WIRE_HPP
#define HISTSCAN_WIRE_HPP

#include <cstddef>
#include <cstdint>

#include "bytes/cursor.hpp"

namespace histscan {

enum WireType {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP_START = 3,
    WIRE_GROUP_END = 4,
    WIRE_FIXED32 = 5,
};

// As deep as protobuf's own runtimes go by default.
constexpr int group_depth_limit = 100;

// A varint of two bytes or more, as `read_varint`.
inline bool read_long_varint(Cursor *cursor, uint64_t *value) {
    const uint8_t *pos = cursor->pos;
    int byte = byte_at(pos, cursor->end);
    uint64_t result = byte & 0x7F;
    for (int shift = 7; byte >= 0x80; shift += 7) {
        ++pos;
        byte = byte_at(pos, cursor->end);
        if (byte < 0) break;
        if (shift == 63 && byte >= 0x80) return stop(cursor, WIRE_VARINT_TOO_LONG, cursor->pos);
        result |= static_cast<uint64_t>(byte & 0x7F) << shift;
    }
    if (byte < 0) return stop(cursor, WIRE_TRUNCATED, cursor->pos);
    *value = result;
    cursor->pos = pos + 1;
    return true;
}

// Reads a varint of at most ten bytes; bits beyond the 64th are dropped, as protobuf's own runtimes do.
inline bool read_varint(Cursor *cursor, uint64_t *value) {
    const int byte = peek(cursor);
    if (byte < 0 || byte >= 0x80) return read_long_varint(cursor, value);
    *value = static_cast<uint64_t>(byte);
    ++cursor->pos;
    return true;
}

// Reads a field's tag, `field << 3 | wire type`, which must not be below `lowest` or beyond 32 bits.
inline bool read_tag_from(Cursor *cursor, uint32_t lowest, uint32_t *tag) {
    const uint8_t *pos = cursor->pos;
    uint64_t value;
    if (!read_varint(cursor, &value)) return false;
    if (value > 0xFFFFFFFFu || value < lowest || cursor->pos - pos > 5) return stop(cursor, WIRE_TAG_INVALID, pos);
    *tag = static_cast<uint32_t>(value);
    return true;
}

// Reads the tag of a message's field; there is no field 0.
inline bool read_tag(Cursor *cursor, uint32_t *tag) { return read_tag_from(cursor, 1 << 3, tag); }

// Reads the length of a length-delimited field; `field_end` is where the field's bytes will end.
//
// As in protobuf's own runtimes a length is below 2**31, and written in five bytes at most.
inline bool read_length(Cursor *cursor, const uint8_t **field_end) {
    const uint8_t *pos = cursor->pos;
    uint64_t length;
    // Nearly all lengths have one byte or two.
    if (cursor->end - pos >= 2 && (pos[0] < 0x80 || pos[1] < 0x80)) {
        length = pos[0];
        ++cursor->pos;
        if (length >= 0x80) {
            length = (length & 0x7F) | static_cast<uint64_t>(pos[1]) << 7;
            ++cursor->pos;
        }
        if (length > static_cast<uint64_t>(cursor->end - cursor->pos)) return stop(cursor, WIRE_LENGTH_TOO_LONG, pos);
        *field_end = cursor->pos + length;
        return true;
    }
    if (!read_varint(cursor, &length)) return false;
    if (cursor->pos - pos > 5 || length > 0x7FFFFFFF || length > static_cast<uint64_t>(cursor->end - cursor->pos)) {
        return stop(cursor, WIRE_LENGTH_TOO_LONG, pos);
    }
    *field_end = cursor->pos + length;
    return true;
}

// Skips `width` bytes.
inline bool skip_fixed(Cursor *cursor, size_t width) {
    if (width > static_cast<size_t>(cursor->end - cursor->pos)) return stop(cursor, WIRE_TRUNCATED, cursor->pos);
    cursor->pos += width;
    return true;
}

// Skips the payload of a field that is not a group.
inline bool skip_plain(Cursor *cursor, uint32_t tag) {
    uint64_t ignored;
    const uint8_t *field_end;
    switch (tag & 7) {
    case WIRE_BYTES:
        if (!read_length(cursor, &field_end)) return false;
        cursor->pos = field_end;
        return true;
    case WIRE_VARINT:
        return read_varint(cursor, &ignored);
    case WIRE_FIXED64:
        return skip_fixed(cursor, 8);
    case WIRE_FIXED32:
        return skip_fixed(cursor, 4);
    default:
        return stop(cursor, WIRE_TAG_INVALID, cursor->pos);
    }
}

// Skips the payload of an unknown field whose tag was just read; groups with all they hold.
inline bool skip_field(Cursor *cursor, uint32_t tag) {
    uint32_t open_groups[group_depth_limit];
    int depth = 0;
    while (true) {
        if ((tag & 7) == WIRE_GROUP_START) {
            if (depth == group_depth_limit) return stop(cursor, WIRE_GROUP_INVALID, cursor->pos);
            open_groups[depth++] = tag >> 3;
        } else if ((tag & 7) == WIRE_GROUP_END) {
            if (depth == 0 || open_groups[depth - 1] != tag >> 3) return stop(cursor, WIRE_GROUP_INVALID, cursor->pos);
            --depth;
        } else if (!skip_plain(cursor, tag)) {
            return false;
        }
        if (depth == 0) return true;
        // Within groups that they skip, protobuf's own runtimes accept field 0.
        if (!read_tag_from(cursor, 0, &tag)) return false;
    }
}

}  // namespace histscan

#endif
