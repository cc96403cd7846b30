"""Nested items of a row as cells: JSON text, one cell for all that belong together."""

from libc.stddef cimport size_t
from libcpp.vector cimport vector

from histscan._core.columns.column_cells cimport (
    CELL_JSON, TYPE_JSON, Cell, CellTable, Column, check_text, is_sound_value, text_bits,
)
from histscan._core.bytes.cursor cimport Cursor, open_cursor
from histscan._core.columns.nested_items cimport NestedItem, NestedPath, is_tree, write_object


cdef inline int put_nested(
    CellTable& cells, const vector[NestedPath]& paths, vector[NestedItem]& nested, size_t row
) except -1 nogil:
    """Adds the nested items of a row as the text of objects; 0 where the row takes the slow path."""
    cdef Cursor value
    cdef Column* column
    cdef Cell cell
    cdef size_t offset
    cdef size_t index = 0
    for index in range(nested.size()):
        open_cursor(&value, nested[index].begin, nested[index].end - nested[index].begin)
        if not is_sound_value(&value):
            return 0
    if not is_tree(paths, nested):
        return 0
    index = 0
    while index < nested.size():
        column = &cells.columns[paths[nested[index].path].column]
        if cells.has_cell(column[0], row):
            return 0
        offset = column.text.size()
        index = write_object(paths, nested, index, column.text)
        check_text(column, 0)
        cell = cells.cell(column[0], row, cells.room)
        cell.bits[0] = text_bits(offset, column.text.size() - offset)
        cell.tag[0] = CELL_JSON
        column.type_flags |= TYPE_JSON
    return 1
