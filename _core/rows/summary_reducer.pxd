"""The latest value of each key, over updates that replace and remove."""

from libc.stdint cimport int64_t
from libcpp cimport bool as cpp_bool
from libcpp.string cimport string
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport Cursor
from histscan._core.rows.message_rows cimport MessageRowDecoder

cdef extern from "rows/summary_sink.hpp" namespace "histscan" nogil:
    # The latest events of one key, by their numbers from 1 on.
    cdef cppclass LatestItem:
        int64_t updated     # the number of the latest update; 0 if there was none
        int64_t removed     # the number of the latest removal; 0 if there was none
        string message      # the SummaryItem or ConfigItem of the latest update, or of a removal if there was none

    cdef cppclass LatestItems:
        vector[LatestItem] known    # of keys in the table
        vector[LatestItem] others   # one event each, of other keys

    # Reads a SummaryRecord or ConfigRecord; returns False where it is malformed, with the fault in the cursor.
    cpp_bool read_updates(Cursor* cursor, LatestItems& items) except +


cdef class SummaryReducer:
    cdef MessageRowDecoder decoder
    cdef LatestItems items

    cdef int reduce(self, Cursor* cursor) except -1
