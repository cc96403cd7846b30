"""Protobuf's wire format (protobuf.dev/programming-guides/encoding): varints, tags, lengths and skipping."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from histscan._core.cursor cimport (
    WIRE_GROUP_INVALID, WIRE_LENGTH_TOO_LONG, WIRE_TAG_INVALID, WIRE_TRUNCATED, WIRE_VARINT_TOO_LONG, Cursor, byte_at,
    byte_ptr, stop,
)

cdef enum WireType:
    WIRE_VARINT = 0
    WIRE_FIXED64 = 1
    WIRE_BYTES = 2
    WIRE_GROUP_START = 3
    WIRE_GROUP_END = 4
    WIRE_FIXED32 = 5

# As deep as protobuf's own runtimes go by default.
cdef enum:
    GROUP_DEPTH_LIMIT = 100


cdef inline bint read_varint(Cursor* cursor, uint64_t* value) noexcept nogil:
    """Takes a varint of at most ten bytes; bits beyond the 64th are dropped, as protobuf's own runtimes do."""
    cdef byte_ptr pos = cursor.pos
    cdef int byte = byte_at(pos, cursor.end)
    cdef uint64_t result
    cdef int shift = 7
    if 0 <= byte < 0x80:
        value[0] = <uint64_t> byte
        cursor.pos = pos + 1
        return True
    result = <uint64_t> (byte & 0x7F)
    while byte >= 0x80:
        pos += 1
        byte = byte_at(pos, cursor.end)
        if byte < 0:
            break
        if shift == 63 and byte >= 0x80:
            return stop(cursor, WIRE_VARINT_TOO_LONG, cursor.pos)
        result |= <uint64_t> (byte & 0x7F) << shift
        shift += 7
    if byte < 0:
        return stop(cursor, WIRE_TRUNCATED, cursor.pos)
    value[0] = result
    cursor.pos = pos + 1
    return True


cdef inline bint read_tag_from(Cursor* cursor, uint32_t lowest, uint32_t* tag) noexcept nogil:
    """Takes a field's tag, `field << 3 | wire type`, which must not be below `lowest` or beyond 32 bits."""
    cdef byte_ptr pos = cursor.pos
    cdef uint64_t value
    if not read_varint(cursor, &value):
        return False
    if value > 0xFFFFFFFFULL or value < lowest or cursor.pos - pos > 5:
        return stop(cursor, WIRE_TAG_INVALID, pos)
    tag[0] = <uint32_t> value
    return True


cdef inline bint read_tag(Cursor* cursor, uint32_t* tag) noexcept nogil:
    """Takes the tag of a message's field; there is no field 0."""
    return read_tag_from(cursor, 1 << 3, tag)


cdef inline bint read_length(Cursor* cursor, byte_ptr* field_end) noexcept nogil:
    """Takes the length of a length-delimited field; `field_end` is where the field's bytes will end.

    As in protobuf's own runtimes a length is below 2**31, and written in five bytes at most.
    """
    cdef byte_ptr pos = cursor.pos
    cdef uint64_t length
    if not read_varint(cursor, &length):
        return False
    if cursor.pos - pos > 5 or length > 0x7FFFFFFF or not length <= <uint64_t> (cursor.end - cursor.pos):
        return stop(cursor, WIRE_LENGTH_TOO_LONG, pos)
    field_end[0] = cursor.pos + length
    return True


cdef inline bint skip_fixed(Cursor* cursor, size_t width) noexcept nogil:
    """Passes over `width` bytes."""
    if not width <= <size_t> (cursor.end - cursor.pos):
        return stop(cursor, WIRE_TRUNCATED, cursor.pos)
    cursor.pos += width
    return True


cdef inline bint skip_plain(Cursor* cursor, uint32_t tag) noexcept nogil:
    """Passes over the payload of a field that is not a group."""
    cdef uint64_t ignored
    cdef byte_ptr field_end
    cdef uint32_t wire_type = tag & 7
    if wire_type == WIRE_BYTES:
        if not read_length(cursor, &field_end):
            return False
        cursor.pos = field_end
        return True
    if wire_type == WIRE_VARINT:
        return read_varint(cursor, &ignored)
    if wire_type == WIRE_FIXED64:
        return skip_fixed(cursor, 8)
    if wire_type == WIRE_FIXED32:
        return skip_fixed(cursor, 4)
    return stop(cursor, WIRE_TAG_INVALID, cursor.pos)


cdef inline bint skip_field(Cursor* cursor, uint32_t tag) noexcept nogil:
    """Passes over the payload of an unknown field whose tag was just taken; groups with all they hold."""
    cdef uint32_t[GROUP_DEPTH_LIMIT] open_groups
    cdef int depth = 0
    while True:
        if tag & 7 == WIRE_GROUP_START:
            if depth == GROUP_DEPTH_LIMIT:
                return stop(cursor, WIRE_GROUP_INVALID, cursor.pos)
            open_groups[depth] = tag >> 3
            depth += 1
        elif tag & 7 == WIRE_GROUP_END:
            if depth == 0 or open_groups[depth - 1] != tag >> 3:
                return stop(cursor, WIRE_GROUP_INVALID, cursor.pos)
            depth -= 1
        elif not skip_plain(cursor, tag):
            return False
        if depth == 0:
            return True
        # Within groups that they pass over, protobuf's own runtimes mind no field 0.
        if not read_tag_from(cursor, 0, &tag):
            return False
