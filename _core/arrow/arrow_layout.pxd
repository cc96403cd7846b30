"""What the columns of Arrow's record batches are: their names, their types, and which of them were requested."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t
from libcpp.vector cimport vector

from histscan._core.arrow.arrow_abi cimport ArrowSchema


cdef enum ArrowKind:
    ARROW_UNKNOWN           # an unsupported type
    ARROW_NULL
    ARROW_BOOL
    ARROW_INT8
    ARROW_UINT8
    ARROW_INT16
    ARROW_UINT16
    ARROW_INT32
    ARROW_UINT32
    ARROW_INT64
    ARROW_UINT64
    ARROW_HALF
    ARROW_FLOAT
    ARROW_DOUBLE
    ARROW_DATE_DAYS         # int32
    ARROW_DATE_MILLISECONDS
    ARROW_TIME32
    ARROW_TIME64
    ARROW_TIMESTAMP
    ARROW_TEXT              # offsets of 32 bits, from here on
    ARROW_LARGE_TEXT        # offsets of 64 bits
    ARROW_BINARY
    ARROW_LARGE_BINARY
    ARROW_JSON
    ARROW_LARGE_JSON
    ARROW_FIXED_BINARY
    ARROW_LIST
    ARROW_LARGE_LIST
    ARROW_FIXED_LIST
    ARROW_STRUCT


# A column, or what is nested in one. The nodes of a schema are in breadth-first order, so that children are neighbours.
cdef struct ArrowNode:
    ArrowKind kind          # of the indexes, where there is a dictionary
    int64_t per_second      # of times: how many of its units make a second
    bint has_zone           # of timestamps
    int64_t fixed_size      # of fixed-size lists and binary values: how many items or bytes
    int32_t parent          # -1 for the root, which is the record batch itself
    int32_t first_child
    int32_t child_count
    int32_t dictionary      # the node of the dictionary's values; -1 without one
    PyObject* name          # an interned str; owned by ArrowLayout.owners


# A key of the rows, and where its values are.
cdef struct ArrowTarget:
    PyObject* key           # owned by ArrowLayout.owners
    int32_t node
    bint is_step            # becomes an int, whatever its numeric type
    bint is_nested          # a member of a struct, which may be null itself
    PyObject* json_path     # the keys below, where the values are JSON text; NULL for the value itself


cdef class ArrowLayout:
    cdef vector[ArrowNode] nodes
    cdef vector[ArrowTarget] targets    # what rows are made of
    cdef vector[ArrowTarget] required   # the keys that a row must have
    cdef bint lacks_required            # no row can have all required keys
    cdef int32_t step_node              # -1 without a column of steps
    cdef readonly list missing
    cdef list owners
    cdef dict columns                   # the last column of each name, once one is looked up

    cdef int add_nodes(self, const ArrowSchema* schema) except -1
    cdef int refuse_unknown(self, int32_t node, object key) except -1
    cdef int add_target(self, vector[ArrowTarget]* targets, object key, int32_t node, tuple json_path) except -1
    cdef int32_t child_named(self, int32_t node, object name) except -2
    cdef bint find_key(self, vector[ArrowTarget]* targets, str key) except -1
    cdef bint find_below(self, vector[ArrowTarget]* targets, str key, int32_t node, list names) except -1
