"""Pages in GraphQL's JSON: the unchanged body of the HTTP response, or row texts taken out of a parsed one.

A body is `{"data": {"project": {"run": {FIELD: rows}}}}`; `history` gives rows as JSON within strings,
`sampledHistory` as one list of plain objects for each requested spec.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint8_t
from libcpp cimport bool as cpp_bool

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.bytes.cursor cimport (
    JSON_COMMA_EXPECTED, JSON_UTF8_INVALID, Cursor, byte_ptr, find_invalid_utf8, find_plain_string_end, open_cursor,
    open_cursor_within, peek, stop,
)
from histscan._core.bytes.faults cimport check_memory, raise_fault, raise_too_deep
from histscan._core.rows.json_rows cimport JsonRowDecoder
from histscan._core.json.json_skip cimport skip_value
from histscan._core.json.json_string cimport string_room, unescape_string
from histscan._core.json.json_text cimport skip_space
from histscan._core.json.json_value cimport JsonContext, decode_value, expect_end, read_key
from histscan._core.memory.text_room cimport TextRoom
from histscan._core.pages.page cimport Page, RowSpan, add_span

from histscan._core.rows.locate import locate_value

from histscan.errors import GraphQLResponseError, HistoryDecodeError, ResponseShapeError, RunNotFoundError


cdef enum:
    # Rows up to this many bytes are unescaped on the stack.
    STACK_ROW_LENGTH = 8192


cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL


def describe_errors(object errors):
    """Puts the ``errors`` member of a GraphQL answer in one line.

    Args:
        errors: The member's value; by the specification a list of objects with a ``message``.

    Returns:
        The messages, joined.
    """
    if not isinstance(errors, list):
        errors = [errors]
    return "; ".join(
        str(error["message"]) if isinstance(error, dict) and "message" in error else str(error) for error in errors
    )


cdef class BodyReader:
    """Finds the rows in a response body, and the errors before or after them."""
    cdef Cursor cursor
    cdef JsonContext context
    cdef tuple path             # the names that lead to the rows
    cdef JsonPage page          # which indexes the rows when they are reached
    cdef object errors          # the value of the member `errors`
    cdef str absent             # the first name on the path that is missing
    cdef bint absent_is_null    # it is present, but null
    cdef bint reached           # the rows' member was found

    cdef int read_members(self, Py_ssize_t depth) except -1:
        """Reads the members of the object that the cursor is at; `depth` names of the path lead to it."""
        cdef Cursor* cursor = &self.cursor
        cdef int32_t key_index = 0
        cdef object key
        cdef bint found = False
        cursor.pos += 1
        skip_space(cursor)
        if peek(cursor) != c'}':
            while True:
                key = read_key(cursor, self.context, &key_index)
                if key == self.path[depth]:
                    found = True
                    self.read_step(depth)
                elif depth == 0 and key == "errors":
                    self.errors = decode_value(cursor, self.context)
                elif not skip_value(cursor):
                    raise_fault(cursor)
                skip_space(cursor)
                if peek(cursor) != c',':
                    break
                cursor.pos += 1
                skip_space(cursor)
            if peek(cursor) != c'}':
                stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
                raise_fault(cursor)
        cursor.pos += 1
        if not found and self.absent is None:
            self.absent = self.path[depth]
        return 0

    cdef int read_step(self, Py_ssize_t depth) except -1:
        """Reads the value of a name on the path."""
        cdef Cursor* cursor = &self.cursor
        # Of a member given twice the last counts, as everywhere in Python's json.
        self.page.spans.clear()
        self.absent = None
        self.reached = False
        if depth == len(self.path) - 1:
            self.reached = True
            if peek(cursor) == c'[':
                return self.page.index_body_rows(cursor)
        elif peek(cursor) == c'{':
            return self.read_members(depth + 1)
        if self.absent is None:
            self.absent = self.path[depth]
            self.absent_is_null = peek(cursor) == c'n'
        if not skip_value(cursor):
            raise_fault(cursor)
        return 0

    cdef int read(self) except -1:
        """Reads the whole body."""
        cdef Cursor* cursor = &self.cursor
        skip_space(cursor)
        if peek(cursor) != c'{':
            raise ResponseShapeError("the server's answer is not a JSON object: is this the GraphQL endpoint?")
        self.read_members(0)
        expect_end(cursor)
        return 0


cdef class JsonPage(Page):
    """The base of pages whose rows are JSON text."""

    cdef int index_body_rows(self, Cursor* cursor) except -1:
        """Reads the array that the cursor is at, and records where each of its rows is."""
        raise NotImplementedError

    cdef int read_body(self, bytes body, str field) except -1:
        """Indexes the rows of a response body; raises if it has no list of rows."""
        cdef BodyReader reader = BodyReader()
        self.owner = body
        self.data = <const unsigned char*> PyBytes_AS_STRING(body)
        open_cursor(&reader.cursor, self.data, PyBytes_GET_SIZE(body))
        reader.context = JsonContext()
        reader.path = ("data", "project", "run", field)
        reader.page = self
        try:
            try:
                reader.read()
            except RecursionError:
                raise_too_deep(&reader.cursor)
        except HistoryDecodeError as error:
            check_memory(error)
            if not reader.reached:
                raise HistoryDecodeError(
                    f"the server's answer is not valid JSON: {error.reason}", byte=error.byte
                ) from None
            self.note_fault(&reader.cursor)
        if reader.errors:
            raise GraphQLResponseError(f"the server answered with errors: {describe_errors(reader.errors)}")
        if reader.absent is not None:
            if reader.absent_is_null and reader.absent in ("project", "run"):
                raise RunNotFoundError(
                    f"the server has no such {reader.absent}, or this API key has no access to it: check the names"
                )
            raise ResponseShapeError(
                f"the server's answer has no `{'.'.join(reader.path)}`: `{reader.absent}` is missing"
            )
        return 0

    cdef object decode_span(self, byte_ptr data, RowSpan span):
        """The row at `span` of `data`."""
        cdef Cursor cursor
        if self.decoder is None:
            self.decoder = JsonRowDecoder()
        open_cursor(&cursor, data + span.begin, span.end - span.begin)
        try:
            try:
                return self.decoder.decode_text(&cursor, span.needs_slow_path)
            except RecursionError:
                raise_too_deep(&cursor)
        except HistoryDecodeError as error:
            check_memory(error)
            error.add_location(path=locate_value((<char*> data)[span.begin:span.end], error.byte))
            raise

    cdef bytes row_text(self, Py_ssize_t index):
        """The text of a valid row."""
        cdef Cursor cursor
        self.open_row(index, &cursor)
        return cursor.pos[:cursor.end - cursor.pos]

    cdef int use_decoder_of(self, Page previous) except -1:
        cdef CriticalSection section
        if self.decoder is None and isinstance(previous, JsonPage):
            section.enter(previous)
            self.decoder = (<JsonPage> previous).decoder
        return 0


cdef class HistoryPage(JsonPage):
    """A page of the ``history`` field.

    Args:
        body: The HTTP response's body.

    Raises:
        GraphQLResponseError: The answer has ``errors``.
        RunNotFoundError: The project or the run is null.
        ResponseShapeError: The answer is JSON, but not of this shape.
        HistoryDecodeError: The answer is not JSON. Once the rows have begun, this is raised after the last whole row.
    """

    def __cinit__(self, bytes body not None):
        self.read_body(body, "history")

    cdef int index_body_rows(self, Cursor* cursor) except -1:
        cdef uint8_t* out = NULL
        cdef byte_ptr row_begin
        cdef byte_ptr row_end
        # The member may occur more than once; then the room for the first one's texts is reused.
        self.text.clear()
        cursor.pos += 1
        with nogil:
            skip_space(cursor)
            if peek(cursor) == c']':
                cursor.pos += 1
                return 0
            while peek(cursor) == c'"':
                row_begin = cursor.pos + 1
                row_end = find_plain_string_end(row_begin, cursor.end)
                if row_end != NULL:
                    add_span(self.spans, row_begin - cursor.start, row_end - cursor.start, False, True)
                    cursor.pos = row_end + 1
                elif not self.take_text(cursor, &out):
                    break
                skip_space(cursor)
                if peek(cursor) == c']':
                    cursor.pos += 1
                    return 0
                if peek(cursor) != c',':
                    stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
                    break
                cursor.pos += 1
                skip_space(cursor)
        if cursor.fault:
            raise_fault(cursor)
        if peek(cursor) < 0:
            stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
            raise_fault(cursor)
        raise ResponseShapeError("a row of `history` is not a string", row=<Py_ssize_t> self.spans.size())

    cdef int take_text(self, Cursor* cursor, uint8_t** out) except -1 nogil:
        """Reads a row's string, appends its text to `out`, and adds its span."""
        cdef byte_ptr begin = cursor.pos
        cdef byte_ptr invalid
        cdef uint8_t* text_end
        cdef cpp_bool has_surrogates = False
        if self.text.empty():
            # No row's text is longer than its encoded form, so this is enough for all rows that follow.
            self.text.resize(cursor.end - cursor.pos + string_room)
            out[0] = self.text.data()
        cursor.pos += 1
        text_end = unescape_string(cursor, out[0], &has_surrogates)
        if text_end == NULL:
            return 0
        if has_surrogates:
            invalid = find_invalid_utf8(begin, cursor.pos)
            if invalid != cursor.pos:
                return stop(cursor, JSON_UTF8_INVALID, invalid)
        add_span(self.spans, out[0] - self.text.data(), text_end - self.text.data(), has_surrogates)
        out[0] = text_end
        return 1

    cdef object decode_row(self, Py_ssize_t index):
        cdef CriticalSection section
        section.enter(self)
        cdef RowSpan span = self.spans[index]
        cdef uint8_t[STACK_ROW_LENGTH] short_text
        cdef Cursor cursor
        cdef dict row
        if not span.is_quoted:
            return self.decode_span(self.text.data(), span)
        if self.decoder is None:
            self.decoder = JsonRowDecoder()
        open_cursor(&cursor, self.data + span.begin, span.end - span.begin)
        row = self.decoder.decode_quoted(&cursor)
        if row is not None:
            return row
        # The string's closing quote is read with it, and needs room.
        if span.end - span.begin + 1 + string_room <= STACK_ROW_LENGTH:
            return self.decode_quoted(span, short_text)
        return self.decode_long_quoted(span)

    cdef object decode_long_quoted(self, RowSpan span):
        cdef TextRoom text
        text.resize(span.end - span.begin + 1 + string_room)
        return self.decode_quoted(span, text.data())

    cdef object decode_quoted(self, RowSpan span, uint8_t* text):
        """The row at `span` of the body; `text` has room for it and its closing quote."""
        cdef Cursor string
        # A row that is read in place has no escapes but those of quotes.
        cdef cpp_bool has_surrogates = False
        open_cursor(&string, self.data + span.begin, span.end - span.begin + 1)
        span.begin = 0
        span.end = unescape_string(&string, text, &has_surrogates) - text
        return self.decode_span(text, span)

    cdef bytes row_text(self, Py_ssize_t index):
        cdef RowSpan span = self.spans[index]
        cdef TextRoom text
        cdef Cursor string
        cdef uint8_t* text_end
        cdef cpp_bool has_surrogates = False
        if not span.is_quoted:
            return JsonPage.row_text(self, index)
        text.resize(span.end - span.begin + 1 + string_room)
        open_cursor(&string, self.data + span.begin, span.end - span.begin + 1)
        text_end = unescape_string(&string, text.data(), &has_surrogates)
        return text.data()[:text_end - text.data()]

    cdef void open_span(self, RowSpan span, Cursor* cursor) noexcept nogil:
        open_cursor_within(
            cursor, self.data if span.is_quoted else <byte_ptr> self.text.data(), span.begin, span.end
        )


