"""Rows of Python objects as cells: rows that are dicts already, or that took the slow path."""

from libc.stddef cimport size_t

from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.columns.row_texts cimport member_texts, needs_texts
from histscan._core.keys.item_selection cimport MISSING, ItemSelection, find_below

from histscan.errors import ResponseShapeError


cdef int add_object_row(
    ColumnChunk chunk, ItemSelection selection, bint flatten, object row, dict texts
) except -1:
    """Adds a row that was decoded to Python objects.

    `selection` has the requested keys; None for all. With `flatten`, nested values become several cells. `texts` has
    the JSON text of nested values, by their keys, or is None; those that have none are written as JSON.
    """
    cdef size_t index = chunk.row_count
    if not isinstance(row, dict):
        raise ResponseShapeError(f"a row is {type(row).__name__}, not an object: it has no columns")
    try:
        for key, value in (<dict> row).items():
            put_member(
                chunk, selection, flatten, key, value, None if texts is None else texts.get(key), index
            )
    except BaseException:
        chunk.cells.clear_row(index)
        raise
    chunk.row_count += 1
    return 0


cdef int put_member(
    ColumnChunk chunk, ItemSelection selection, bint flatten, object key, object value, bytes text, size_t row
) except -1:
    """Makes cells of a member of a row."""
    cdef dict known = None
    if selection is None:
        return put_value(chunk, flatten, key, value, text, row)
    if key in selection.slots:
        put_value(chunk, flatten, key, value, text, row)
    for wanted in selection.keys_below.get(key, ()):
        # A requested dotted key leads into the value.
        found = find_below(value, wanted[len(key) + 1:])
        if type(found) is dict or type(found) is list:
            known = {} if known is None else known
            put_value(chunk, flatten, wanted, found, text_below(value, text, wanted[len(key) + 1:], known), row)
        elif found is not MISSING:
            put_value(chunk, flatten, wanted, found, None, row)
    return 0


cdef bytes text_below(object value, bytes text, str dotted, dict known):
    """The text of what `find_below` finds in a value of a text; None if it has none.

    `known` keeps the texts of members, so that each object is searched once for all requested keys.
    """
    cdef dict texts
    if text is None:
        return None
    texts = known.get(text)
    if texts is None:
        texts = known[text] = member_texts(text)
    if dotted in value:
        return texts.get(dotted)
    for name, below in (<dict> value).items():
        if dotted.startswith(f"{name}.") and find_below(below, dotted[len(name) + 1:]) is not MISSING:
            return text_below(below, texts.get(name), dotted[len(name) + 1:], known)
    return None


cdef int put_value(ColumnChunk chunk, bint flatten, str name, object value, bytes text, size_t row) except -1:
    """Makes a cell of a value; flattened, one of each that is nested in it, and of an empty dict."""
    cdef dict texts
    if not flatten or type(value) is not dict or not value:
        return chunk.put_object(name, value, text, row)
    texts = member_texts(text) if text is not None and needs_texts(value, True) else None
    for key, below in (<dict> value).items():
        put_value(chunk, flatten, f"{name}.{key}", below, None if texts is None else texts.get(key), row)
    return 0
