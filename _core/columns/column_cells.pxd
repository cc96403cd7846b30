"""Cells: a column's values as they were read, before the column's type is known, which depends on the whole scan.

A cell is a tag and 64 bits. Numbers are in the bits; text is in the column's own buffer, and the bits say where. What
was seen in a column is kept in its type flags, which decide the type: the order of rows and pages has no effect.
"""

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

from histscan._core.memory.buffer_pool cimport BufferPool
from histscan._core.memory.pooled_vectors cimport CellBits, PooledVector
from histscan._core.memory.text_room cimport TextRoom
from histscan._core.bytes.cursor cimport (
    COLUMN_TEXT_TOO_LONG, Cursor, byte_ptr, find_invalid_utf8, has_text, open_cursor, peek,
)
from histscan._core.bytes.faults cimport raise_fault_at
from histscan._core.json.json_skip cimport skip_value
from histscan._core.json.json_string cimport escaped_unit, string_room, unescape_string
from histscan._core.json.json_text cimport (
    TOKEN_ARRAY, TOKEN_BIG_INTEGER, TOKEN_FALSE, TOKEN_FLOAT64, TOKEN_INT64, TOKEN_NULL, TOKEN_STRING, TOKEN_TRUE,
    PlainKind, Token, read_token, read_whole_token, skip_space,
)

cdef extern from "columns/column.hpp" namespace "histscan" nogil:
    cdef enum CellTag:
        CELL_NULL       # null, or the row has no such key
        CELL_FALSE
        CELL_TRUE
        CELL_INT64      # the bits are an int64
        CELL_UINT64     # the bits are a uint64 beyond int64
        CELL_FLOAT64    # the bits are a double's
        CELL_TEXT       # the bits are where the text is: UTF-8, escapes resolved
        CELL_JSON       # the same, for JSON text: containers, integers beyond uint64, strings that are not UTF-8

    cdef enum TypeFlag:
        TYPE_BOOL
        TYPE_INT64              # an integer that a double holds exactly
        TYPE_WIDE_INT64         # one that it doesn't
        TYPE_UINT64             # an integer beyond int64
        TYPE_NEGATIVE           # a negative integer
        TYPE_FLOAT64
        TYPE_TEXT
        TYPE_NUMBER_TEXT        # "NaN", "Infinity" or "-Infinity" in quotes
        TYPE_LIST               # a list of numbers and nulls, perhaps empty
        TYPE_LIST_INT64         # of them, lists with an integer that a double holds exactly
        TYPE_LIST_WIDE_INT64    # with one that it doesn't
        TYPE_LIST_FLOAT64       # with a float
        TYPE_JSON               # anything else

    cdef cppclass Column:
        PooledVector[uint8_t] tags  # of a dense column, a CellTag for each row; rows behind its end are null
        CellBits bits               # of each row; those of a null cell mean nothing
        TextRoom text               # what CELL_TEXT and CELL_JSON refer to
        vector[uint8_t] validity    # once the chunk is complete: a bit for each row, if any is null
        vector[size_t] null_rows    # rows whose value is null, if the builder notes them; see `column.hpp`
        size_t null_count           # once the chunk is complete
        uint32_t type_flags         # of TypeFlag
        bint is_dense

    # Makes a bit for each tag: one if it is the wanted one.
    void pack_bits(const uint8_t* tags, size_t count, uint8_t wanted, vector[uint8_t]& bits) except +
    size_t fill_validity(const uint8_t* tags, size_t count, vector[uint8_t]& validity) except +
    void note_plain_number(uint8_t& tag, uint32_t& type_flags, PlainKind kind, uint64_t bits)

    const ptrdiff_t text_capacity   # in bytes, of a column in a chunk

cdef extern from "columns/cell_table.hpp" namespace "histscan" nogil:
    # The columns of a chunk. They stay where they are when more are added.
    cdef cppclass Columns:
        Column& operator[](size_t)
        size_t size()

    # Where the tag and the bits of a cell are, until the next cell is made.
    cdef struct Cell:
        uint8_t* tag
        uint64_t* bits

    # A cell of a sparse column.
    cdef struct SparseCell:
        uint64_t bits
        size_t row
        uint8_t tag

    # The columns of a chunk, and their cells.
    cdef cppclass CellTable:
        Columns columns
        vector[SparseCell] sparse
        size_t room                 # dense columns have cells for so many rows, at least
        Column& add_column(BufferPool*) except +
        # Removes the column that was added last, which must not have a cell.
        void remove_last_column()
        # The cell of a row, which is null if it is new. No later row may have a cell.
        Cell cell(Column&, size_t row, size_t row_limit) except +
        bint has_cell(const Column&, size_t row)
        # Gives every dense column a cell for a row; returns True if columns have become sparse since it last returned.
        bint make_room(size_t row, size_t row_limit) except +
        void clear_row(size_t row)
        void complete(size_t row_count) except +
        size_t cell_count()
        # How many rows have a value of a column, in a complete table.
        size_t count_values(const Column&, size_t row_count)
        # Makes a sparse column of a complete table dense.
        void make_dense(Column&, size_t row_count) except +
        const SparseCell* sparse_begin(const Column&)
        const SparseCell* sparse_end(const Column&)


