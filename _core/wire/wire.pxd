"""Protobuf's wire format (protobuf.dev/programming-guides/encoding): varints, tags, lengths and skipping."""

from libc.stdint cimport uint32_t, uint64_t

from histscan._core.bytes.cursor cimport Cursor, byte_ptr

# Parts of tags, and as such constants at compile time.
cdef enum WireType:
    WIRE_VARINT = 0
    WIRE_FIXED64 = 1
    WIRE_BYTES = 2
    WIRE_GROUP_START = 3
    WIRE_GROUP_END = 4
    WIRE_FIXED32 = 5

cdef extern from "wire/wire.hpp" namespace "histscan" nogil:
    # Reads a varint of at most ten bytes.
    bint read_varint(Cursor* cursor, uint64_t* value)
    # Reads the tag of a message's field, `field << 3 | wire type`.
    bint read_tag(Cursor* cursor, uint32_t* tag)
    # Reads the length of a length-delimited field; `field_end` is where the field's bytes will end.
    bint read_length(Cursor* cursor, byte_ptr* field_end)
    # Skips the payload of a field whose tag was just read; groups with all they hold.
    bint skip_field(Cursor* cursor, uint32_t tag)
