"""Which Arrow type a column has, from what was seen in it over a whole scan.

The rules, first match first; null and absent are null in every type. Every value that was read counts, also one that
a later member of the same row has replaced:

- nothing but null: ``null``
- bools alone: ``bool``
- integers alone: ``int64``; ``uint64`` where some are beyond int64 and none is negative
- integers and floats, NaN and infinities bare or in quotes among them: ``float64``, if each integer is within int64
  and a double holds it exactly
- text alone: ``utf8``
- lists of integers, of floats or of both (and nulls): a list of ``int64`` or ``float64``, by the same rules
- anything else: JSON text, as ``utf8`` whose field has the metadata ``histscan.type: json``; so no digit of a large
  integer is lost
"""

from histscan._core.columns.column_cells cimport (
    TYPE_BOOL, TYPE_FLOAT64, TYPE_INT64, TYPE_LIST, TYPE_LIST_FLOAT64, TYPE_LIST_INT64,
    TYPE_LIST_WIDE_INT64, TYPE_NEGATIVE, TYPE_NUMBER_TEXT, TYPE_TEXT, TYPE_UINT64, TYPE_WIDE_INT64,
)

JSON_FORMAT = "json"

cdef enum:
    INTEGERS = TYPE_INT64 | TYPE_WIDE_INT64 | TYPE_UINT64
    NUMBERS = INTEGERS | TYPE_FLOAT64
    LISTS = TYPE_LIST | TYPE_LIST_INT64 | TYPE_LIST_WIDE_INT64 | TYPE_LIST_FLOAT64


def column_format(type_flags):
    """Decide a column's type.

    Args:
        type_flags: The union of the column's type flags over every chunk of a scan.

    Returns:
        Arrow's format string (``"n"``, ``"b"``, ``"l"``, ``"L"``, ``"g"``, ``"u"``, ``"+ll"``, ``"+lg"``), or
        ``"json"`` for JSON text.
    """
    cdef unsigned int seen = type_flags
    cdef unsigned int kinds = seen & ~<unsigned int> TYPE_NEGATIVE
    if kinds == 0:
        return "n"
    if kinds == TYPE_BOOL:
        return "b"
    if not kinds & ~<unsigned int> INTEGERS:
        if not kinds & TYPE_UINT64:
            return "l"
        return JSON_FORMAT if seen & TYPE_NEGATIVE else "L"
    if not kinds & ~<unsigned int> (TYPE_TEXT | TYPE_NUMBER_TEXT):
        return "u"
    if not kinds & ~<unsigned int> (TYPE_INT64 | TYPE_FLOAT64 | TYPE_NUMBER_TEXT):
        return "g"
    if not kinds & ~<unsigned int> LISTS:
        if kinds & TYPE_LIST_FLOAT64:
            return JSON_FORMAT if kinds & TYPE_LIST_WIDE_INT64 else "+lg"
        # If all lists are empty or have only nulls, the type of their items is unknown.
        return "+ll" if kinds & (TYPE_LIST_INT64 | TYPE_LIST_WIDE_INT64) else JSON_FORMAT
    return JSON_FORMAT


def merge_columns(chunks):
    """Decide the columns of a scan.

    Args:
        chunks: The scan's chunks, in order; or anything else with ``names`` and ``type_flags()``.

    Returns:
        A dict from each column's name to its format, in the order in which the columns first appeared.
    """
    cdef dict merged = {}
    for chunk in chunks:
        for name, type_flags in zip(chunk.names, chunk.type_flags()):
            merged[name] = merged.get(name, 0) | type_flags
    return {name: column_format(type_flags) for name, type_flags in merged.items()}
