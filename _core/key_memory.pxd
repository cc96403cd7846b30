"""Keys remembered by the very bytes they came in, and the order in which rows bring them."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint64_t
from libcpp.vector cimport vector

from histscan._core.cursor cimport Cursor, byte_ptr, same_bytes

cdef extern from "bytes.hpp" namespace "histscan" nogil:
    cdef struct TextHead:
        pass
    TextHead head_of(byte_ptr text, size_t length)
    bint begins_with(byte_ptr pos, byte_ptr end, byte_ptr text, size_t length, const TextHead& head)

cdef enum:
    NOT_REMEMBERED = -1


# A key is looked for in this many neighbouring slots, whatever was stored: crafted keys cost no more.
cdef extern from *:
    """
    static const size_t histscan_probe_limit = 16;
    """
    const size_t PROBE_LIMIT "histscan_probe_limit"


cdef struct RememberedKey:
    byte_ptr text       # as it stands in the row: quotes and colon, or tag and length, included
    size_t length       # of text
    uint64_t hash       # of text
    TextHead head       # of text
    PyObject* key       # what the row's dict is given; owned by KeyMemory.owners


cdef inline bint has_key(const Cursor* cursor, const RememberedKey* key) noexcept nogil:
    """Whether the next bytes are those that the key is written in; takes nothing."""
    return begins_with(cursor.pos, cursor.end, key.text, key.length, key.head)


cdef class KeyMemory:
    cdef vector[RememberedKey] entries
    cdef vector[int32_t] slots      # a hash table of indexes into entries; NOT_REMEMBERED where free
    cdef list owners                # the bytes and key objects that the entries point at

    cdef inline int32_t find(self, byte_ptr text, size_t length, uint64_t hash) noexcept nogil:
        """The index of the key written as `text`, or NOT_REMEMBERED."""
        cdef size_t mask = self.slots.size() - 1
        cdef size_t probe
        cdef int32_t index
        cdef const RememberedKey* entry
        for probe in range(PROBE_LIMIT):
            index = self.slots[(hash + probe) & mask]
            if index == NOT_REMEMBERED:
                return NOT_REMEMBERED
            entry = &self.entries[index]
            if entry.hash == hash and entry.length == length and same_bytes(entry.text, text, length):
                return index
        return NOT_REMEMBERED

    cdef int32_t remember(self, byte_ptr text, size_t length, uint64_t hash, object key) except -2


cdef class RowShape:
    cdef KeyMemory memory
    cdef vector[int32_t] order      # of the latest row: the remembered key at each position
    cdef dict template              # a row's keys, each with None, once two rows in a row had the same; else None
    cdef vector[int32_t] template_order     # the remembered key at each position of the template
    cdef int misses                 # rows since the template last fitted

    cdef inline bint note_key(self, Py_ssize_t position, int32_t index) except -1:
        """Notes which key stands at `position`; says whether it is the one that stood there in the row before."""
        if position < <Py_ssize_t> self.order.size():
            if self.order[position] == index:
                return True
            self.order[position] = index
        else:
            self.order.push_back(index)
        return False

    cdef dict start_row(self)
    cdef dict keep_members(self, dict row, Py_ssize_t count)
    cdef int finish_row(self, dict row, Py_ssize_t count, bint repeats) except -1
