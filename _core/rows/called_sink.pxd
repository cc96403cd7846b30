"""Rows read into functions that make Python objects: a Sink of `read_members` (members.hpp)."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.wire.item_format cimport ItemSchema
from histscan._core.keys.key_table cimport KeyTable
from histscan._core.keys.row_template cimport RowTemplate

# The outcome of a row, or of a member; -1 is for exceptions alone.
cdef enum:
    ROW_SLOW = 0    # it is malformed, and the cursor has the fault
    ROW_DONE = 1

cdef extern from "rows/called_sink.hpp" namespace "histscan" nogil:
    cdef struct CalledSink:
        void* self
        # Reads the value of a known key.
        int (*put_value)(void* self, int32_t index, Cursor* value) except -1
        # Interns the key spelt in [begin, end), and sets `index`: to UNKNOWN_KEY where it keeps the key
        # for one `put_value`.
        int (*learn_key)(void* self, Cursor* value, byte_ptr begin, byte_ptr end, int32_t* index) except -1
        # Reads a member with a rare layout, by all the rules of its encoding.
        int (*put_rare_member)(void* self, Cursor* member, cpp_bool is_removal) except -1
        # Only the first `count` members of the row are the predicted ones.
        int (*leave)(void* self, size_t count) except -1

cdef extern from "rows/called_sink.hpp" namespace "histscan":
    # Reads a whole row; the caller must hold the GIL.
    int read_item_row(
        Cursor* cursor, ItemSchema schema, KeyTable& table, RowTemplate& row_template, const CalledSink& sink
    ) except -1
