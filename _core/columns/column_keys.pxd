"""Which column each key of a scan belongs to."""

from libc.stdint cimport int32_t
from libcpp.vector cimport vector

from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.wire.item_format cimport ItemSchema
from histscan._core.keys.item_selection cimport ItemSelection
from histscan._core.keys.key_table cimport KeyTable, KeyTarget
from histscan._core.rows.message_rows cimport MessageRowDecoder
from histscan._core.columns.nested_items cimport NestedPath
from histscan._core.keys.row_template cimport RowTemplate


# The keys of one encoding, and the order in which rows have them.
cdef struct KnownKeys:
    KeyTable table
    RowTemplate row_template


cdef class ColumnKeys:
    cdef ColumnChunk chunk              # whose columns the keys become
    cdef ItemSelection selection        # the requested keys; None for all
    cdef bint flatten                   # nested values become columns with dotted names, instead of JSON text
    cdef KnownKeys members              # keys of JSON rows, as written from the opening quote to the value
    cdef KnownKeys items                # keys of message items, as the bytes of the fields that spell them
    cdef MessageRowDecoder record_keys  # spells keys of `.wandb` items out
    cdef MessageRowDecoder parquet_keys     # and those of ParquetHistoryItem
    cdef vector[NestedPath] paths       # where in their columns nested items belong
    cdef dict seen_paths                # item keys, as paths of names, and their indexes in `items`
    cdef set parent_paths               # every path that one of them extends

    cdef int note_sparse(self) noexcept nogil
    cdef int32_t learn_member_key(self, byte_ptr begin, byte_ptr end) except -2
    cdef int32_t learn_item_key(self, Cursor* cursor, ItemSchema schema, byte_ptr begin, byte_ptr end) except -2
    cdef KeyTarget resolve(self, object key, bint is_item) except *
    cdef int32_t add_path(self, int32_t column, tuple below) except -1
    cdef bint leads_to_wanted(self, tuple path) except -1
    cdef bint has_overlap(self, tuple path) except -1
