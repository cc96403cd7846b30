"""Arrow arrays, read in place through the buffer protocol, and the runs that their rows belong to.

Lengths are checked when an object is made, so that nothing outside of a buffer is read later.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX
from operator import index


cdef class ColumnValidity:
    """Which values of an array are null.

    Args:
        length: The number of values.
        validity: An object with the buffer protocol: a bit for each value, the lowest bit of a byte first, 0 for null;
            or None if no value is null.
        offset: How many values before the first one the buffers have.

    Raises:
        ValueError: The buffer is too short.
    """

    def __cinit__(self, length, validity=None, offset=0, *args, **kwargs):
        self.validity.length = length
        self.validity.offset = offset
        if self.validity.length < 0 or self.validity.offset < 0:
            raise ValueError(f"the length and the offset of a column must not be negative: {length}, {offset}")
        if self.validity.length > INT64_MAX - 7 - self.validity.offset:
            raise ValueError(f"a column can't have {length} values at offset {offset}")
        if validity is not None:
            PyObject_GetBuffer(validity, &self.bits, PyBUF_SIMPLE)
            self.has_bits = True
            if self.bits.len < (self.validity.offset + self.validity.length + 7) // 8:
                raise ValueError(
                    f"the validity has {self.bits.len} bytes, too few for {length} values at offset {offset}"
                )
            self.validity.bits = <const uint8_t*> self.bits.buf

    def __dealloc__(self):
        if self.has_bits:
            PyBuffer_Release(&self.bits)

    def __len__(self):
        return self.validity.length


cdef class NumberColumn(ColumnValidity):
    """An array of numbers.

    Args:
        length: As for `ColumnValidity`.
        validity: As for `ColumnValidity`.
        offset: As for `ColumnValidity`.
        values: An object with the buffer protocol: the values, of 8 bytes each, in the order of the machine's bytes.
        is_integer: True for int64, False for float64.

    Raises:
        ValueError: A buffer is too short.
    """

    def __cinit__(self, length, validity=None, offset=0, *, values, is_integer=False):
        PyObject_GetBuffer(values, &self.values, PyBUF_SIMPLE)
        self.has_values = True
        if self.values.len // 8 < self.validity.offset + self.validity.length:
            raise ValueError(f"the values have {self.values.len} bytes, too few for {length} at offset {offset}")
        self.view.validity = self.validity
        self.view.values = <const uint8_t*> self.values.buf
        self.view.is_integer = is_integer

    def __dealloc__(self):
        if self.has_values:
            PyBuffer_Release(&self.values)


cdef class Segments:
    """The rows of each run, one run after the other.

    Args:
        offsets: The first row of each run, and the number of all rows.
        row_count: The number of all rows.

    Raises:
        TypeError: An offset is not an integer.
        ValueError: The offsets don't begin with 0, descend, or don't end with the number of rows.
    """

    def __cinit__(self, offsets, int64_t row_count):
        cdef int64_t last = 0
        cdef int64_t offset
        for value in offsets:
            value = index(value)
            if not last <= value <= row_count or (self.offsets.empty() and value != 0):
                raise ValueError(
                    f"offset {self.offsets.size()} of the runs is {value}: offsets must begin with 0, must not "
                    f"descend, and must end with the number of rows, {row_count}"
                )
            offset = value
            self.offsets.push_back(offset)
            last = offset
        if self.offsets.empty() or last != row_count:
            raise ValueError(f"the offsets of the runs must begin with 0 and end with the number of rows, {row_count}")
        self.row_count = row_count

    def __len__(self):
        return self.offsets.size() - 1

    cdef int check(self, ColumnValidity column) except -1:
        """Raises an error if a column has another number of rows."""
        if column.validity.length != self.row_count:
            raise ValueError(f"a column has {column.validity.length} rows, and the runs have {self.row_count}")
        return 0


cdef bytes int64_bytes(vector[int64_t]& numbers):
    """Copies numbers into an object that has the buffer protocol."""
    return PyBytes_FromStringAndSize(<const char*> numbers.data(), numbers.size() * sizeof(int64_t))


cdef bytes float64_bytes(vector[double]& numbers):
    """Copies numbers into an object that has the buffer protocol."""
    return PyBytes_FromStringAndSize(<const char*> numbers.data(), numbers.size() * sizeof(double))
