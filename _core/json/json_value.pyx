"""Python objects from JSON text."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from histscan._core.bytes.cursor cimport JSON_TRAILING_DATA, Cursor, byte_ptr, stop
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.json.json_text cimport Token, skip_space
from histscan._core.keys.key_objects cimport KeyObjects

from histscan.errors import HistoryDecodeError

cdef extern from "Python.h":
    object PyLong_FromString(const char* text, char** end, int base)


cdef class JsonContext:
    """The state that decoding JSON needs besides the text.

    Args:
        allow_surrogates: Whether surrogates written as UTF-8 are accepted.
    """

    def __cinit__(self, bint allow_surrogates=False):
        self.keys = KeyObjects(are_items=False)
        self.values.keys = &self.keys.table
        self.values.key_objects = <PyObject*> self.keys.objects
        self.values.allow_surrogates = allow_surrogates
        self.values.intern_key = intern_key
        self.values.owner = <void*> self.keys
        self.values.big_integer = big_integer


cdef int32_t intern_key(void* keys, byte_ptr text, size_t length, object key) except -2:
    return (<KeyObjects> keys).add(text, length, key)


cdef object big_integer(Cursor* cursor, const Token* token):
    """An int of any size, within Python's own limit on digits."""
    # A copy, because the digits must end with a zero byte.
    cdef bytes digits = PyBytes_FromStringAndSize(<const char*> token.begin, token.end - token.begin)
    try:
        return PyLong_FromString(PyBytes_AS_STRING(digits), NULL, 10)
    except ValueError as error:
        raise HistoryDecodeError(str(error), byte=token.begin - cursor.start) from None


cdef inline object take_object(Cursor* cursor, PyObject* value):
    """The object of a new reference; NULL raises the cursor's fault."""
    cdef object result
    if value == NULL:
        raise_fault(cursor)
    result = <object> value
    Py_DECREF(result)
    return result


cdef object decode_value(Cursor* cursor, JsonContext context):
    """Decodes one value; the cursor must be past any white space."""
    return take_object(cursor, read_value_object(cursor, context.values))


cdef object decode_document(Cursor* cursor, JsonContext context):
    """Decodes the one value that is all of the cursor's text, as `json.loads` does."""
    return take_object(cursor, read_document_object(cursor, context.values))


cdef object read_key(Cursor* cursor, JsonContext context, int32_t* index):
    """Reads a key, its colon and the white space around them; sets `index` to its index, or UNKNOWN_KEY."""
    return take_object(cursor, read_key_object(cursor, context.values, index))


cdef int expect_end(Cursor* cursor) except -1:
    """Raises unless only white space is left in the text."""
    skip_space(cursor)
    if cursor.pos != cursor.end:
        stop(cursor, JSON_TRAILING_DATA, cursor.pos)
        raise_fault(cursor)
    return 0
