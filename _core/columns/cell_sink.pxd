"""Cells of columns as a Sink of `read_members` (members.hpp)."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.wire.item_format cimport ItemSchema
from histscan._core.keys.key_table cimport KeyTable, KeyTarget
from histscan._core.keys.row_template cimport RowTemplate

# The outcome of a row, or of a member; -1 is for exceptions alone.
cdef enum:
    CELLS_SLOW = 0  # it is malformed, or legal but rare: for the slow path
    CELLS_DONE = 1

cdef extern from "columns/cell_sink.hpp" namespace "histscan" nogil:
    cdef struct CellCalls:
        void* self
        # Reads any value of a key. For JSON in a string, the cursor may read text that is not quoted from then on.
        int (*put_value)(void* self, const KeyTarget& target, Cursor* value, cpp_bool* is_quoted) except -1 nogil
        # Interns the key spelt in [begin, end), and sets `index`.
        int (*learn_key)(void* self, Cursor* value, byte_ptr begin, byte_ptr end, int32_t* index) except -1 nogil
        bint notes_nulls    # `put_value` must see each null

    # What is needed to add a row to columns.
    cdef struct CellRow:
        KeyTable* table     # its keys have targets
        RowTemplate* row_template
        CellCalls calls
        size_t row          # every dense column has room for it

    # These read a whole row; -1 is for exceptions of the calls alone.
    int add_item_cells(Cursor* cursor, ItemSchema schema, const CellRow& row) except -1
    int add_json_cells(Cursor* cursor, bint is_quoted, const CellRow& row) except -1
