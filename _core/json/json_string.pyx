"""The str objects of JSON and protobuf strings."""

from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from histscan._core.bytes.cursor cimport (
    JSON_UTF8_INVALID, Cursor, byte_ptr, find_invalid_utf8, open_cursor, stop,
)
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.json.json_text cimport Token
from histscan._core.memory.pooled_vectors cimport TextRoom

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void* PyUnicode_1BYTE_DATA(object text)

# Strings up to this many bytes are unescaped on the stack.
cdef enum:
    STACK_TEXT_LENGTH = 512


cdef object ascii_object(byte_ptr begin, Py_ssize_t length):
    """The str of `length` bytes that are known to be ASCII."""
    cdef object text = PyUnicode_New(length, 0x7F)
    if length:
        memcpy(PyUnicode_1BYTE_DATA(text), begin, length)
    return text


cdef inline const char* error_handler(bint allow_surrogates) noexcept nogil:
    """The name of the codec error handler to decode UTF-8 with; NULL is the strict one."""
    if allow_surrogates:
        return "surrogatepass"
    return NULL


cdef object utf8_object(Cursor* cursor, byte_ptr begin, byte_ptr end, bint allow_surrogates):
    """The str of UTF-8 bytes within the cursor's; surrogates written as UTF-8 are accepted only where allowed."""
    try:
        return PyUnicode_DecodeUTF8(<char*> begin, end - begin, error_handler(allow_surrogates))
    except UnicodeDecodeError:
        stop(cursor, JSON_UTF8_INVALID, find_invalid_utf8(begin, end))
    raise_fault(cursor)


cdef object unescaped_object(Cursor* cursor, const Token* token, uint8_t* buffer, bint allow_surrogates):
    """The str of a string with escapes; `buffer` has room for the token's text."""
    cdef Cursor text
    cdef bint has_surrogates = False
    cdef uint8_t* buffer_end
    cdef byte_ptr invalid
    open_cursor(&text, token.begin, token.end - token.begin + 1)
    buffer_end = unescape_string(&text, buffer, &has_surrogates)
    if buffer_end == NULL:
        stop(cursor, text.fault, text.fault_at)
        raise_fault(cursor)
    if has_surrogates and not allow_surrogates:
        # Surrogates from escapes are allowed; the bytes around them must still be UTF-8.
        invalid = find_invalid_utf8(token.begin, token.end)
        if invalid != token.end:
            stop(cursor, JSON_UTF8_INVALID, invalid)
            raise_fault(cursor)
    try:
        return PyUnicode_DecodeUTF8(
            <char*> buffer, buffer_end - buffer, error_handler(has_surrogates or allow_surrogates)
        )
    except UnicodeDecodeError:
        stop(cursor, JSON_UTF8_INVALID, find_invalid_utf8(token.begin, token.end))
    raise_fault(cursor)


cdef object string_object(Cursor* cursor, const Token* token, bint allow_surrogates):
    """The str of a string token; its closing quote is still within the cursor's bytes."""
    cdef Py_ssize_t length = token.end - token.begin
    cdef uint8_t[STACK_TEXT_LENGTH] short_text
    if token.is_ascii:
        return ascii_object(token.begin, length)
    if not token.has_escapes:
        return utf8_object(cursor, token.begin, token.end, allow_surrogates)
    # The unescaper reads the closing quote too, and needs room for it.
    if length < STACK_TEXT_LENGTH:
        return unescaped_object(cursor, token, short_text, allow_surrogates)
    return long_unescaped_object(cursor, token, allow_surrogates)


cdef object long_unescaped_object(Cursor* cursor, const Token* token, bint allow_surrogates):
    cdef TextRoom buffer
    buffer.resize(token.end - token.begin + 1)
    return unescaped_object(cursor, token, buffer.data(), allow_surrogates)