cdef inline uint64_t text_bits(size_t offset, size_t length) noexcept nogil:
    """Where a cell's text is. Both fit in 32 bits: `check_text` guarantees that."""
    return <uint64_t> offset << 32 | <uint64_t> length


cdef inline int check_text(const Column* column, size_t more) except -1 nogil:
    """Raises if the column's text and `more` bytes are more than a chunk can have, which takes a page of that size."""
    if more > <size_t> text_capacity or column.text.size() > <size_t> text_capacity - more:
        with gil:
            raise_fault_at(COLUMN_TEXT_TOO_LONG, -1)
    return 0


cdef inline bint fits_double(int64_t value) noexcept nogil:
    """Returns True if a double holds the integer exactly."""
    if -0x20000000000000LL <= value <= 0x20000000000000LL:
        return True
    # Above, doubles are the multiples of ever larger powers of two; the conversion back must not overflow.
    return -9223372036854775296.0 <= <double> value <= 9223372036854774784.0 and <int64_t> <double> value == value


cdef inline bint read_uint64(byte_ptr begin, byte_ptr end, uint64_t* value) noexcept nogil:
    """The value of an integer token beyond int64, if it is within uint64."""
    cdef uint64_t result = 0
    cdef uint64_t digit
    cdef byte_ptr pos = begin
    if end - begin > 20 or begin[0] == c'-':
        return False
    while pos < end:
        digit = pos[0] - c'0'
        if result > (0xFFFFFFFFFFFFFFFFULL - digit) // 10:
            return False
        result = result * 10 + digit
        pos += 1
    value[0] = result
    return True


cdef inline bint is_number_text(byte_ptr begin, byte_ptr end) noexcept nogil:
    """Returns True if a string spells NaN or an infinity, as writers do where JSON may not have them bare."""
    cdef Cursor text
    open_cursor(&text, begin, end - begin)
    if end - begin == 3:
        return has_text(&text, <byte_ptr> <const char*> "NaN", 3)
    if end - begin == 8:
        return has_text(&text, <byte_ptr> <const char*> "Infinity", 8)
    return end - begin == 9 and has_text(&text, <byte_ptr> <const char*> "-Infinity", 9)


cdef inline bint is_sound_text(byte_ptr begin, byte_ptr end) noexcept nogil:
    """Returns True if JSON text that was skipped is UTF-8 with valid escapes, none of them a surrogate."""
    cdef byte_ptr pos = begin
    cdef int unit
    if find_invalid_utf8(begin, end) != end:
        return False
    while True:
        pos = <byte_ptr> memchr(pos, c'\\', end - pos)
        if pos == NULL:
            return True
        if end - pos < 2:
            return False
        if pos[1] == c'u':
            unit = escaped_unit(pos, end)
            if unit < 0 or 0xD800 <= unit <= 0xDFFF:
                return False
            pos += 6
        elif (
            pos[1] == c'"' or pos[1] == c'\\' or pos[1] == c'/' or pos[1] == c'b' or pos[1] == c'f' or pos[1] == c'n'
            or pos[1] == c'r' or pos[1] == c't'
        ):
            pos += 2
        else:
            return False


cdef inline bint skip_sound_value(Cursor* cursor) noexcept nogil:
    """Skips a value, if it is well-formed, and its strings are UTF-8 without surrogates."""
    cdef byte_ptr begin = cursor.pos
    cdef cpp_bool is_plain = True
    return skip_value(cursor, &is_plain) and (is_plain or is_sound_text(begin, cursor.pos))


cdef inline bint is_sound_value(Cursor* value) noexcept nogil:
    """Returns True if the text is one JSON value whose strings are UTF-8 without surrogates."""
    skip_space(value)
    if not skip_sound_value(value):
        return False
    skip_space(value)
    return value.pos == value.end


