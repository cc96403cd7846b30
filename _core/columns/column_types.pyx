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
- anything else: JSON text, as Arrow's canonical extension ``arrow.json``; so no digit of a large integer is lost
"""

from histscan._core.columns.column_cells cimport (
    FACT_BOOL, FACT_FLOAT64, FACT_INT64, FACT_LIST, FACT_LIST_FLOAT64, FACT_LIST_INT64,
    FACT_LIST_WIDE_INT64, FACT_NEGATIVE, FACT_NUMBER_TEXT, FACT_TEXT, FACT_UINT64, FACT_WIDE_INT64,
)

JSON_FORMAT = "json"

cdef enum:
    INTEGERS = FACT_INT64 | FACT_WIDE_INT64 | FACT_UINT64
    NUMBERS = INTEGERS | FACT_FLOAT64
    LISTS = FACT_LIST | FACT_LIST_INT64 | FACT_LIST_WIDE_INT64 | FACT_LIST_FLOAT64


def column_format(facts):
    """Decide a column's type.

    Args:
        facts: The union of the column's facts over every chunk of a scan.

    Returns:
        Arrow's format string (``"n"``, ``"b"``, ``"l"``, ``"L"``, ``"g"``, ``"u"``, ``"+ll"``, ``"+lg"``), or
        ``"json"`` for JSON text.
    """
    cdef unsigned int seen = facts
    cdef unsigned int kinds = seen & ~<unsigned int> FACT_NEGATIVE
    if kinds == 0:
        return "n"
    if kinds == FACT_BOOL:
        return "b"
    if not kinds & ~<unsigned int> INTEGERS:
        if not kinds & FACT_UINT64:
            return "l"
        return JSON_FORMAT if seen & FACT_NEGATIVE else "L"
    if not kinds & ~<unsigned int> (FACT_TEXT | FACT_NUMBER_TEXT):
        return "u"
    if not kinds & ~<unsigned int> (FACT_INT64 | FACT_FLOAT64 | FACT_NUMBER_TEXT):
        return "g"
    if not kinds & ~<unsigned int> LISTS:
        if kinds & FACT_LIST_FLOAT64:
            return JSON_FORMAT if kinds & FACT_LIST_WIDE_INT64 else "+lg"
        # If all lists are empty or have only nulls, the type of their items is unknown.
        return "+ll" if kinds & (FACT_LIST_INT64 | FACT_LIST_WIDE_INT64) else JSON_FORMAT
    return JSON_FORMAT


def merge_columns(chunks):
    """Decide the columns of a scan.

    Args:
        chunks: The scan's chunks, in order; or anything else with ``names`` and ``facts()``.

    Returns:
        A dict from each column's name to its format, in the order in which the columns first appeared.
    """
    cdef dict merged = {}
    for chunk in chunks:
        for name, facts in zip(chunk.names, chunk.facts()):
            merged[name] = merged.get(name, 0) | facts
    return {name: column_format(facts) for name, facts in merged.items()}
