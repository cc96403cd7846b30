"""The base of the decoders of dict rows: a row starts as a copy of the one before, without its values."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from histscan._core.json.json_value cimport JsonContext
from histscan._core.keys.key_objects cimport KeyObjects, PyList_GET_ITEM
from histscan._core.keys.key_table cimport UNKNOWN_KEY
from histscan._core.keys.row_template cimport RowTemplate

cdef extern from "Python.h":
    # As in cpython.dict, but for borrowed references: a row's loop counts no reference needlessly.
    int PyDict_SetItem(PyObject* members, PyObject* key, PyObject* value) except -1


cdef class RowDecoder:
    cdef JsonContext context        # for values
    cdef RowTemplate row_template
    cdef dict blank                 # the predicted keys, each with None; None if rows have other keys
    cdef bint busy                  # a row is being decoded
    # Of the row being decoded:
    cdef dict row
    cdef object new_key             # the latest new key
    cdef bint has_paths             # some of its keys are paths of names

    cdef int start_row(self) except -1
    cdef dict finish_row(self)
    cdef int leave_template(self, size_t count) except -1


cdef inline PyObject* key_of(RowDecoder decoder, KeyObjects keys, int32_t index) noexcept:
    """A key by its index, or the latest new key; a borrowed reference."""
    return <PyObject*> decoder.new_key if index == UNKNOWN_KEY else PyList_GET_ITEM(<PyObject*> keys.objects, index)


cdef int leave_template(void* decoder, size_t count) except -1
