"""The keys that the next row is predicted to have, derived from the rows before."""

from libc.stddef cimport size_t

cdef extern from "keys/row_template.hpp" namespace "histscan" nogil:
    cdef cppclass RowTemplate:
        bint is_new             # the latest row has made the prediction

        size_t size()           # how many keys are predicted; 0 if rows differ
        void forget()
