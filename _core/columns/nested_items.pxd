"""Nested items of one row, put together as the JSON text of the object that they are leaves of."""

from libc.stdint cimport int32_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.memory.text_room cimport TextRoom


cdef extern from "columns/nested_items.hpp" namespace "histscan" nogil:
    # The names that lead from a column to an item, each as a JSON string, quotes and all.
    cdef cppclass NestedPath:
        int32_t column
        vector[string] names

    # An item of the row at hand, and its value's JSON text.
    cdef cppclass NestedItem:
        int32_t path
        byte_ptr begin
        byte_ptr end

    bint is_tree(const vector[NestedPath]& paths, vector[NestedItem]& items)
    size_t write_object(
        const vector[NestedPath]& paths, const vector[NestedItem]& items, size_t first, TextRoom& out
    ) except +
