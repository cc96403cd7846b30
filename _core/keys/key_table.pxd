"""The table that interns keys, by the bytes that spell them."""

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t

from histscan._core.columns.column_cells cimport Column
from histscan._core.bytes.cursor cimport byte_ptr

cdef extern from "bytes/bytes.hpp" namespace "histscan" nogil:
    cdef struct Prefix32:
        pass

    # The first bytes of a member with this key: for JSON, where a member begins with its key.
    Prefix32 prefix_of(byte_ptr text, size_t length)

cdef extern from "keys/key_table.hpp" namespace "histscan" nogil:
    const int32_t UNKNOWN_KEY "histscan::unknown_key"

    # Where a key's values go in columns.
    cdef enum TargetKind:
        TARGET_UNREAD   # nowhere: the key was not requested
        TARGET_COLUMN   # cells of a dense column
        TARGET_SPARSE   # cells of a sparse column
        TARGET_PATH     # part of the object that is the cell of a column
        TARGET_OBJECT   # nowhere, but an object under the key may hold a requested key: such rows take the slow path
        TARGET_SHARED   # rows with it take the slow path: it belongs to several columns, or overlaps with another key

    cdef struct KeyTarget:
        Column* column  # of TARGET_COLUMN and TARGET_SPARSE
        TargetKind kind
        int32_t path    # of TARGET_PATH: its index among the paths

    cdef cppclass KeyTable:
        size_t key_limit    # beyond so many different keys, new ones stay unknown
        size_t size()
        # Where a key's values go; set by the owner of the table, where that makes columns.
        KeyTarget& target(int32_t index)
        # The index of the key spelt as `length` bytes, or UNKNOWN_KEY; `end` is where readable bytes end.
        int32_t find(byte_ptr text, ptrdiff_t length, byte_ptr end)
        # Adds a key that `find` did not find, and copies its text; returns its index, or UNKNOWN_KEY if there is no
        # room.
        int32_t add(byte_ptr text, ptrdiff_t length, const Prefix32& prefix) except +