cdef inline uint32_t list_type_flags(byte_ptr begin, byte_ptr end) noexcept nogil:
    """The type flags of a list whose text is well-formed."""
    cdef Cursor items
    cdef Token token
    cdef uint32_t type_flags = TYPE_LIST
    open_cursor(&items, begin, end - begin)
    items.pos += 1
    skip_space(&items)
    if peek(&items) == c']':
        return type_flags
    while True:
        if not read_token(&items, &token):
            return TYPE_JSON
        if token.kind == TOKEN_INT64:
            type_flags |= TYPE_LIST_INT64 if fits_double(token.integer) else TYPE_LIST_WIDE_INT64
        elif token.kind == TOKEN_FLOAT64:
            type_flags |= TYPE_LIST_FLOAT64
        elif token.kind != TOKEN_NULL:
            return TYPE_JSON
        skip_space(&items)
        if peek(&items) != c',':
            return type_flags
        items.pos += 1
        skip_space(&items)


cdef inline uint32_t text_type_flag(byte_ptr begin, byte_ptr end) noexcept nogil:
    """The type flag of a text."""
    return TYPE_NUMBER_TEXT if is_number_text(begin, end) else TYPE_TEXT


cdef inline uint32_t cell_type_flags(Column* column, uint8_t tag, uint64_t bits) noexcept nogil:
    """The type flags that a cell gives its column."""
    cdef byte_ptr begin
    cdef byte_ptr end
    if tag == CELL_NULL:
        return 0
    if tag == CELL_FALSE or tag == CELL_TRUE:
        return TYPE_BOOL
    if tag == CELL_INT64:
        return (TYPE_INT64 if fits_double(<int64_t> bits) else TYPE_WIDE_INT64) | (
            TYPE_NEGATIVE if <int64_t> bits < 0 else 0
        )
    if tag == CELL_UINT64:
        return TYPE_UINT64
    if tag == CELL_FLOAT64:
        return TYPE_FLOAT64
    begin = column.text.data() + (bits >> 32)
    end = begin + <uint32_t> bits
    if tag == CELL_TEXT:
        return text_type_flag(begin, end)
    return list_type_flags(begin, end) if begin[0] == c'[' else TYPE_JSON


cdef inline int put_text(Column* column, Cell cell, CellTag tag, byte_ptr begin, byte_ptr end) except -1 nogil:
    """Copies text into the column and makes a cell of it."""
    cdef size_t offset = column.text.size()
    check_text(column, end - begin)
    column.text.append(begin, end - begin)
    cell.bits[0] = text_bits(offset, end - begin)
    cell.tag[0] = tag
    return 0


cdef inline void put_double(Column* column, Cell cell, double number) noexcept nogil:
    """Makes a cell of a float; here as in the next ones, `cell` is the column's."""
    memcpy(cell.bits, &number, sizeof(double))
    cell.tag[0] = CELL_FLOAT64
    column.type_flags |= TYPE_FLOAT64


cdef inline void put_int64(Column* column, Cell cell, int64_t number) noexcept nogil:
    """Makes a cell of an integer."""
    cell.bits[0] = <uint64_t> number
    cell.tag[0] = CELL_INT64
    column.type_flags |= TYPE_INT64 if fits_double(number) else TYPE_WIDE_INT64
    if number < 0:
        column.type_flags |= TYPE_NEGATIVE


cdef inline void put_uint64(Column* column, Cell cell, uint64_t number) noexcept nogil:
    """Makes a cell of an integer beyond int64."""
    cell.bits[0] = number
    cell.tag[0] = CELL_UINT64
    column.type_flags |= TYPE_UINT64


cdef inline void put_bool(Column* column, Cell cell, bint value) noexcept nogil:
    """Makes a cell of a bool."""
    cell.tag[0] = CELL_TRUE if value else CELL_FALSE
    column.type_flags |= TYPE_BOOL


cdef inline int put_utf8(Column* column, Cell cell, byte_ptr begin, byte_ptr end) except -1 nogil:
    """Makes a cell of text that is valid UTF-8, and has no escapes."""
    put_text(column, cell, CELL_TEXT, begin, end)
    column.type_flags |= text_type_flag(begin, end)
    return 0


