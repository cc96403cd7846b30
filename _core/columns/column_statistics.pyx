"""Statistics of the columns of a chunk: the types of their values, the extremes of their numbers, the last value."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

from histscan._core.bytes.cursor cimport Cursor, open_cursor
from histscan._core.columns.column_cells cimport (
    CELL_FALSE, CELL_FLOAT64, CELL_INT64, CELL_NULL, CELL_TEXT, CELL_TRUE, CELL_UINT64, CellTable, Column, SparseCell,
)
from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.json.json_value cimport JsonContext, decode_value

cdef extern from "columns/cell_statistics.hpp" namespace "histscan" nogil:
    cdef cppclass Extremes[Number]:
        Number lowest
        Number highest
        size_t lowest_row
        size_t highest_row
        cpp_bool exist

    cdef cppclass CellStatistics:
        size_t bools, integers, floats, nans, texts, lists, nulls
        size_t first_row
        size_t last_row
        Extremes[int64_t] integer_extremes
        Extremes[double] float_extremes
        vector[size_t] others

    SparseCell find_cell(const CellTable&, const Column&, size_t row)
    CellStatistics count_cells(const CellTable&, Column&, size_t row_count) except +
    const size_t NO_ROW "histscan::CellStatistics::no_row"


cdef class ColumnStatistics:
    """Statistics of one column of a chunk.

    Attributes:
        bools: The number of bools.
        integers: The number of integers within int64; the others are among `others`.
        floats: The number of floats, NaN included.
        nans: The number of NaN.
        texts: The number of texts.
        lists: The number of lists.
        nulls: The number of nulls, if the builder noted them.
        first_row: The first row with one of these; None if there is none.
        last_row: The last one.
        numbers: The lowest and the highest integer and float, each as the number and the first row that has it.
            Without NaN; empty without numbers.
        others: Other values, each as its row and the value: dicts, and large integers.
    """

    cdef readonly size_t bools, integers, floats, nans, texts, lists, nulls
    cdef readonly object first_row, last_row
    cdef readonly list numbers, others


def column_statistics(ColumnChunk chunk not None):
    """Find the statistics of the columns of a chunk.

    Args:
        chunk: A chunk that was not exported, of a builder that notes nulls.

    Returns:
        A `ColumnStatistics` for each of ``chunk.names``.

    Raises:
        RuntimeError: The chunk was exported.
    """
    cdef vector[CellStatistics] found
    cdef CellStatistics* one
    cdef ColumnStatistics statistics
    cdef size_t index, row
    cdef size_t row_count = <size_t> chunk.row_count
    cdef JsonContext context = None
    check_unused(chunk)
    with nogil:
        for index in range(chunk.cells.columns.size()):
            found.push_back(count_cells(chunk.cells, chunk.cells.columns[index], row_count))
    result = []
    for name in chunk.names:
        index = <size_t> <int32_t> chunk.index_of[name]
        one = &found[index]
        statistics = ColumnStatistics.__new__(ColumnStatistics)
        statistics.bools = one.bools
        statistics.integers = one.integers
        statistics.floats = one.floats
        statistics.nans = one.nans
        statistics.texts = one.texts
        statistics.lists = one.lists
        statistics.nulls = one.nulls
        if one.first_row != NO_ROW:
            statistics.first_row, statistics.last_row = one.first_row, one.last_row
        statistics.numbers = []
        if one.integer_extremes.exist:
            statistics.numbers.append((one.integer_extremes.lowest, one.integer_extremes.lowest_row))
            statistics.numbers.append((one.integer_extremes.highest, one.integer_extremes.highest_row))
        if one.float_extremes.exist:
            statistics.numbers.append((one.float_extremes.lowest, one.float_extremes.lowest_row))
            statistics.numbers.append((one.float_extremes.highest, one.float_extremes.highest_row))
        if one.others.size() and context is None:
            context = JsonContext()
        statistics.others = [(row, read_cell(chunk, index, row, context)) for row in one.others]
        result.append(statistics)
    return result


def column_value(ColumnChunk chunk not None, str name not None, size_t row):
    """Read one value.

    Args:
        chunk: A chunk that was not exported.
        name: The name of a column.
        row: The row in the chunk.

    Returns:
        The value as in a dict row; None where the row has none, or there is no such column.

    Raises:
        IndexError: There is no such row.
        RuntimeError: The chunk was exported.
    """
    check_unused(chunk)
    if row >= <size_t> chunk.row_count:
        raise IndexError(f"the chunk has {chunk.row_count} rows, not a row {row}")
    index = chunk.index_of.get(name)
    return None if index is None else read_cell(chunk, <size_t> <int32_t> index, row, None)


cdef int check_unused(ColumnChunk chunk) except -1:
    if chunk.is_used_up:
        raise RuntimeError("the columns of this chunk have already been exported")
    return 0


cdef object read_cell(ColumnChunk chunk, size_t index, size_t row, JsonContext context):
    """The value of a cell as in a dict row. `context` may be None for a single value."""
    cdef Column* column = &chunk.cells.columns[index]
    cdef SparseCell cell = find_cell(chunk.cells, column[0], row)
    cdef double number
    cdef const uint8_t* text
    cdef size_t length
    cdef Cursor cursor
    if cell.tag == CELL_NULL:
        return None
    if cell.tag == CELL_FALSE or cell.tag == CELL_TRUE:
        return cell.tag == CELL_TRUE
    if cell.tag == CELL_INT64:
        return <int64_t> cell.bits
    if cell.tag == CELL_UINT64:
        return cell.bits
    if cell.tag == CELL_FLOAT64:
        memcpy(&number, &cell.bits, sizeof(double))
        return number
    text = column.text.data() + (cell.bits >> 32)
    length = cell.bits & 0xFFFFFFFFULL
    if cell.tag == CELL_TEXT:
        return (<char*> text)[:length].decode("utf-8")
    open_cursor(&cursor, text, length)
    return decode_value(&cursor, JsonContext() if context is None else context)
