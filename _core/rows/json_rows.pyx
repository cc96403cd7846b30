"""Rows that are JSON objects, as dicts."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.rows.called_sink cimport ROW_DONE, ROW_SLOW
from histscan._core.rows.dict_sink cimport DictRow, read_json_dict
from histscan._core.bytes.cursor cimport Cursor, byte_ptr, peek
from histscan._core.rows.dict_rows cimport RowDecoder
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.json.json_quoted cimport read_quoted_token
from histscan._core.json.json_string cimport utf8_object
from histscan._core.json.json_text cimport Token, skip_space
from histscan._core.json.json_value cimport JsonContext, decode_value, expect_end

from histscan.errors import HistoryDecodeError


cdef object make_key(void* self, Cursor* value, byte_ptr begin, byte_ptr end):
    """A key, with its colon: nested objects may have the same ones."""
    cdef Token token
    value.pos = begin
    if begin[0] != c'\\':
        return decode_value(value, (<JsonRowDecoder> self).context)
    # Within a string, up to the first container, each quote has a backslash.
    if read_quoted_token(value, &token):
        return utf8_object(value, token.begin, token.end)
    raise_fault(value)


cdef int32_t add_key(void* self, byte_ptr begin, size_t length, object key) except -2:
    return (<JsonRowDecoder> self).context.keys.add(begin, length, key)


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
        cdef CriticalSection section
        section.enter(self)
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
            return self.decode_members(cursor, False)
        finally:
            self.row = None
            self.busy = False

    cdef dict decode_quoted(self, Cursor* cursor):
        """Decodes a row within a string, as json_quoted.pxd has it; the cursor must be all of its text.

        Returns None if the row is malformed or rare: then `decode_text` must decode it, of the unescaped text.
        """
        cdef CriticalSection section
        section.enter(self)
        cdef dict row
        skip_space(cursor)
        if self.busy or peek(cursor) != c'{':
            return None
        self.busy = True
        try:
            row = self.decode_members(cursor, True)
            skip_space(cursor)
        except (HistoryDecodeError, RecursionError):
            row = None
        finally:
            self.row = None
            self.busy = False
        return row if cursor.pos == cursor.end else None

    cdef dict decode_members(self, Cursor* cursor, bint is_quoted):
        """Decodes an object."""
        cdef DictRow row
        self.start_row(self.context.keys, &row)
        row.make_key = make_key
        row.add_key = add_key
        row.put_path = put_path
        row.put_rare_member = put_rare_member
        row.unquoted = &self.unquoted
        if read_json_dict(cursor, is_quoted, self.context.keys.table, self.row_template, row) != ROW_DONE:
            raise_fault(cursor)
        return self.finish_row()
