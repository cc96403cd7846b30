"""Python objects from JSON text: exactly those that `json.loads` makes."""

from cpython.float cimport PyFloat_FromDouble
from cpython.object cimport PyObject

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.json.json_string cimport ascii_object
from histscan._core.json.json_text cimport (
    TOKEN_FLOAT64, TOKEN_INT64, TOKEN_NULL, TOKEN_STRING, Token, read_token, read_whole_token,
    skip_space,
)
from histscan._core.keys.key_objects cimport KeyObjects

cdef extern from "Python.h":
    object PyLong_FromLongLong(long long value)


cdef class JsonContext:
    cdef KeyObjects keys             # keys of objects, as written from the opening quote to the value
    # True if surrogates written as UTF-8 are accepted: only where an enclosing string's escapes have just
    # been resolved.
    cdef bint allow_surrogates


cdef object token_object(Cursor* cursor, const Token* token, JsonContext context)
cdef int read_key(Cursor* cursor, JsonContext context, PyObject** key) except -2
cdef int expect_end(Cursor* cursor) except -1


cdef inline object value_object(Cursor* cursor, const Token* token, JsonContext context):
    """The object of a token just read. The most frequent types are handled here, inline."""
    if token.kind == TOKEN_FLOAT64:
        return PyFloat_FromDouble(token.number)
    if token.kind == TOKEN_INT64:
        return PyLong_FromLongLong(token.integer)
    if token.kind == TOKEN_NULL:
        return None
    if token.kind == TOKEN_STRING and token.is_ascii:
        return ascii_object(token.begin, token.end - token.begin)
    return token_object(cursor, token, context)


cdef inline object decode_value(Cursor* cursor, JsonContext context):
    """Decodes one value; the cursor must be past any white space."""
    cdef Token token
    if not read_token(cursor, &token):
        raise_fault(cursor)
    return value_object(cursor, &token, context)


cdef inline object decode_document(Cursor* cursor, JsonContext context):
    """Decodes the one value that is all of the cursor's text, as `json.loads` does."""
    cdef Token token
    cdef object value
    skip_space(cursor)
    if not read_whole_token(cursor, &token):
        raise_fault(cursor)
    value = value_object(cursor, &token, context)
    if cursor.pos != cursor.end:
        expect_end(cursor)
    return value
