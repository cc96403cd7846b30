"""Keys of a table, and the Python object that stands for each."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.wire.item_format cimport add_item_key
from histscan._core.keys.key_table cimport UNKNOWN_KEY, prefix_of


cdef class KeyObjects:
    """The keys seen so far: their table, and the object that dicts use for each."""

    def __cinit__(self, *, bint are_items):
        self.are_items = are_items
        self.objects = []

    cdef int32_t add(self, byte_ptr text, size_t length, object key) except -2:
        """Adds a key that the table does not have; returns its index, or UNKNOWN_KEY if there is no room."""
        cdef int32_t index
        self.objects.append(key)
        try:
            if self.are_items:
                index = add_item_key(self.table, text, length)
            else:
                index = self.table.add(text, length, prefix_of(text, length))
        except MemoryError:
            self.objects.pop()
            raise
        if index == UNKNOWN_KEY:
            self.objects.pop()
        return index