cdef class SampledPage(JsonPage):
    """A page of the ``sampledHistory`` field; the rows of its first spec.

    Args:
        body: The HTTP response's body.

    Raises:
        GraphQLResponseError: The answer has ``errors``.
        RunNotFoundError: The project or the run is null.
        ResponseShapeError: The answer is JSON, but not of this shape.
        HistoryDecodeError: The answer is not JSON. Once the rows have begun, this is raised after the last whole row.
    """

    def __cinit__(self, bytes body not None):
        self.read_body(body, "sampledHistory")

    cdef int index_body_rows(self, Cursor* cursor) except -1:
        cdef Py_ssize_t begin
        cdef bint whole = False
        cursor.pos += 1
        skip_space(cursor)
        if peek(cursor) != c'[':
            raise ResponseShapeError("`sampledHistory` is not a list with a list of rows for each spec")
        cursor.pos += 1
        with nogil:
            skip_space(cursor)
            whole = peek(cursor) == c']'
            while not whole:
                begin = cursor.pos - cursor.start
                if not skip_value(cursor):
                    break
                add_span(self.spans, begin, cursor.pos - cursor.start)
                skip_space(cursor)
                if peek(cursor) == c']':
                    whole = True
                elif peek(cursor) == c',':
                    cursor.pos += 1
                    skip_space(cursor)
                else:
                    stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
                    break
        if not whole:
            raise_fault(cursor)
        # The lists of other specs, which a scan never requests.
        cursor.pos += 1
        skip_space(cursor)
        while peek(cursor) == c',':
            cursor.pos += 1
            skip_space(cursor)
            if not skip_value(cursor):
                raise_fault(cursor)
            skip_space(cursor)
        if peek(cursor) != c']':
            stop(cursor, JSON_COMMA_EXPECTED, cursor.pos)
            raise_fault(cursor)
        cursor.pos += 1
        return 0

    cdef object decode_row(self, Py_ssize_t index):
        cdef CriticalSection section
        section.enter(self)
        return self.decode_span(self.data, self.spans[index])