cdef inline uint8_t* decode_string(Cursor* cursor, uint8_t* out) noexcept nogil:
    """Reads a string behind its opening quote, and writes its text; returns where that ends.

    NULL where the string is malformed, or not UTF-8.
    """
    cdef byte_ptr begin = cursor.pos
    cdef cpp_bool has_surrogates = False
    cdef uint8_t* text_end = unescape_string(cursor, out, &has_surrogates)
    # The bytes that were read are searched: of those just written, a load would wait for the stores.
    if text_end == NULL or has_surrogates or find_invalid_utf8(begin, cursor.pos) != cursor.pos:
        return NULL
    return text_end


cdef inline int put_rest_of_string(Column* column, Cell cell, Cursor* cursor) except -1 nogil:
    """Reads a string behind its opening quote, and makes a cell of it.

    Returns 1, or 0 where the string is malformed, or not UTF-8. The column gets room for all that the cursor has left.
    """
    cdef size_t offset = column.text.size()
    cdef uint8_t* out
    cdef uint8_t* text_end
    check_text(column, cursor.end - cursor.pos)
    out = column.text.make_room(cursor.end - cursor.pos + string_room)
    text_end = decode_string(cursor, out)
    if text_end == NULL:
        return 0
    column.text.add(text_end - out)
    cell.bits[0] = text_bits(offset, text_end - out)
    cell.tag[0] = CELL_TEXT
    column.type_flags |= text_type_flag(out, text_end)
    return 1


cdef inline int put_string(Column* column, Cell cell, Cursor* cursor, TextRoom& room) except -1 nogil:
    """As `put_rest_of_string`, where much may follow the string: the column gets room for the string alone.

    `room` is overwritten.
    """
    cdef uint8_t* out = room.make_room(cursor.end - cursor.pos + string_room)
    cdef uint8_t* text_end = decode_string(cursor, out)
    if text_end == NULL:
        return 0
    put_utf8(column, cell, out, text_end)
    return 1


cdef inline int put_quoted_string(Column* column, Cell cell, const Token* token) except -1 nogil:
    """Makes a cell of a string within a JSON string, which has no escapes; 0 where it is not UTF-8."""
    if not token.is_ascii and find_invalid_utf8(token.begin, token.end) != token.end:
        return 0
    put_utf8(column, cell, token.begin, token.end)
    return 1


cdef inline int put_container(Column* column, Cell cell, Cursor* cursor, bint is_list) except -1 nogil:
    """Reads a container and makes a cell of its text; 0 where it is malformed."""
    cdef byte_ptr begin = cursor.pos
    if not skip_sound_value(cursor):
        return 0
    put_text(column, cell, CELL_JSON, begin, cursor.pos)
    column.type_flags |= list_type_flags(begin, cursor.pos) if is_list else TYPE_JSON
    return 1


cdef inline int put_token(Column* column, Cell cell, Cursor* cursor, const Token* token) except -1 nogil:
    """Makes a cell of a token just read; a string must be one within a JSON string.

    Of a container, reads the rest. Returns 1, or 0 where the value is malformed or legal but rare: then the row takes
    the slow path.
    """
    cdef uint64_t number
    if token.kind == TOKEN_FLOAT64:
        put_double(column, cell, token.number)
    elif token.kind == TOKEN_INT64:
        put_int64(column, cell, token.integer)
    elif token.kind == TOKEN_STRING:
        return put_quoted_string(column, cell, token)
    elif token.kind == TOKEN_NULL:
        cell.tag[0] = CELL_NULL
    elif token.kind == TOKEN_TRUE or token.kind == TOKEN_FALSE:
        put_bool(column, cell, token.kind == TOKEN_TRUE)
    elif token.kind == TOKEN_BIG_INTEGER:
        if read_uint64(token.begin, token.end, &number):
            put_uint64(column, cell, number)
        else:
            put_text(column, cell, CELL_JSON, token.begin, token.end)
            column.type_flags |= TYPE_JSON
    else:
        return put_container(column, cell, cursor, token.kind == TOKEN_ARRAY)
    return 1


cdef inline int put_document(Column* column, Cell cell, Cursor* cursor) except -1 nogil:
    """Reads a JSON value that is all of the cursor's text, and makes a cell of it.

    Returns 1, or 0 where the value is malformed or legal but rare: then the row takes the slow path.
    """
    cdef Token token
    skip_space(cursor)
    if peek(cursor) == c'"':
        cursor.pos += 1
        if put_rest_of_string(column, cell, cursor) != 1:
            return 0
    elif not read_whole_token(cursor, &token) or put_token(column, cell, cursor, &token) != 1:
        return 0
    skip_space(cursor)
    return cursor.pos == cursor.end
