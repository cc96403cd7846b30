"""Which column each key of a scan belongs to."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint64_t
from libcpp.vector cimport vector

from histscan._core.column_chunk cimport ColumnChunk
from histscan._core.cursor cimport Cursor, byte_ptr
from histscan._core.expected_items cimport ExpectedItem
from histscan._core.expected_keys cimport ExpectedRow
from histscan._core.expected_members cimport ExpectedMember
from histscan._core.item_selection cimport ItemSelection
from histscan._core.key_memory cimport KeyMemory
from histscan._core.known_items cimport KnownItems
from histscan._core.message_items cimport ItemSchema
from histscan._core.message_rows cimport MessageRowDecoder
from histscan._core.nested_items cimport NestedPath

cdef enum:
    SKIPPED_COLUMN = -1     # the key was not asked for
    SHARED_COLUMN = -2      # rows with it take care: it belongs to several columns, or overlaps with another key
    OBJECT_COLUMN = -3      # it was not asked for, but an object under it may hold a key that was


# What a remembered key stands for.
cdef struct KeyTarget:
    int32_t column      # the index of its column, or one of the numbers above
    int32_t path        # the index in `paths` of what it is within the column; -1 where it is all of it


# The keys of one encoding, and the order in which rows bring them.
cdef struct TargetOrder:
    vector[KeyTarget] targets   # for each key of a KeyMemory
    vector[int32_t] order       # of the latest row: the remembered key at each position
    bint repeats                # the latest row brought its keys in the order of the one before


cdef inline bint note_key(TargetOrder* keys, size_t position, int32_t index) except -1 nogil:
    """Notes which key stands at `position`; says whether it is the one that stood there in the row before."""
    if position == keys.order.size():
        keys.order.push_back(index)
        return False
    if keys.order[position] == index:
        return True
    keys.order[position] = index
    return False


cdef class ColumnKeys:
    cdef ColumnChunk chunk              # whose columns the keys become
    cdef ItemSelection selection        # the keys asked for; None for all
    cdef bint flatten                   # nested values become columns with dotted names, instead of JSON text
    cdef KeyMemory json_keys            # keys of JSON rows, as written from the opening quote to the value
    cdef TargetOrder json_order
    cdef ExpectedRow[ExpectedMember] expected_members   # of the latest row, if it had the keys of the one before
    cdef KeyMemory items                # keys of message items, as the bytes of the fields that spell them
    cdef TargetOrder item_order
    cdef ExpectedRow[ExpectedItem] expected_items       # the same of rows that are items
    cdef KnownItems known_items         # all of `items`, for rows that bring them in other orders
    cdef bint has_plain_items           # there are some, and none of them is for another reader
    cdef MessageRowDecoder record_keys  # spells keys of `.wandb` items out
    cdef MessageRowDecoder parquet_keys     # and those of ParquetHistoryItem
    cdef vector[NestedPath] paths       # where in their columns nested items belong
    cdef dict seen_paths                # item keys, as paths of names, and their indexes in `items`
    cdef set parent_paths               # every path that one of them goes on from

    cdef int32_t remember_json_key(self, byte_ptr begin, byte_ptr end, uint64_t hash, bint is_quoted) except -2
    cdef int32_t remember_item_key(
        self, Cursor* cursor, ItemSchema schema, byte_ptr begin, byte_ptr end, uint64_t hash
    ) except -2
    cdef int note_json_order(self, bint repeats) except -1 nogil
    cdef int note_item_order(self, bint repeats) except -1 nogil
    cdef KeyTarget resolve(self, object key, bint is_item) except *
    cdef int32_t add_path(self, int32_t column, tuple below) except -1
    cdef bint leads_to_wanted(self, tuple path) except -1
    cdef bint has_overlap(self, tuple path) except -1
