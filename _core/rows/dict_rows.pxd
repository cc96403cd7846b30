"""The base of the decoders of dict rows: a row starts as a copy of the one before, without its values."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t

from histscan._core.json.json_value cimport JsonContext
from histscan._core.keys.key_objects cimport KeyObjects
from histscan._core.keys.row_template cimport RowTemplate
from histscan._core.rows.dict_sink cimport DictRow


cdef class RowDecoder:
    cdef JsonContext context        # for values
    cdef RowTemplate row_template
    cdef dict blank                 # the predicted keys, each with None; None if rows have other keys
    cdef bint busy                  # a row is being decoded
    # Of the row being decoded:
    cdef dict row
    cdef bint has_paths             # some of its keys are paths of names

    cdef int start_row(self, KeyObjects keys, DictRow* row) except -1
    cdef dict finish_row(self)
    cdef int leave_template(self, size_t count) except -1


cdef int leave_template(void* decoder, size_t count, PyObject** members) except -1
