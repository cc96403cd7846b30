"""A CSV file holds every value of every row, under a header with every column."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import histscan
from histscan.cli import csv_writer
from histscan.cli.csv_writer import FIRST_ROWS, write_csv
from tests.support.json_strategies import integers
from tests.support.paths import EXAMPLE


def written(rows: Iterable[dict[str, Any]], keys: Sequence[str] = (), **options: Any) -> bytes:
    output = io.BytesIO()
    write_csv(rows, output, keys=keys, **options)
    return output.getvalue()


def read(table: bytes) -> list[dict[str, str]]:
    """Reads a table; fails unless every line has every column."""
    lines = list(csv.reader(io.StringIO(table.decode("utf-8"), newline=""), strict=True))
    assert all(len(line) == len(lines[0]) for line in lines)
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, member in value.items():
        if isinstance(member, dict) and member:
            yield from leaves(member, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", member


def check_cell(text: str, value: Any) -> None:
    """Checks that a cell holds a value in the documented form."""
    if value is None:
        assert text == ""
    elif isinstance(value, bool):
        assert text == ("true" if value else "false")
    elif isinstance(value, str):
        assert text == value.encode("utf-8", "backslashreplace").decode()
    elif isinstance(value, float) and not math.isfinite(value):
        assert text == ("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")
    elif isinstance(value, float):
        assert float(text).hex() == value.hex()
        assert not text.lstrip("-").isdigit()
    elif isinstance(value, int):
        assert text == str(value)
    else:
        assert json.dumps(json.loads(text)) == json.dumps(value)


# Without dots, so that every path has a unique name.
_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=".#"), max_size=4)
_scalars = st.one_of(st.none(), st.booleans(), integers, st.floats(), st.text(st.characters(exclude_categories=[])))
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_names, inner, max_size=3)),
    max_leaves=5,
)
_rows = st.dictionaries(_names, _values, max_size=4)


@given(st.lists(_rows, max_size=12), st.integers(1, 4))
@example([{"a": 1}, {"b": 'x,"y"\r\n\r\''}, {"a": math.nan, "c": [1, None, {"d": math.inf}]}, {"": ""}], 1)
@example([{"a": 2**64, "t": "\ud800"}, {"a": 0.5, "t": None}, {"a": -0.0, "t": "NaN"}, {"t": {}}], 2)
@example([{"a": None}, {"a": True}, {"a": 1e16}], 3)
@example([{}, {}, {"a": None}, {}, {"b": 1}], 1)
@example([{}, {"a": 1}], 1)
def test_file_holds_every_value(rows: list[dict[str, Any]], batch_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Small batches: columns of small examples also appear in later batches.
        patch.setattr(csv_writer, "FIRST_ROWS", batch_rows)
        patch.setattr(csv_writer, "BATCH_ROWS", batch_rows)
        table = written(rows)
    columns = {name for row in rows for name, _ in leaves(row)}
    if not columns:
        assert table.strip() == b""
        return
    read_rows = read(table)
    assert len(read_rows) == len(rows)
    for row, cells in zip(rows, read_rows, strict=True):
        values = dict(leaves(row))
        assert cells.keys() == {name.encode("utf-8", "backslashreplace").decode() for name in columns}
        for name in columns:
            check_cell(cells[name.encode("utf-8", "backslashreplace").decode()], values.get(name))


def test_late_columns_are_in_every_line() -> None:
    rows = [{"_step": step, "loss": step / 2} for step in range(3 * FIRST_ROWS)]
    rows[FIRST_ROWS + 5]["accuracy"] = 0.25
    rows[-1]["score"] = 3
    lines = written(rows).decode().splitlines()
    assert lines[0] == "_step,loss,accuracy,score"
    assert lines[1] == "0,0.0,,"
    assert lines[FIRST_ROWS + 6] == f"{FIRST_ROWS + 5},{(FIRST_ROWS + 5) / 2},0.25,"
    assert lines[-1] == f"{3 * FIRST_ROWS - 1},{(3 * FIRST_ROWS - 1) / 2},,3"
    assert len(lines) == 3 * FIRST_ROWS + 1


def test_columns_are_in_the_order_in_which_they_were_logged() -> None:
    row = {"z": 1, "b": {"y": 1, "x": 1}, "_timestamp": 2, "_step": 1, "a": 1, "_runtime": 1}
    tables: list[list[dict[str, Any]]] = [[row], [{"z": 1}, row], [row] * 3 * FIRST_ROWS]
    for rows in tables:
        assert written(rows).splitlines()[0] == b"_step,_runtime,_timestamp,z,b.y,b.x,a"
    assert written([row], by_name=lambda: True).splitlines()[0] == b"_step,_runtime,_timestamp,a,b.x,b.y,z"
    late = [{"_step": step} for step in range(FIRST_ROWS + 700)]
    late[FIRST_ROWS + 1]["z"] = 1
    late[FIRST_ROWS + 2]["a"] = 1
    late[-1]["b"] = 1
    assert written(late).splitlines()[0] == b"_step,z,a,b"
    assert written(late, by_name=lambda: True).splitlines()[0] == b"_step,z,a,b"


def test_columns_are_in_the_order_of_the_selected_keys() -> None:
    row = {"a": 1, "b": {"y": 1, "x": 1}, "_step": 1, "c.d": 1}
    assert written([row], keys=["c.d", "b", "a"]).splitlines()[0] == b"_step,c.d,b.y,b.x,a"


def test_keys_with_the_same_dotted_name_get_different_columns() -> None:
    assert written([{"a.b": 1, "a": {"b": 2}}]) == b"a.b,a.b#2\n1,2\n"


def test_empty_string_differs_from_missing() -> None:
    assert written([{"a": "", "b": 1}, {"b": None}]) == b'a,b\n"",1\n,\n'


def test_row_of_one_empty_cell_is_not_a_blank_line() -> None:
    assert read(written([{"a": 1}, {"a": None}, {}])) == [{"a": "1"}, {"a": ""}, {"a": ""}]


def test_no_rows_give_an_empty_file() -> None:
    assert written([]) == b""


def test_rows_are_iterated_once() -> None:
    scan = histscan.open(EXAMPLE).scan_history()
    assert len(read(written(scan))) == 5000


class CountedRow(dict[str, Any]):
    alive = 0
    most = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        CountedRow.alive += 1
        CountedRow.most = max(CountedRow.most, CountedRow.alive)

    def __del__(self) -> None:
        CountedRow.alive -= 1


def test_memory_is_bounded_by_a_batch() -> None:
    table = written(CountedRow({"_step": step, f"key {step // 1000}": 0.5}) for step in range(10_000))
    assert table.count(b"\n") == 10_001
    assert CountedRow.most <= FIRST_ROWS + csv_writer.BATCH_ROWS
