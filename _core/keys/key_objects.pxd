"""Keys of a table, and the Python object that stands for each."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.keys.key_table cimport KeyTable

cdef extern from "Python.h":
    PyObject* PyList_GET_ITEM(PyObject* items, Py_ssize_t index)


cdef class KeyObjects:
    cdef KeyTable table
    cdef bint are_items     # the keys are those of message items, not of JSON members
    cdef list objects       # one for each key of the table; behind them perhaps one that it did not take

    cdef inline object object_at(self, int32_t index):
        """The object of a key that the table has."""
        return <object> PyList_GET_ITEM(<PyObject*> self.objects, index)

    cdef int32_t add(self, byte_ptr text, size_t length, object key) except -2
