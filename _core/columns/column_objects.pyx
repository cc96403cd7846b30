"""Rows of Python objects as cells: rows that are dicts already, or that took the slow path."""

from libc.stddef cimport size_t

from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.keys.item_selection cimport MISSING, ItemSelection, find_below

from histscan.errors import ResponseShapeError


cdef int add_object_row(ColumnChunk chunk, ItemSelection selection, bint flatten, object row) except -1:
    """Adds a row that was decoded to Python objects.

    `selection` has the requested keys; None for all. With `flatten`, nested values become several cells.
    """
    cdef size_t index = chunk.row_count
    if not isinstance(row, dict):
        raise ResponseShapeError(f"a row is {type(row).__name__}, not an object: it has no columns")
    try:
        for key, value in (<dict> row).items():
            put_member(chunk, selection, flatten, key, value, index)
    except BaseException:
        chunk.cells.clear_row(index)
        raise
    chunk.row_count += 1
    return 0


cdef int put_member(
    ColumnChunk chunk, ItemSelection selection, bint flatten, object key, object value, size_t row
) except -1:
    """Makes cells of a member of a row."""
    if selection is None:
        return put_value(chunk, flatten, key, value, row)
    if key in selection.slots:
        put_value(chunk, flatten, key, value, row)
    for wanted in selection.keys_below.get(key, ()):
        # A requested dotted key leads into the value.
        found = find_below(value, wanted[len(key) + 1:])
        if found is not MISSING:
            put_value(chunk, flatten, wanted, found, row)
    return 0


cdef int put_value(ColumnChunk chunk, bint flatten, str name, object value, size_t row) except -1:
    """Makes a cell of a value; flattened, one of each that is nested in it, and of an empty dict."""
    if not flatten or type(value) is not dict or not value:
        return chunk.put_object(name, value, row)
    for key, below in (<dict> value).items():
        put_value(chunk, flatten, f"{name}.{key}", below, row)
    return 0
