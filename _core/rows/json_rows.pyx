"""Rows that are JSON objects, as dicts."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool

from histscan._core.rows.called_sink cimport ROW_DONE, ROW_SLOW, CalledSink, read_json_row
from histscan._core.bytes.cursor cimport Cursor, byte_ptr, peek
from histscan._core.rows.dict_rows cimport PyDict_SetItem, RowDecoder, key_of, leave_template
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.json.json_text cimport skip_space
from histscan._core.json.json_value cimport JsonContext, decode_value, expect_end, read_key


cdef int put_member(void* self, int32_t index, Cursor* value) except -1:
    """Puts a value under its key."""
    # References are borrowed: the decoder holds the row, and the keys.
    cdef PyObject* key = key_of(<JsonRowDecoder> self, (<JsonRowDecoder> self).context.keys, index)
    cdef object member_value = decode_value(value, (<JsonRowDecoder> self).context)
    PyDict_SetItem(<PyObject*> (<JsonRowDecoder> self).row, key, <PyObject*> member_value)
    return ROW_DONE


cdef int learn_key(void* self, Cursor* value, byte_ptr begin, byte_ptr end, int32_t* index) except -1:
    """Interns a key; nested objects may have the same ones."""
    cdef JsonRowDecoder decoder = <JsonRowDecoder> self
    cdef PyObject* key_reference = NULL
    value.pos = begin
    index[0] = read_key(value, decoder.context, &key_reference)
    decoder.new_key = <object> key_reference
    Py_DECREF(decoder.new_key)
    return ROW_DONE


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
        cdef CalledSink sink
        sink.self = <void*> self
        sink.put_value = put_member
        sink.learn_key = learn_key
        sink.put_rare_member = put_rare_member
        sink.leave = leave_template
        self.start_row()
        if read_json_row(cursor, self.context.keys.table, self.row_template, sink) != ROW_DONE:
            raise_fault(cursor)
        return self.finish_row()
