"""The members of a JSON row that brings the keys of the row before in the same order: read in the fewest steps.

As in `expected_items`, what is not as expected is left where it stands, for a reader that takes any member.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool

from histscan._core.cursor cimport byte_ptr

cdef extern from "expected_members.hpp" namespace "histscan" nogil:
    cdef cppclass ExpectedMember:
        pass

    ExpectedMember expect_member(byte_ptr key, size_t key_length, int32_t column)
    size_t add_expected_members(
        byte_ptr* next, byte_ptr end, byte_ptr start, const ExpectedMember* expected, size_t count, size_t row,
        cpp_bool* is_closed,
    )
