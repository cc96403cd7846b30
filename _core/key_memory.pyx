"""Keys remembered by their bytes, and row shapes.

History rows repeat their keys. A key seen before is found by its bytes, without making a str or hashing one; and where
a row brings the keys of the row before in the same order, its dict starts as a copy of a template, whose hash table
is laid out already.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_Copy
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint64_t

from histscan._core.cursor cimport byte_ptr

cdef extern from *:
    """
    /* Without the hint a dict of two dozen keys is laid out anew three times while it grows. */
    #if PY_VERSION_HEX < 0x030E0000
    #define histscan_new_dict(size) _PyDict_NewPresized(size)
    #if PY_VERSION_HEX >= 0x030D0000
    extern "C" PyObject *_PyDict_NewPresized(Py_ssize_t size);
    #endif
    #else
    #define histscan_new_dict(size) PyDict_New()
    #endif
    """
    dict new_dict "histscan_new_dict" (Py_ssize_t size)

cdef enum:
    # Sixteen slots for each key make a probe that fails on the first one rare: each would be a mispredicted branch.
    SLOTS_PER_KEY = 16
    FIRST_SLOT_COUNT = 1024
    # Beyond this many different keys, or this long a key, new ones are decoded each time they come.
    KEY_LIMIT = 8192
    KEY_LENGTH_LIMIT = 4096
    # Rows that may differ before a template is given up.
    MISS_LIMIT = 3


cdef class KeyMemory:
    """The keys seen so far, by the bytes they are written in."""

    def __cinit__(self):
        self.owners = []
        self.slots.assign(FIRST_SLOT_COUNT, NOT_REMEMBERED)

    cdef int32_t remember(self, byte_ptr text, size_t length, uint64_t hash, object key) except -2:
        """Adds a key that `find` did not find; returns its index, or NOT_REMEMBERED when the memory is full."""
        cdef RememberedKey entry
        cdef bytes owner
        cdef size_t slot, probe
        cdef int32_t index
        if self.entries.size() >= KEY_LIMIT or length > KEY_LENGTH_LIMIT:
            return NOT_REMEMBERED
        if self.entries.size() * SLOTS_PER_KEY >= self.slots.size():
            self.slots.assign(self.slots.size() * 4, NOT_REMEMBERED)
            for index in range(<int32_t> self.entries.size()):
                slot = self.entries[index].hash & (self.slots.size() - 1)
                while self.slots[slot] != NOT_REMEMBERED:
                    slot = (slot + 1) & (self.slots.size() - 1)
                self.slots[slot] = index
        for probe in range(PROBE_LIMIT):
            slot = (hash + probe) & (self.slots.size() - 1)
            if self.slots[slot] == NOT_REMEMBERED:
                break
        else:
            # Too many keys share these slots: this one is decoded each time it comes, and costs no memory.
            return NOT_REMEMBERED
        owner = PyBytes_FromStringAndSize(<char*> text, length)
        self.owners.append((owner, key))
        # Making these may have run other code, which may have remembered keys. From here on none can run.
        while self.slots[slot] != NOT_REMEMBERED:
            slot = (slot + 1) & (self.slots.size() - 1)
        index = <int32_t> self.entries.size()
        entry.text = <byte_ptr> PyBytes_AS_STRING(owner)
        entry.length = length
        entry.hash = hash
        entry.head = head_of(entry.text, length)
        entry.key = <PyObject*> key
        self.entries.push_back(entry)
        self.slots[slot] = index
        return index


cdef class RowShape:
    """The order in which the latest rows brought their keys."""

    def __cinit__(self, KeyMemory memory not None):
        self.memory = memory

    cdef dict start_row(self):
        """A dict for the next row: a copy of the template if there is one, otherwise empty with room."""
        if self.template is not None:
            return PyDict_Copy(self.template)
        return new_dict(<Py_ssize_t> self.order.size())

    cdef dict keep_members(self, dict row, Py_ssize_t count):
        """The first `count` members of a row that began as the template and then left it."""
        cdef dict kept
        cdef Py_ssize_t position = 0
        self.misses += 1
        if self.misses > MISS_LIMIT:
            self.template = None
        if count == <Py_ssize_t> self.template_order.size():
            return row
        kept = {}
        for key, value in row.items():
            if position == count:
                break
            kept[key] = value
            position += 1
        return kept

    cdef int finish_row(self, dict row, Py_ssize_t count, bint repeats) except -1:
        """Learns from a complete row of `count` members that was read without the template.

        `repeats` says that each key was the one remembered for its position.
        """
        cdef int32_t index
        if not (repeats and count == <Py_ssize_t> self.order.size()):
            self.order.resize(count)
            return 0
        # A key given twice has one place in the dict, but two in the row.
        if len(row) != count:
            return 0
        for index in self.order:
            if index == NOT_REMEMBERED:
                return 0
        self.template = dict.fromkeys(row)
        self.template_order = self.order
        self.misses = 0
        return 0
