"""Hypothesis strategies for rows whose columns are worth a look: mostly of one kind, now and then of several."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.support.json_corpus import is_json
from tests.support.json_strategies import number_texts, string_texts, value_texts

_CHARACTERS = st.characters(exclude_categories=["Cs"])

_integers = st.one_of(st.integers(-10, 10), st.integers(-(2**53) - 2, 2**53 + 2)).map(str)
_wide_integers = st.sampled_from([sign * 2**53 + offset for sign in (1, -1) for offset in (-1, 0, 1, 2)]).map(str)
_int64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([-(2**63), 2**63 - 1, 0])).map(str)
_unsigned = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([2**63 - 1, 2**63, 2**64 - 1])).map(str)
_huge = st.sampled_from([2**64, -(2**63) - 1, 2**64 + 1, 10**30, -(10**30)]).map(str)
_floats = st.one_of(st.floats().map(json.dumps), st.sampled_from(["NaN", "Infinity", "-Infinity", "-0.0", "1e400"]))
_quoted_floats = st.sampled_from(['"NaN"', '"Infinity"', '"-Infinity"'])
_bools = st.sampled_from(["true", "false"])
_strings = st.one_of(
    st.text(_CHARACTERS, max_size=12).map(json.dumps), st.sampled_from(['""', '"NaNs"', '"é\\n\\u0000"'])
)


def _list_text(elements: list[str]) -> str:
    return "[" + ",".join(elements) + "]"


def _lists(*elements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(st.just("null"), *elements), max_size=4).map(_list_text)


_objects = st.sampled_from(["{}", '{"a":1}', '{"a":{"b":[1,{"c":null}]}}', '{ "a" : "é", "b":NaN }', '{"a":1,"a":2}'])

_KINDS = [
    _integers, _int64, _unsigned, _wide_integers, _huge, _floats, _quoted_floats, _bools, _strings, string_texts,
    number_texts, _lists(_integers), _lists(_floats), _lists(_integers, _floats), _lists(_int64), _lists(_unsigned),
    _lists(_wide_integers, _floats), _lists(_bools), _lists(_quoted_floats, _floats), _objects, value_texts,
]  # fmt: skip

column_texts = st.lists(st.sampled_from(_KINDS), min_size=1, max_size=3, unique_by=id).flatmap(
    lambda kinds: st.lists(st.one_of(st.just("null"), *kinds).filter(is_json), max_size=12)
)
"""The JSON texts of one column's values, from one to three kinds of them and nulls."""

column_names = st.one_of(
    st.sampled_from(["a", "b", "_step", "", " ", "é", 'q"', "a.b", "x" * 40]),
    st.text(_CHARACTERS, max_size=6),
)


@st.composite
def column_rows(draw: st.DrawFn, max_columns: int = 5) -> list[list[tuple[str, str]]]:
    """Rows as pairs of keys and texts: columns of different lengths, in an order that changes now and then."""
    columns = draw(st.dictionaries(column_names, column_texts, max_size=max_columns))
    count = max(map(len, columns.values()), default=draw(st.integers(0, 3)))
    rows: list[list[tuple[str, str]]] = []
    offsets = {name: draw(st.integers(0, count - len(texts))) for name, texts in columns.items()}
    for index in range(count):
        row = [
            (name, texts[index - offsets[name]])
            for name, texts in columns.items()
            if 0 <= index - offsets[name] < len(texts)
        ]
        rows.append(draw(st.permutations(row)) if draw(st.integers(0, 3)) == 0 else row)
    return rows