cdef class TextPage(JsonPage):
    """A page of row texts: those that the caller has taken out of a response, or the lines of a file.

    Args:
        rows: One JSON text for each row, as a str or as UTF-8.

    Raises:
        ResponseShapeError: A row is neither a str nor bytes.
    """

    def __cinit__(self, list rows not None):
        cdef Py_ssize_t index
        cdef Py_ssize_t length
        cdef bint has_surrogates
        cdef bytes encoded
        cdef byte_ptr data
        # The list may be changed while the page is in use; a copy can't.
        self.owner = rows = rows[:]
        for index, row in enumerate(rows):
            has_surrogates = False
            encoded = None
            if isinstance(row, str):
                try:
                    # Of an ASCII str these are its own bytes; of any other, a copy that the str keeps.
                    data = <byte_ptr> PyUnicode_AsUTF8AndSize(row, &length)
                except UnicodeEncodeError:
                    encoded = row.encode("utf-8", "surrogatepass")
                    has_surrogates = True
            elif isinstance(row, bytes):
                encoded = bytes(row)
            else:
                raise ResponseShapeError(f"a row of `history` is not a string but {type(row).__name__}", row=index)
            if encoded is not None:
                rows[index] = encoded
                data = <byte_ptr> PyBytes_AS_STRING(encoded)
                length = PyBytes_GET_SIZE(encoded)
            add_span(self.spans, 0, length, has_surrogates)
            self.texts.push_back(data)

    cdef object decode_row(self, Py_ssize_t index):
        cdef CriticalSection section
        section.enter(self)
        return self.decode_span(self.texts[index], self.spans[index])

    cdef void open_row(self, size_t index, Cursor* cursor) noexcept nogil:
        open_cursor(cursor, self.texts[index], self.spans[index].end)
