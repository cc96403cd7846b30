"""The latest value of each key, over updates that replace and remove."""

from libc.stdint cimport int64_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from histscan._core.cursor cimport Cursor, byte_ptr
from histscan._core.key_memory cimport KeyMemory
from histscan._core.message_rows cimport MessageRowDecoder


# The latest update of one key.
cdef struct FoldedItem:
    int64_t order       # counts updates; the later of two keys that overlap wins
    bint is_removed     # the update took the key away
    string message      # the update's SummaryItem or ConfigItem


cdef class ItemFold:
    cdef MessageRowDecoder decoder
    cdef KeyMemory items            # keys seen, as the bytes that spell them
    cdef vector[FoldedItem] latest  # for each of them, its latest update
    cdef dict others                # the same for keys that are not remembered: bytes → (order, removed, message)
    cdef int64_t count              # updates so far

    cdef int fold(self, Cursor* cursor) except -1
    cdef int fold_item(self, byte_ptr begin, byte_ptr end, bint is_removed) except -1
