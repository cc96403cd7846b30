"""Columns of Parquet files: those that pass as they are, and those that the rows have to tell."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import polars
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

import histscan
from histscan import HistoryDecodeError
from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_types import merge_columns
from histscan.columns.chunks import build_chunks
from histscan.common.json_fields import is_json
from tests.support.arrow_samples import same
from tests.support.parquet_files import spoil, write_parquet

INT, FLOAT, TEXT = pyarrow.int64(), pyarrow.float64(), pyarrow.string()


def by_rows(run: Any, keys: list[str] | None = None, *, flatten: bool = False) -> dict[str, list[Any]]:
    """The columns that the core's builder makes of a run's dict rows."""
    chunks = list(build_chunks([list(run.scan_history())], keys=keys, flatten=flatten, rows=1 << 20))
    columns: dict[str, list[Any]] = pyarrow.table(ArrowStream(merge_columns(chunks), chunks)).to_pydict()
    return columns


def in_order(columns: dict[str, list[Any]]) -> list[tuple[str, list[Any]]]:
    return sorted(columns.items())


@pytest.fixture
def run(tmp_path: Path) -> Any:
    write_parquet(
        tmp_path / "0.parquet",
        {
            "_step": [0, 1, 2, 3],
            "small": pyarrow.array([1, None, 3, 4], pyarrow.int8()),
            "single": pyarrow.array([0.1, None, math.nan, 1.0], pyarrow.float32()),
            "word": pyarrow.array(["a", "b", None, "a"]).dictionary_encode(),
            "number": [1, 2, 3, None],
            "nested": [{"x": 1}, None, {"x": 2}, {"x": None}],
            "list": [[1.0, None], None, [], [2.5]],
            "nothing": pyarrow.nulls(4),
        },
        row_group_size=2,
    )
    write_parquet(
        tmp_path / "1.parquet",
        {"number": [0.5, 2**53 + 1.0, None], "_step": [2.0, None, 5.0], "late": [True, False, None]},
    )
    return histscan.open(tmp_path)


class TestTypes:
    def test_schema_and_values(self, run: Any) -> None:
        table = run.to_arrow()
        assert table.schema.names == [
            "_step", "small", "single", "word", "number", "nested", "list", "nothing", "late",
        ]  # fmt: skip
        assert table.schema.types == [
            INT, INT, FLOAT, TEXT, FLOAT, TEXT, pyarrow.list_(FLOAT), pyarrow.null(), pyarrow.bool_(),
        ]  # fmt: skip
        assert [field.name for field in table.schema if is_json(field)] == ["nested"]
        assert table.column("_step").to_pylist() == [0, 1, 2, 2, 3, 5]
        assert table.column("number").to_pylist() == [1.0, 2.0, 3.0, 0.5, None, None]
        assert table.column("nested").to_pylist() == ['{"x": 1}', None, '{"x": 2}', None, "{}", None]
        assert same(table.drop_columns("nothing").to_pydict(), by_rows(run, table.drop_columns("nothing").schema.names))

    def test_keys(self, run: Any) -> None:
        table = run.to_arrow(["late", "nested.x", "nothing", "word"], with_step=False)
        assert table.schema.names == ["late", "nested.x", "nothing", "word"]
        assert table.schema.types == [pyarrow.bool_(), INT, pyarrow.null(), TEXT]
        assert table.num_rows == 6
        assert same(table.to_pydict(), by_rows(run, table.schema.names))

    def test_keys_of_a_scan_choose_its_rows(self, run: Any) -> None:
        scan = run.scan_history(["nested", "list"])
        assert scan.to_arrow().schema.names == ["nested", "list"]
        assert scan.to_arrow(["_step"]).to_pydict() == {"_step": [0, 2, 3]}
        assert run.scan_history(["nested.x"]).to_arrow().to_pydict() == {"nested.x": [1, 2]}

    def test_flatten(self, run: Any) -> None:
        table = run.to_arrow(nested="flatten")
        # One of the structs has no member at all.
        assert table.column("nested").to_pylist() == [None, None, None, None, "{}", None]
        assert table.schema.field("nested.x").type == INT
        flattened = by_rows(run, flatten=True)
        assert same(in_order(table.drop_columns("nothing").to_pydict()), in_order(flattened))

    def test_times_pass(self, tmp_path: Path) -> None:
        path = write_parquet(tmp_path / "a.parquet", {"_step": [0], "at": pyarrow.array([5], pyarrow.timestamp("us"))})
        assert histscan.open(path).to_arrow().schema.field("at").type == pyarrow.timestamp("us")

    def test_integers_that_no_double_holds_stay_exact(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "0.parquet", {"_step": [0], "n": [2**53 + 1]})
        write_parquet(tmp_path / "1.parquet", {"_step": [1], "n": [0.5]})
        assert histscan.open(tmp_path).to_arrow().column("n").to_pylist() == [str(2**53 + 1), "0.5"]

    def test_columns_of_different_types(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "0.parquet", {"_step": [0], "a": ["x"], "b": [1]})
        write_parquet(tmp_path / "1.parquet", {"_step": [1], "a": [1], "b": [True]})
        table = histscan.open(tmp_path).to_arrow()
        assert table.schema.types == [INT, TEXT, TEXT]
        assert all(map(is_json, list(table.schema)[1:]))
        assert table.to_pydict() == {"_step": [0, 1], "a": ['"x"', "1"], "b": ["1", "true"]}


class TestConsumers:
    def test_frames(self, run: Any) -> None:
        assert run.to_pandas(["_step", "number"])["_step"].tolist() == [0, 1, 2, 2, 3, 5]
        assert run.to_polars(["_step", "late"])["late"].to_list() == [None, None, None, True, None, None]
        assert polars.DataFrame(run.scan_history(["small"]))["small"].to_list() == [1, 3, 4]
        assert same(pyarrow.table(run).to_pydict(), run.to_arrow().to_pydict())

    @pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 100])
    @pytest.mark.parametrize("nested", ["json", "flatten"])
    @pytest.mark.parametrize("keys", [None, ["word", "number"], ["nested.x", "small"]])
    def test_batches(self, run: Any, rows: int, nested: str, keys: list[str] | None) -> None:
        table = run.to_arrow(keys, nested=nested)
        batches = list(run.batches(keys, rows=rows, nested=nested))
        assert [len(batch) for batch in batches[:-1]] == [rows] * (len(batches) - 1)
        joined = pyarrow.Table.from_batches(batches)
        assert joined.schema.equals(table.schema)
        assert same(joined.to_pydict(), table.to_pydict())

    def test_no_rows(self, run: Any) -> None:
        scan = run.scan_history(min_step=1000)
        assert scan.to_arrow().num_rows == 0
        assert scan.to_arrow().schema.names == run.to_arrow().schema.names
        assert list(scan.batches()) == []
        assert scan.to_arrow(["nested.x"], with_step=False).schema.names == ["nested.x"]

    def test_rows_go_on_where_they_were(self, run: Any) -> None:
        scan = run.scan_history()
        assert next(scan)["_step"] == 0
        assert scan.to_arrow().num_rows == 6
        assert next(scan)["_step"] == 1

    def test_wrong_arguments(self, run: Any) -> None:
        for options in ({"nested": "deep"}, {"keys": "loss"}):
            with pytest.raises(ValueError, match=r"nested must be|list of strings"):
                run.to_arrow(**options)
        with pytest.raises(ValueError, match="at least 1"):
            list(run.batches(rows=0))


@pytest.mark.parametrize("keys", [None, ["a"], ["n", "a"]])
def test_batches_before_damage(tmp_path: Path, keys: list[str] | None) -> None:
    columns = {"_step": range(30), "a": range(30), "n": [{"x": step} for step in range(30)]}
    path = write_parquet(tmp_path / "a.parquet", columns, row_group_size=10)
    spoil(path, 2, "a")
    batches: list[Any] = []
    with pytest.raises(HistoryDecodeError, match=r"corrupt.*a\.parquet, page row group 2"):
        batches.extend(histscan.open(path).batches(keys, rows=8))
    assert list(map(len, batches)) == [8, 8, 4]


CELLS = [
    st.integers(-5, 5),
    st.sampled_from([0.5, -1.0, math.nan]),
    st.booleans(),
    st.sampled_from(["", "x", "é"]),
    st.lists(st.integers(0, 3), max_size=2),
    st.fixed_dictionaries({"x": st.none() | st.integers(0, 3), "y": st.none() | st.just("z")}),
]


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    tables = []
    for number in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(1, 6))
        # Steps of their own, so that no row repeats another's.
        columns = {"_step": [number + 3 * place for place in range(rows)]}
        for name in draw(st.sets(st.sampled_from(["a", "b", "c"]), min_size=1)):
            values = st.none() | draw(st.sampled_from(CELLS))
            cells = draw(st.lists(values, min_size=rows, max_size=rows))
            columns[name] = (
                pyarrow.array(cells) if any(cell is not None for cell in cells) else pyarrow.nulls(rows, INT)
            )
        tables.append(pyarrow.table(columns))
    return tables


@given(histories(), st.integers(1, 6), st.booleans())
def test_any_columns_hold_what_rows_hold(tables: list[Any], group_rows: int, flatten: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(tables):
            write_parquet(Path(folder, f"{number}.parquet"), table, row_group_size=group_rows)
        run = histscan.open(folder)
        expected = by_rows(run, flatten=flatten)
        found = run.to_arrow(nested="flatten" if flatten else "json").to_pydict()
        # A column that no row has a value of is a column of the file nevertheless.
        found = {
            name: cells for name, cells in found.items() if name in expected or any(cell is not None for cell in cells)
        }
        assert set(found) == set(expected)
        for name, cells in expected.items():
            assert list(map(_number, found[name])) == list(map(_number, cells))


def _number(cell: Any) -> str:
    """A cell whose type may be wider in a file than the values would need."""
    return repr(cell)
