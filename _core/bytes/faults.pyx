"""The message of each fault, and the exceptions raised for them."""

from histscan._core.bytes.cursor cimport (
    COLUMN_TEXT_TOO_LONG, JSON_COLON_EXPECTED, JSON_COMMA_EXPECTED, JSON_CONTROL_CHARACTER, JSON_EMPTY,
    JSON_ESCAPE_INVALID, JSON_KEY_EXPECTED, JSON_STRING_UNTERMINATED, JSON_TOO_DEEP, JSON_TRAILING_DATA,
    JSON_UTF8_INVALID, JSON_VALUE_EXPECTED, LOG_CHECKSUM_WRONG, LOG_CHUNK_ORDER_WRONG, LOG_CHUNK_TOO_LONG,
    LOG_CHUNK_TYPE_UNKNOWN, LOG_RECORD_INVALID, LOG_ZEROS, WIRE_GROUP_INVALID, WIRE_LENGTH_TOO_LONG,
    WIRE_TAG_INVALID, WIRE_TRUNCATED, WIRE_UTF8_INVALID, WIRE_VARINT_TOO_LONG, Cursor, Fault, stop,
)

from histscan.errors import HistoryDecodeError

cdef dict FAULT_REASONS = {
    JSON_EMPTY: "the text is empty where JSON was expected",
    JSON_VALUE_EXPECTED: "a JSON value was expected",
    JSON_KEY_EXPECTED: "a key in double quotes was expected",
    JSON_COLON_EXPECTED: "a colon was expected after the key",
    JSON_COMMA_EXPECTED: "a comma or a closing bracket was expected",
    JSON_STRING_UNTERMINATED: "the string that begins here is not terminated",
    JSON_CONTROL_CHARACTER: "a string contains an unescaped control character",
    JSON_ESCAPE_INVALID: "the string contains an invalid JSON escape",
    JSON_UTF8_INVALID: "the text is not valid UTF-8",
    JSON_TRAILING_DATA: "there is extra text after the JSON value",
    JSON_TOO_DEEP: "the value is nested too deeply",
    WIRE_TRUNCATED: "the protobuf message ends within a field",
    WIRE_VARINT_TOO_LONG: "a protobuf varint is longer than ten bytes",
    WIRE_TAG_INVALID: "the protobuf tag is invalid",
    WIRE_LENGTH_TOO_LONG: "a protobuf field extends beyond the message that contains it",
    WIRE_GROUP_INVALID: "a protobuf group is unbalanced or nested too deeply",
    WIRE_UTF8_INVALID: "a protobuf string is not valid UTF-8",
    LOG_CHECKSUM_WRONG: "the log is corrupt: the checksum of a chunk is wrong",
    LOG_CHUNK_TYPE_UNKNOWN: "the log is corrupt: a chunk has an unknown type",
    LOG_CHUNK_TOO_LONG: "the log is corrupt: a chunk is longer than its block",
    LOG_CHUNK_ORDER_WRONG: "the log is corrupt: the first, middle and last chunks of a record are out of order",
    LOG_RECORD_INVALID: "the log is corrupt: a record with a correct checksum is not a valid protobuf message",
    LOG_ZEROS: "the log is corrupt: zeros were found in place of data, and more data follows them",
    COLUMN_TEXT_TOO_LONG: "a page has more than 2 GiB of text in one column: request smaller pages or other keys",
}


cdef str fault_reason(Fault fault):
    """The message of a fault."""
    return FAULT_REASONS[fault]


cdef int raise_fault_at(Fault fault, Py_ssize_t byte) except -1:
    """Raises the exception for `fault` at offset `byte`; negative if unknown."""
    raise HistoryDecodeError(FAULT_REASONS[fault], byte=None if byte < 0 else byte)


cdef int raise_fault(const Cursor* cursor) except -1:
    """Raises the exception for the fault that a reader just left in `cursor`."""
    return raise_fault_at(cursor.fault, cursor.fault_at - cursor.start)


cdef int raise_too_deep(Cursor* cursor) except -1:
    """Raises the exception for nesting that reached Python's recursion limit, at the cursor's position."""
    stop(cursor, JSON_TOO_DEEP, cursor.pos)
    return raise_fault(cursor)


cdef int check_memory(object error) except -1:
    """Raises the error that an `except` clause has caught if it is a MemoryError, whatever the clause is for.

    Cython makes an entry of the traceback before it hands over an error. Where there is no memory for that, a
    MemoryError takes the place of the error, after the clause was chosen.
    """
    if isinstance(error, MemoryError):
        raise error
    return 0
