"""Rows that are JSON objects, as dicts."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool

from histscan._core.rows.called_sink cimport ROW_DONE, ROW_SLOW
from histscan._core.rows.dict_sink cimport DictRow, read_json_dict
from histscan._core.bytes.cursor cimport Cursor, byte_ptr, peek
from histscan._core.rows.dict_rows cimport RowDecoder
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.json.json_text cimport skip_space
from histscan._core.json.json_value cimport JsonContext, decode_value, expect_end, read_key


cdef int learn_key(
    void* self, Cursor* value, byte_ptr begin, byte_ptr end, int32_t* index, PyObject** new_key
) except -1:
    """Interns a key; nested objects may have the same ones."""
    cdef JsonRowDecoder decoder = <JsonRowDecoder> self
    value.pos = begin
    decoder.new_key = read_key(value, decoder.context, index)
    new_key[0] = <PyObject*> decoder.new_key
    return ROW_DONE


cdef int put_path(void* self, PyObject* path, PyObject* value) except -1:
    """JSON has no keys that are paths."""
    return ROW_SLOW


cdef int put_rare_member(void* self, Cursor* member, cpp_bool is_removal) except -1:
    """JSON has no members with a rare layout."""
    return ROW_SLOW


cdef class JsonRowDecoder(RowDecoder):
    """Decodes the rows of one scan, predicting the keys of each from the rows before."""

    def __cinit__(self):
        self.context = JsonContext()
        self.lenient_context = JsonContext(allow_surrogates=True)

    cdef object decode_text(self, Cursor* cursor, bint has_surrogates):
        """The value of a text that is one row and nothing else."""
        cdef object row
        skip_space(cursor)
        row = self.decode_row(cursor, has_surrogates)
        if cursor.pos != cursor.end:
            expect_end(cursor)
        return row

    cdef object decode_row(self, Cursor* cursor, bint has_surrogates):
        """Decodes one row; the cursor must be past any white space. A row need not be an object."""
        if has_surrogates:
            return decode_value(cursor, self.lenient_context)
        # Freeing an object within a row may run code that decodes another row; that one does not use the template.
        if self.busy or peek(cursor) != c'{':
            return decode_value(cursor, self.context)
        self.busy = True
        try:
            return self.decode_members(cursor)
        finally:
            self.new_key = self.row = None
            self.busy = False

    cdef dict decode_members(self, Cursor* cursor):
        """Decodes an object."""
        cdef DictRow row
        self.start_row(self.context.keys, &row)
        row.learn_key = learn_key
        row.put_path = put_path
        row.put_rare_member = put_rare_member
        if read_json_dict(cursor, self.context.keys.table, self.row_template, row) != ROW_DONE:
            raise_fault(cursor)
        return self.finish_row()
