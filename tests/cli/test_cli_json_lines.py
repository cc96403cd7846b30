"""A line of JSON reads back as exactly the row that was written."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from histscan.cli.json_lines import JsonLineEncoder, nonfinite_name, write_json_lines
from histscan.errors import HistoryError
from tests.support.json_corpus import fingerprint, is_json
from tests.support.json_strategies import json_values, object_texts

rows = st.one_of(
    object_texts.filter(is_json).map(json.loads), st.dictionaries(st.text(max_size=5), json_values, max_size=5)
)


def deep(levels: int) -> dict[str, Any]:
    row: dict[str, Any] = {"_step": 7}
    for _ in range(levels):
        row = {"_step": 7, "deeper": row}
    return row


@given(rows)
@example({"": None, "nan": math.nan, "text": "null", "null": [math.inf, {"a": -math.inf}, None]})
@example({"surrogate": "\ud800", "int": 2**64, "min": -(2**63) - 1, "nan": math.nan})
@example({"surrogate \udfff": "\u2028\x00\x7f", "zero": -0.0, "pair": "\U0001f600"})
@example(deep(300))
def test_line_reads_back_as_the_row(row: dict[str, Any]) -> None:
    line = JsonLineEncoder().encode(row)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    text = line.decode("utf-8")
    # JSON does not keep the payload bits of a NaN.
    assert fingerprint(json.loads(text)) == fingerprint(json.loads(json.dumps(row)))


def with_nonfinite(value: Any, form: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if form == "null" else nonfinite_name(value)
    if isinstance(value, dict):
        return {key: with_nonfinite(member, form) for key, member in value.items()}
    if isinstance(value, list):
        return [with_nonfinite(element, form) for element in value]
    return value


@given(rows, st.sampled_from(["null", "string"]))
@example({"nan": math.nan, "int": 2**64, "list": [math.inf]}, "null")
@example({"nan": math.nan, "int": 2**64, "list": [-math.inf]}, "string")
def test_nan_as_null_or_string_is_standard_json(row: dict[str, Any], form: str) -> None:
    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    read = json.loads(JsonLineEncoder(form).encode(row), parse_constant=refuse)
    assert fingerprint(read) == fingerprint(with_nonfinite(row, form))


def test_names_of_nan_and_the_infinities() -> None:
    row = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1.5, "e": None}
    assert JsonLineEncoder().encode(row) == b'{"a":NaN,"b":Infinity,"c":-Infinity,"d":1.5,"e":null}\n'
    assert JsonLineEncoder("null").encode(row) == b'{"a":null,"b":null,"c":null,"d":1.5,"e":null}\n'
    assert JsonLineEncoder("string").encode(row) == b'{"a":"NaN","b":"Infinity","c":"-Infinity","d":1.5,"e":null}\n'


def test_unknown_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="token, null, string"):
        JsonLineEncoder("NaN")


def test_error_of_deep_nesting_names_the_step() -> None:
    with pytest.raises(HistoryError, match=r"too deeply .* \(step 7\)"):
        JsonLineEncoder().encode(deep(200_000))


def test_rows_are_written_in_order_one_per_line() -> None:
    output = io.BytesIO()
    rows: list[dict[str, Any]] = [{"a": 1}, {}, {"b": [1, 2]}]
    write_json_lines(iter(rows), output)
    assert output.getvalue() == b'{"a":1}\n{}\n{"b":[1,2]}\n'
