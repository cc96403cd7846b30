"""Keys of a table, and the Python object that stands for each."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.wire.item_format cimport add_item_key
from histscan._core.keys.key_table cimport prefix_of


cdef class KeyObjects:
    """The keys seen so far: their table, and the object that dicts use for each."""

    def __cinit__(self, *, bint are_items):
        self.are_items = are_items
        self.objects = []

    cdef int32_t add(self, byte_ptr text, size_t length, object key) except -2:
        """Adds a key that the table does not have; returns its index, or UNKNOWN_KEY if there is no room."""
        cdef Py_ssize_t place = <Py_ssize_t> self.table.size()
        # Each key of the table must have its object. One that the table did not take is replaced by the next.
        if place < len(self.objects):
            self.objects[place] = key
        else:
            self.objects.append(key)
        if self.are_items:
            return add_item_key(self.table, text, length)
        return self.table.add(text, length, prefix_of(text, length))
