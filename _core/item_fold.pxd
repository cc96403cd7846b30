"""The latest value of each key, over updates that replace and remove."""

from libc.stdint cimport int64_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from histscan._core.cursor cimport Cursor, byte_ptr
from histscan._core.key_memory cimport KeyMemory
from histscan._core.message_rows cimport MessageRowDecoder


# The latest events of one key. Events are counted, because keys may overlap: a later one replaces, or removes, what
# earlier ones put above and below it.
cdef struct FoldedItem:
    int64_t updated     # the number of the latest update; 0 if there was none
    int64_t removed     # the number of the latest removal; 0 if there was none
    string message      # the SummaryItem or ConfigItem of the latest update, or of a removal if there was none


cdef class ItemFold:
    cdef MessageRowDecoder decoder
    cdef KeyMemory items            # keys seen, as the bytes that spell them
    cdef vector[FoldedItem] latest  # for each of them, its latest events
    cdef list others                # every event of keys that are not remembered: (number, is_removed, message)
    cdef int64_t count              # events so far

    cdef int fold(self, Cursor* cursor) except -1
    cdef int fold_item(self, byte_ptr begin, byte_ptr end, bint is_removed) except -1
