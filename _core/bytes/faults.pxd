"""Turns a fault in a cursor into an exception."""

from histscan._core.bytes.cursor cimport Cursor, Fault, byte_ptr

cdef int raise_fault(const Cursor* cursor) except -1
cdef int raise_fault_at(Fault fault, Py_ssize_t byte) except -1
cdef str fault_reason(Fault fault)
cdef int raise_too_deep(Cursor* cursor) except -1
cdef int check_memory(object error) except -1
