"""The keys that the next row is predicted to have, derived from the rows before."""

from libc.stdint cimport int32_t
from libcpp.vector cimport vector

cdef extern from "keys/row_template.hpp" namespace "histscan" nogil:
    cdef cppclass RowTemplate:
        vector[int32_t] keys    # the predicted keys, in order, as indexes into a KeyTable; none if rows differ
        bint is_new             # the latest row has made the prediction

        void forget()
