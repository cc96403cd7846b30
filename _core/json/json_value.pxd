"""Python objects from JSON text: exactly those that `json.loads` makes."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int32_t

from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.json.json_text cimport Token
from histscan._core.keys.key_objects cimport KeyObjects
from histscan._core.keys.key_table cimport KeyTable

cdef extern from "json/value_objects.hpp" namespace "histscan":
    # What decoding needs besides the text.
    cdef struct ValueContext:
        KeyTable* keys          # keys of objects, as written from the opening quote to the value
        PyObject* key_objects   # a list: the str of each
        # True if surrogates written as UTF-8 are accepted: only where an enclosing string's escapes have just
        # been resolved.
        bint allow_surrogates
        # Interns a key; returns its index in `keys`, or UNKNOWN_KEY.
        int32_t (*intern_key)(void* owner, byte_ptr text, size_t length, object key) except -2
        void* owner
        # The int of TOKEN_BIG_INTEGER.
        object (*big_integer)(Cursor* cursor, const Token* token)

    # These return a new reference, or NULL with a fault in the cursor.
    PyObject* read_value_object(Cursor* cursor, const ValueContext& context) except? NULL
    PyObject* read_document_object(Cursor* cursor, const ValueContext& context) except? NULL
    PyObject* read_key_object(Cursor* cursor, const ValueContext& context, int32_t* index) except? NULL


cdef class JsonContext:
    cdef KeyObjects keys
    cdef ValueContext values


cdef object decode_value(Cursor* cursor, JsonContext context)
cdef object decode_document(Cursor* cursor, JsonContext context)
cdef object read_key(Cursor* cursor, JsonContext context, int32_t* index)
cdef int expect_end(Cursor* cursor) except -1
