"""From cells to the buffers of Arrow arrays, without the GIL.

Buffers that already are what Arrow wants are moved, not copied: numbers always, and text where no cell was written
twice.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy
from libcpp.memory cimport unique_ptr

from histscan._core.arrow.arrow_abi cimport ArrayBuffers
from histscan._core.memory.buffer_pool cimport shared_pool
from histscan._core.memory.pooled_vectors cimport PooledVector
from histscan._core.memory.text_room cimport TextRoom
from histscan._core.columns.column_cells cimport (
    CELL_FALSE, CELL_FLOAT64, CELL_INT64, CELL_JSON, CELL_NULL, CELL_TEXT, CELL_TRUE, CELL_UINT64, TYPE_INT64,
    TYPE_JSON, TYPE_LIST, TYPE_LIST_FLOAT64, TYPE_LIST_INT64, TYPE_LIST_WIDE_INT64, TYPE_NUMBER_TEXT, TYPE_WIDE_INT64,
    CellTable, Column, SparseCell, fill_validity, pack_bits,
)
from histscan._core.bytes.cursor cimport Cursor, byte_ptr, open_cursor, peek
from histscan._core.json.json_text cimport (
    TOKEN_FLOAT64, TOKEN_INT64, TOKEN_NULL, Token, infinity, not_a_number, read_token, skip_space,
)
from histscan._core.json.json_write cimport write_double, write_int64, write_literal, write_string, write_uint64

cdef extern from "<utility>" namespace "std" nogil:
    unique_ptr[ArrayBuffers] move(unique_ptr[ArrayBuffers])


cdef enum:
    # The flags of cells that are JSON text.
    JSON_FLAGS = TYPE_LIST | TYPE_LIST_INT64 | TYPE_LIST_WIDE_INT64 | TYPE_LIST_FLOAT64 | TYPE_JSON


cdef inline size_t text_offset(uint64_t bits) noexcept nogil:
    return bits >> 32


cdef inline size_t text_length(uint64_t bits) noexcept nogil:
    return bits & 0xFFFFFFFFULL


cdef inline double double_of(uint64_t bits) noexcept nogil:
    cdef double number
    memcpy(&number, &bits, sizeof(double))
    return number


cdef inline uint64_t bits_of(double number) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &number, sizeof(double))
    return bits


cdef size_t null_words(size_t row_count) noexcept nogil:
    """How many words that are zero `fill_nulls` needs."""
    return row_count + 1


cdef int fill_nulls(size_t row_count, char format, const uint64_t* zeros, ArrayBuffers* out) except -1 nogil:
    """Makes an array of nulls, for a column that is missing from its chunk. All of them share the zeros."""
    out.format = format
    out.length = <int64_t> row_count
    out.null_count = <int64_t> row_count
    if format == c'n':
        return 0
    out.shared_validity = zeros
    out.shared_values = zeros
    if format == c'+':
        out.items = move(unique_ptr[ArrayBuffers](new ArrayBuffers()))
    return 0


cdef size_t shared_words(CellTable* cells, Column* column, size_t row_count, char format) noexcept nogil:
    """How many words that are zero `fill_buffers` takes for a column: values and validity of sparse numbers."""
    if column.is_dense or (format != c'g' and format != c'l' and format != c'L'):
        return 0
    return row_count + (row_count + 63) // 64


cdef int fill_sparse_numbers(
    CellTable* cells, Column* column, size_t row_count, char format, uint64_t* words, ArrayBuffers* out
) except -1 nogil:
    """Writes the cells of a sparse column among zeros: `words`, or without them buffers of its own."""
    cdef uint64_t* values = words
    cdef uint8_t* validity = <uint8_t*> (words + row_count)
    cdef const SparseCell* cell = cells.sparse_begin(column[0])
    cdef const SparseCell* end = cells.sparse_end(column[0])
    cdef uint8_t bit
    cdef size_t count = 0
    if words == NULL:
        out.values.assign(row_count, 0)
        # All are zero at first.
        out.validity.resize((row_count + 7) // 8)
        values = out.values.data()
        validity = out.validity.data()
    else:
        out.shared_validity = validity
        out.shared_values = values
    while cell < end:
        bit = <uint8_t> (1 << (cell.row & 7))
        count -= (validity[cell.row >> 3] & bit) != 0
        if cell.tag == CELL_NULL:
            validity[cell.row >> 3] &= ~bit
            values[cell.row] = 0
        else:
            validity[cell.row >> 3] |= bit
            values[cell.row] = float_bits(column, cell.tag, cell.bits) if format == c'g' else cell.bits
            count += 1
        cell += 1
    out.null_count = <int64_t> (row_count - count)
    return 0


cdef inline uint64_t float_bits(Column* column, uint8_t tag, uint64_t bits) noexcept nogil:
    """The bits of the float that a cell of a column of floats is: an integer, or a number in quotes, is converted."""
    cdef byte_ptr text
    if tag == CELL_INT64:
        return bits_of(<double> <int64_t> bits)
    if tag != CELL_TEXT:
        return bits
    text = column.text.data() + text_offset(bits)
    if text[0] == c'N':
        return bits_of(not_a_number())
    return bits_of(-infinity() if text[0] == c'-' else infinity())


cdef int fill_floats(Column* column, size_t row_count, ArrayBuffers* out) except -1 nogil:
    """Moves the numbers out; converts integers to floats, and reads numbers in quotes."""
    cdef size_t row
    # Most columns have only floats.
    if not column.type_flags & (TYPE_INT64 | TYPE_WIDE_INT64 | TYPE_NUMBER_TEXT):
        row_count = 0
    for row in range(row_count):
        column.bits[row] = float_bits(column, column.tags[row], column.bits[row])
    out.values.swap(column.bits)
    return 0


cdef int fill_bools(Column* column, size_t row_count, ArrayBuffers* out) except -1 nogil:
    pack_bits(column.tags.data(), row_count, CELL_TRUE, out.bits)
    return 0


cdef int fill_text(Column* column, size_t row_count, ArrayBuffers* out) except -1 nogil:
    """Moves the text out if the cells refer to all of it in order; otherwise copies it."""
    cdef size_t row
    cdef uint64_t bits
    cdef size_t end = 0
    cdef bint is_whole = True
    out.offsets.resize(row_count + 1)
    for row in range(row_count):
        # The bits of a null are zeros: no text. Without a branch, because nulls may be at random places.
        bits = column.bits[row]
        out.offsets[row] = <int32_t> end
        is_whole &= (text_offset(bits) == end) | (text_length(bits) == 0)
        end += text_length(bits)
    out.offsets[row_count] = <int32_t> end
    if is_whole:
        column.text.resize(end)
        out.text.swap(column.text)
        return 0
    out.text.resize(end)
    for row in range(row_count):
        if text_length(column.bits[row]):
            memcpy(
                out.text.data() + out.offsets[row], column.text.data() + text_offset(column.bits[row]),
                text_length(column.bits[row]),
            )
    return 0


cdef int write_cell(Column* column, size_t row, TextRoom& out) except -1 nogil:
    """Writes a cell's value as JSON text; JSON text is copied unchanged."""
    cdef uint64_t bits = column.bits[row]
    cdef uint8_t tag = column.tags[row]
    cdef const uint8_t* text
    if tag == CELL_INT64:
        write_int64(<int64_t> bits, out)
    elif tag == CELL_UINT64:
        write_uint64(bits, out)
    elif tag == CELL_FLOAT64:
        write_double(double_of(bits), out)
    elif tag == CELL_TRUE or tag == CELL_FALSE:
        write_literal("true" if tag == CELL_TRUE else "false", out)
    elif tag == CELL_TEXT:
        write_string(column.text.data() + text_offset(bits), text_length(bits), out)
    elif tag == CELL_JSON:
        text = column.text.data() + text_offset(bits)
        out.append(text, text_length(bits))
    return 0


