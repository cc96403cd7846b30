"""Columns of some consecutive rows."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t
from libcpp.vector cimport vector

from histscan._core.columns.column_cells cimport CellTable, Column


cdef class ColumnChunk:
    cdef CellTable cells                # of the columns
    cdef readonly list names            # of the columns, in the order in which they first appeared
    cdef vector[size_t] first_rows      # in which row each of `names` first appeared
    cdef dict index_of                  # column indexes by name
    cdef size_t row_at_hand             # in which row columns appear that are created now
    cdef Py_ssize_t requested           # how many of `names` were there before any row
    cdef readonly Py_ssize_t row_count
    cdef bint notes_nulls               # `Column.null_rows` are filled
    cdef bint has_refused_row           # a malformed row was removed, of whose values the type flags may be
    cdef bint is_used_up                # the columns' buffers were exported

    cdef int32_t column_named(self, str name) except -2
    cdef Py_ssize_t first_name_since(self, size_t row) except -1
    cdef int sort_names_since(self, size_t row, object page, Py_ssize_t ahead) except -1
    cdef int put_object(self, str name, object value, bytes text, size_t row) except -1
    cdef bint is_full(self) noexcept nogil
    cdef int complete(self) except -1 nogil
    cdef void renew_type_flags(self, Column* column) noexcept nogil
    cdef int use_up(self) except -1
