"""Hypothesis strategies for JSON texts, written out by hand where `json.dumps` would never write such a thing."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.support.json_corpus import FLOATS, INTEGERS, LITERALS

spaces = st.text(" \t\n\r", max_size=2)

integers = st.one_of(st.integers(), st.integers(-(2**65), 2**65), st.integers(-(10**40), 10**40))

_signs = st.sampled_from(["", "-"])
_digits = st.text("0123456789", min_size=1, max_size=25)
_whole_parts = _digits.map(lambda digits: digits.lstrip("0") or "0")
_fractions = st.one_of(st.just(""), _digits.map(".{}".format))
_exponents = st.one_of(
    st.just(""),
    st.tuples(st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 400).map(str)).map("".join),
)

number_texts = st.one_of(
    integers.map(str),
    st.floats().map(json.dumps),
    st.floats(width=32).map(json.dumps),
    st.floats(allow_nan=False, allow_infinity=False).map("{:.16e}".format),
    st.floats(-1e6, 1e6).map("{:.6f}".format),
    st.tuples(_signs, _whole_parts, _fractions, _exponents).map("".join),
    st.sampled_from(INTEGERS),
    st.sampled_from(FLOATS),
)

_string_pieces = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=20),
    st.sampled_from([r"\"", r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", "\x7f", "\u2028", "é", "\U0001f600"]),
    st.integers(0, 0xFFFF).map("\\u{:04x}".format),
    st.integers(0xD800, 0xDFFF).map("\\u{:04X}".format),
    st.text("abcdefgh", min_size=14, max_size=18),
)

string_texts = st.lists(_string_pieces, max_size=5).map(lambda pieces: '"' + "".join(pieces) + '"')

key_texts = st.one_of(
    st.sampled_from(['"a"', '"b"', '"a.b"', '""', '"a "', '"_step"', r'"\u0061"', r'"\ud800"']), string_texts
)

scalar_texts = st.one_of(st.sampled_from(LITERALS), number_texts, string_texts)


def _container(opening: str, members: list[str], closing: str) -> str:
    return opening + ",".join(members) + closing


def arrays_of(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of arrays of such values."""
    element = st.tuples(spaces, values, spaces).map("".join)
    return st.builds(_container, spaces.map("[{}".format), st.lists(element, max_size=5), st.just("]"))


def objects_of(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of objects whose members have such values; some keys come twice."""
    member = st.tuples(spaces, key_texts, spaces, st.just(":"), spaces, values, spaces).map("".join)
    return st.builds(_container, spaces.map("{{{}".format), st.lists(member, max_size=5), st.just("}"))


value_texts = st.recursive(scalar_texts, lambda inner: st.one_of(arrays_of(inner), objects_of(inner)), max_leaves=15)

object_texts = objects_of(value_texts)

written_texts = st.tuples(spaces, st.one_of(value_texts, object_texts), spaces).map("".join)

json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), integers, st.floats(), st.text(st.characters(exclude_categories=[]), max_size=20)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=15,
)

dump_options = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 1, "\t"]),
        "separators": st.sampled_from([None, (",", ":"), (" , ", " : "), (",\n", ":\t")]),
    }
)

dumped_texts = st.builds(lambda value, options: json.dumps(value, **options), json_values, dump_options)

json_texts = st.one_of(written_texts, dumped_texts)

_edits = st.lists(
    st.tuples(
        st.sampled_from(["delete", "replace", "insert", "cut", "repeat"]),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from('{}[],:"\\/-+.0123456789eEaunltrfsyINi \t\n\r\x00\x1f\x7fé\u2028\ud800'),
    ),
    min_size=1,
    max_size=3,
)


def _edit(text: str, edits: list[tuple[str, float, str]]) -> str:
    for edit, where, character in edits:
        at = int(where * (len(text) + 1))
        if edit == "delete":
            text = text[:at] + text[at + 1 :]
        elif edit == "replace":
            text = text[:at] + character + text[at + 1 :]
        elif edit == "insert":
            text = text[:at] + character + text[at:]
        elif edit == "cut":
            text = text[:at]
        else:
            text = text[:at] + text[at // 2 : at] + text[at:]
    return text


def edited(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Such texts with a few characters changed, most of them no longer JSON."""
    return st.builds(_edit, texts, _edits)