cdef int fill_json(Column* column, size_t row_count, ArrayBuffers* out) except -1 nogil:
    """Writes every value as JSON text; moves the text out if all of it is that."""
    cdef size_t row
    if not column.type_flags & ~JSON_FLAGS:
        return fill_text(column, row_count, out)
    out.offsets.resize(row_count + 1)
    for row in range(row_count):
        out.offsets[row] = <int32_t> out.text.size()
        if column.tags[row] != CELL_NULL:
            write_cell(column, row, out.text)
    out.offsets[row_count] = <int32_t> out.text.size()
    return 0


cdef int fill_lists(Column* column, size_t row_count, char item_format, ArrayBuffers* out) except -1 nogil:
    """Reads the lists' text, which is well-formed and of numbers and nulls, into the buffers of their items."""
    cdef unique_ptr[ArrayBuffers] owned = unique_ptr[ArrayBuffers](new ArrayBuffers(shared_pool()))
    cdef ArrayBuffers* items = owned.get()
    cdef PooledVector[uint8_t] tags = PooledVector[uint8_t](shared_pool())
    cdef Cursor text
    cdef Token token
    cdef uint64_t bits
    cdef size_t row
    items.format = item_format
    out.offsets.resize(row_count + 1)
    for row in range(row_count):
        out.offsets[row] = <int32_t> items.values.size()
        if column.tags[row] == CELL_NULL:
            continue
        open_cursor(&text, column.text.data() + text_offset(column.bits[row]), text_length(column.bits[row]))
        text.pos += 1
        skip_space(&text)
        while peek(&text) != c']' and read_token(&text, &token):
            bits = 0
            if token.kind == TOKEN_FLOAT64:
                bits = bits_of(token.number)
            elif token.kind == TOKEN_INT64:
                bits = bits_of(<double> token.integer) if item_format == c'g' else <uint64_t> token.integer
            items.values.push_back(bits)
            tags.push_back(CELL_NULL if token.kind == TOKEN_NULL else CELL_INT64)
            skip_space(&text)
            if peek(&text) == c',':
                text.pos += 1
                skip_space(&text)
    out.offsets[row_count] = <int32_t> items.values.size()
    items.length = <int64_t> tags.size()
    items.null_count = <int64_t> fill_validity(tags.data(), tags.size(), items.validity)
    out.items = move(owned)
    return 0


cdef int fill_buffers(
    CellTable* cells, Column* column, size_t row_count, char format, char item_format, uint64_t* words,
    ArrayBuffers* out
) except -1 nogil:
    """Makes the array of a column's cells, which are consumed.

    `words` are as many zeros as `shared_words` says, or NULL.
    `format` is the first character of Arrow's format string, or `j` for JSON text; `item_format` is that of a list's
    items. The format must be one that `column_types.column_format` gives for the column's type flags, or for more.
    """
    out.format = c'u' if format == c'j' else format
    out.length = <int64_t> row_count
    if shared_words(cells, column, row_count, format):
        return fill_sparse_numbers(cells, column, row_count, format, words, out)
    if not column.is_dense:
        cells.make_dense(column[0], row_count)
    out.null_count = <int64_t> column.null_count
    out.validity.swap(column.validity)
    if format == c'g':
        fill_floats(column, row_count, out)
    elif format == c'l' or format == c'L':
        out.values.swap(column.bits)
    elif format == c'b':
        fill_bools(column, row_count, out)
    elif format == c'u':
        fill_text(column, row_count, out)
    elif format == c'j':
        fill_json(column, row_count, out)
    elif format == c'+':
        fill_lists(column, row_count, item_format, out)
    return 0
