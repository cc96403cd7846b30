"""Python objects from JSON text: the values that are neither numbers nor plain strings, and all containers."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_SetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport int32_t

from histscan._core.bytes.cursor cimport (
    JSON_COLON_EXPECTED, JSON_COMMA_EXPECTED, JSON_KEY_EXPECTED, JSON_TRAILING_DATA, Cursor, byte_ptr, peek,
    stop,
)
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.json.json_string cimport string_object
from histscan._core.json.json_text cimport (
    TOKEN_ARRAY, TOKEN_FALSE, TOKEN_OBJECT, TOKEN_STRING, TOKEN_TRUE, Token, read_string, skip_space,
)
from histscan._core.keys.key_objects cimport KeyObjects
from histscan._core.keys.key_table cimport UNKNOWN_KEY

from histscan.errors import HistoryDecodeError

cdef extern from "Python.h":
    object PyLong_FromString(const char* text, char** end, int base)
    void Py_LeaveRecursiveCall()

cdef extern from *:
    """
    /* CPython reports an exception by any number other than 0; Cython needs one number that means "raised". */
    static int histscan_enter_recursion(void) { return Py_EnterRecursiveCall(" while decoding JSON") ? -1 : 0; }
    """
    int enter_recursion "histscan_enter_recursion" () except -1


cdef class JsonContext:
    """The state that decoding JSON needs besides the text."""

    def __cinit__(self, bint allow_surrogates=False):
        self.keys = KeyObjects(are_items=False)
        self.allow_surrogates = allow_surrogates


cdef int expect_end(Cursor* cursor) except -1:
    """Raises unless only white space is left in the text."""
    skip_space(cursor)
    if cursor.pos != cursor.end:
        stop(cursor, JSON_TRAILING_DATA, cursor.pos)
        raise_fault(cursor)
    return 0


cdef object big_integer(Cursor* cursor, const Token* token):
    """An int of any size, within Python's own limit on digits."""
    # A copy, because the digits must end with a zero byte.
    cdef bytes digits = PyBytes_FromStringAndSize(<const char*> token.begin, token.end - token.begin)
    try:
        return PyLong_FromString(PyBytes_AS_STRING(digits), NULL, 10)
    except ValueError as error:
        raise HistoryDecodeError(str(error), byte=token.begin - cursor.start) from None


cdef int read_key(Cursor* cursor, JsonContext context, PyObject** key) except -2:
    """Reads a key, its colon and the white space around them.

    Sets `key` to a new reference, and returns the key's index in `context.keys` or UNKNOWN_KEY.
    """
    cdef byte_ptr begin = cursor.pos
    cdef Token token
    cdef int32_t index
    cdef object text
    if peek(cursor) != c'"':
        stop(cursor, JSON_KEY_EXPECTED, begin)
        raise_fault(cursor)
    if not read_string(cursor, &token):
        raise_fault(cursor)
    skip_space(cursor)
    if peek(cursor) != c':':
        stop(cursor, JSON_COLON_EXPECTED, cursor.pos)
        raise_fault(cursor)
    cursor.pos += 1
    skip_space(cursor)
    index = context.keys.table.find(begin, cursor.pos - begin, cursor.end)
    if index != UNKNOWN_KEY:
        text = context.keys.object_at(index)
    else:
        text = string_object(cursor, &token, context.allow_surrogates)
        # Keys that are valid only where surrogates are allowed must not be cached for other text.
        if token.is_ascii or not context.allow_surrogates:
            index = context.keys.add(begin, cursor.pos - begin, text)
    Py_INCREF(text)
    key[0] = <PyObject*> text
    return index


cdef list decode_array(Cursor* cursor, JsonContext context):
    """Decodes an array; the cursor must be at its opening bracket."""
    cdef list values = []
    cursor.pos += 1
    skip_space(cursor)
    if peek(cursor) == c']':
        cursor.pos += 1
        return values
    while True:
        values.append(decode_value(cursor, context))
        skip_space(cursor)
        if peek(cursor) == c',':
            cursor.pos += 1
            skip_space(cursor)
        elif peek(cursor) == c']':
            cursor.pos += 1
            return values
        else:
            stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
            raise_fault(cursor)


cdef dict decode_object(Cursor* cursor, JsonContext context):
    """Decodes an object; the cursor must be at its opening bracket."""
    cdef dict members = {}
    cdef PyObject* key_reference = NULL
    cdef object key
    cursor.pos += 1
    skip_space(cursor)
    if peek(cursor) == c'}':
        cursor.pos += 1
        return members
    while True:
        read_key(cursor, context, &key_reference)
        key = <object> key_reference
        Py_XDECREF(key_reference)
        PyDict_SetItem(members, key, decode_value(cursor, context))
        skip_space(cursor)
        if peek(cursor) == c',':
            cursor.pos += 1
            skip_space(cursor)
        elif peek(cursor) == c'}':
            cursor.pos += 1
            return members
        else:
            stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
            raise_fault(cursor)


cdef object container_object(Cursor* cursor, const Token* token, JsonContext context):
    """Decodes a container, as deeply nested as Python's own recursion limit allows.

    Beyond it there is no stack left for an exception of ours: the RecursionError propagates to the decoder of the row,
    which replaces it by `raise_too_deep`.
    """
    enter_recursion()
    try:
        if token.kind == TOKEN_OBJECT:
            return decode_object(cursor, context)
        return decode_array(cursor, context)
    finally:
        Py_LeaveRecursiveCall()


cdef object token_object(Cursor* cursor, const Token* token, JsonContext context):
    """The object of a token that `decode_value` does not handle."""
    if token.kind == TOKEN_STRING:
        return string_object(cursor, token, context.allow_surrogates)
    if token.kind == TOKEN_OBJECT or token.kind == TOKEN_ARRAY:
        return container_object(cursor, token, context)
    if token.kind == TOKEN_TRUE:
        return True
    if token.kind == TOKEN_FALSE:
        return False
    return big_integer(cursor, token)
