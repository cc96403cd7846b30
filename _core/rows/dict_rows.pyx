"""The base of the decoders of dict rows: a row starts as a copy of the one before, without its values.

Its hash table is laid out already, so that members only set values.
"""

from cpython.dict cimport PyDict_Copy
from cpython.object cimport PyObject
from libc.stddef cimport size_t

from histscan._core.rows.called_sink cimport ROW_DONE


cdef enum:
    # A new dict has room for so many members: with no more of them, it is filled in less time than one is copied.
    FIRST_ROOM = 5


cdef int leave_template(void* decoder, size_t count, PyObject** members) except -1:
    """The part of a `DictRow`."""
    (<RowDecoder> decoder).leave_template(count)
    members[0] = <PyObject*> (<RowDecoder> decoder).row
    return ROW_DONE


cdef class RowDecoder:
    """Decodes the rows of one scan, predicting the keys of each from the rows before. Abstract."""

    cdef int start_row(self, KeyObjects keys, DictRow* row) except -1:
        """Begins a row with the predicted keys, or with none; `keys` are those of its table."""
        self.has_paths = False
        self.row = {} if self.blank is None or not self.row_template.size() else PyDict_Copy(self.blank)
        row.members = <PyObject*> self.row
        row.context = &self.context.values
        row.keys = <PyObject*> keys.objects
        row.self = <void*> self
        row.leave = leave_template
        row.unquoted = NULL
        return 0

    cdef int leave_template(self, size_t count) except -1:
        """Removes the predicted keys of a row that began as the template, except for the first `count` ones."""
        cdef dict kept
        cdef size_t position = 0
        if self.blank is not None and count < <size_t> len(self.blank):
            kept = {}
            for key, value in self.row.items():
                if position == count:
                    break
                kept[key] = value
                position += 1
            self.row = kept
        return 0

    cdef dict finish_row(self):
        """The row, now complete."""
        cdef dict row = self.row
        cdef bint is_flat
        self.row = None
        if self.row_template.is_new:
            self.row_template.is_new = False
            # A key given twice has one place in the dict, but two in the row; and items with paths share a dict.
            is_flat = not self.has_paths and <size_t> len(row) == self.row_template.size()
            self.blank = None
            if is_flat and <size_t> len(row) > FIRST_ROOM:
                # Once a CPython dict has had a key that is not a str, its table is laid out for any keys: lookups in
                # it, and in its copies, take fewer steps than in one for str alone.
                self.blank = dict.fromkeys((None, *row))
                del self.blank[None]
        return row
