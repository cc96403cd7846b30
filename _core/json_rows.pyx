"""Rows that are JSON objects: keys recognised by their bytes, in the order of the row before."""

from cpython.dict cimport PyDict_SetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport int32_t

from histscan._core.cursor cimport JSON_COMMA_EXPECTED, Cursor, byte_ptr, peek, stop
from histscan._core.faults cimport raise_fault
from histscan._core.json_text cimport skip_space
from histscan._core.json_value cimport JsonContext, decode_value, expect_end, read_key
from histscan._core.key_memory cimport RememberedKey, RowShape, has_key


cdef inline bint take_key(Cursor* cursor, int separator, const RememberedKey* entry) noexcept nogil:
    """Takes `separator` and the remembered key behind it, or nothing."""
    cdef byte_ptr before = cursor.pos
    if peek(cursor) != separator:
        return False
    cursor.pos += 1
    if peek(cursor) != c'"':
        skip_space(cursor)
    if not has_key(cursor, entry):
        cursor.pos = before
        return False
    cursor.pos += entry.length
    return True


cdef class JsonRowDecoder:
    """Decodes the rows of one scan, learning from each what the next will look like."""

    def __cinit__(self):
        self.context = JsonContext()
        self.lenient_context = JsonContext(allow_surrogates=True)
        self.shape = RowShape(self.context.keys)

    cdef object decode_text(self, Cursor* cursor, bint has_surrogates):
        """The value of a text that is one row and nothing else."""
        cdef object row
        skip_space(cursor)
        row = self.decode_row(cursor, has_surrogates)
        if cursor.pos != cursor.end:
            expect_end(cursor)
        return row

    cdef object decode_row(self, Cursor* cursor, bint has_surrogates):
        """Takes one row; the cursor is past any white space. A row need not be an object."""
        if has_surrogates:
            return decode_value(cursor, self.lenient_context)
        # Freeing an object amid a row may run code that asks for another one; that does without what is learnt.
        if self.busy or peek(cursor) != c'{':
            return decode_value(cursor, self.context)
        self.busy = True
        try:
            return self.decode_members(cursor)
        finally:
            self.busy = False

    cdef dict decode_members(self, Cursor* cursor):
        """Takes an object by the template, and turns to the careful reader where the row leaves it."""
        cdef dict row = self.shape.start_row()
        cdef Py_ssize_t count = <Py_ssize_t> self.shape.template_order.size()
        cdef Py_ssize_t position
        cdef const RememberedKey* entry
        cdef PyObject* key
        cdef int separator = c'{'
        if self.shape.template is None:
            return self.decode_rest(cursor, row, 0)
        for position in range(count):
            entry = &self.context.keys.entries[self.shape.template_order[position]]
            if not take_key(cursor, separator, entry):
                break
            if peek(cursor) <= c' ':
                # The key was remembered from where no white space followed it.
                skip_space(cursor)
            # Decoding a nested value may remember keys, which moves the entries.
            key = entry.key
            PyDict_SetItem(row, <object> key, decode_value(cursor, self.context))
            if peek(cursor) != c',':
                skip_space(cursor)
            separator = c','
        else:
            if peek(cursor) == c'}':
                cursor.pos += 1
                self.shape.misses = 0
                return row
            position = count
        return self.decode_rest(cursor, self.shape.keep_members(row, position), position)

    cdef dict decode_rest(self, Cursor* cursor, dict row, Py_ssize_t count):
        """Takes what follows the first `count` members, noting the keys' order."""
        cdef RowShape shape = self.shape
        cdef bint repeats = count == 0
        cdef PyObject* key_reference
        cdef object key
        cdef int32_t index
        while True:
            skip_space(cursor)
            if count == 0:
                cursor.pos += 1
                skip_space(cursor)
                if peek(cursor) == c'}':
                    break
            elif peek(cursor) == c',':
                cursor.pos += 1
                skip_space(cursor)
            elif peek(cursor) == c'}':
                break
            else:
                stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
                raise_fault(cursor)
            index = read_key(cursor, self.context, &key_reference)
            key = <object> key_reference
            Py_DECREF(key)
            repeats &= shape.note_key(count, index)
            PyDict_SetItem(row, key, decode_value(cursor, self.context))
            count += 1
        cursor.pos += 1
        shape.finish_row(row, count, repeats)
        return row
