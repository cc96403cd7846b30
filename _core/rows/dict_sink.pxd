"""Dict rows as a Sink of `read_members` (members.hpp)."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.json.json_value cimport ValueContext
from histscan._core.wire.item_format cimport ItemSchema
from histscan._core.keys.key_table cimport KeyTable
from histscan._core.keys.row_template cimport RowTemplate

cdef extern from "rows/dict_sink.hpp" namespace "histscan":
    # A row while it is read. All references are borrowed: the caller of `read_item_dict` must hold the objects.
    cdef struct DictRow:
        PyObject* members               # the dict
        const ValueContext* context     # for values
        PyObject* keys                  # a list: the object of each key of the table
        void* self
        # Returns the key spelt in [begin, end).
        object (*make_key)(void* self, Cursor* value, byte_ptr begin, byte_ptr end)
        # Adds a key to the table and to `keys`; returns its index, or UNKNOWN_KEY.
        int32_t (*add_key)(void* self, byte_ptr begin, size_t length, object key) except -2
        # Puts a value under a path: a tuple of names.
        int (*put_path)(void* self, PyObject* path, PyObject* value) except -1
        # Reads a member with a rare layout, by all the rules of its encoding.
        int (*put_rare_member)(void* self, Cursor* member, cpp_bool is_removal) except -1
        # Only the first `count` members of the row are the predicted ones: sets `members` to a dict of these.
        int (*leave)(void* self, size_t count, PyObject** members) except -1
        # Of rows within a JSON string: room for their text without the quotes' backslashes.
        vector[uint8_t]* unquoted

    # These read a whole row; the caller must hold the GIL.
    int read_item_dict(
        Cursor* cursor, ItemSchema schema, KeyTable& table, RowTemplate& row_template, DictRow& row
    ) except -1
    # `is_quoted`: the row is within a JSON string, as json_quoted.pxd has it.
    int read_json_dict(
        Cursor* cursor, bint is_quoted, KeyTable& table, RowTemplate& row_template, DictRow& row
    ) except -1
