"""Nested and mixed columns are text for every consumer, and JSON for histscan itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

import histscan
from histscan.columns.arrow_files import write_arrow, write_parquet
from histscan.common.json_fields import is_json
from tests.support.log_samples import Row

ROWS: list[Row] = [
    {"_step": 0, "mixed": 1, "nested": {"x": {"y": 1}}, "text": '{"not": "JSON"}', "loss": 0.5},
    {"_step": 1, "mixed": "one", "nested": {"x": {"y": None}, "z": "é"}, "text": "1", "loss": 1.5},
    {"_step": 2, "mixed": [1, "a"], "text": "null", "loss": 2.5},
    {"_step": 3, "mixed": True, "nested": {}, "loss": 3.5},
]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return histscan.open(path)


def as_extension(table: pa.Table) -> pa.Table:
    """The table as earlier exports have it, with Arrow's extension type for JSON text."""
    columns, fields = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        if is_json(field):
            column = pa.chunked_array([pa.ExtensionArray.from_storage(pa.json_(), piece) for piece in column.chunks])
        columns.append(column)
        fields.append(pa.field(field.name, column.type))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def test_consumers_have_text(run: Any, tmp_path: Path) -> None:
    table = run.to_arrow()
    assert [field.name for field in table.schema if is_json(field)] == ["mixed", "nested"]
    assert {str(table.schema.field(name).type) for name in ("mixed", "nested", "text")} == {"string"}
    for frame in (run.to_polars(), pl.DataFrame(run), pl.from_arrow(table), run.scan_polars().collect()):
        assert isinstance(frame, pl.DataFrame)
        assert frame.schema["mixed"] == frame.schema["nested"] == pl.String
        assert frame["mixed"].str.len_chars().to_list() == [1, 5, 8, 4]
        assert (frame["mixed"] == "true").to_list() == [False, False, False, True]
        assert frame["mixed"].cast(pl.Int64, strict=False).to_list() == [1, None, None, None]
        assert len(frame.write_csv().splitlines()) == 5
    assert run.to_pandas()["nested"].str.contains("x").tolist()[:2] == [True, True]
    with duckdb.connect() as connection:
        assert connection.sql("select length(mixed) from run where mixed like '%one%'").fetchall() == [(5,)]
    with (tmp_path / "a.parquet").open("wb") as output:
        write_parquet(run.scan_history(), output)
    frame = pl.read_parquet(tmp_path / "a.parquet")
    assert frame.schema["nested"] == pl.String
    assert frame["mixed"].to_list() == ["1", '"one"', '[1, "a"]', "true"]


@pytest.mark.parametrize("write", [write_parquet])
def test_exports_read_back_as_the_source(run: Any, tmp_path: Path, write: Any) -> None:
    path = tmp_path / "export.parquet"
    with path.open("wb") as output:
        write(run.scan_history(), output)
    earlier = tmp_path / "earlier.parquet"
    pyarrow.parquet.write_table(as_extension(pyarrow.parquet.read_table(path)), earlier)
    assert pyarrow.parquet.read_schema(earlier).field("mixed").type == pa.json_()
    for file in (path, earlier):
        again = histscan.open(file)
        assert list(again.scan_history()) == ROWS
        assert list(again.scan_history(["nested.x"])) == [{"nested.x": row["nested"]["x"]} for row in ROWS[:2]]
        assert again.to_arrow().equals(run.to_arrow(), check_metadata=True)
        assert pa.Table.from_batches(again.batches(rows=3)).schema.equals(run.to_arrow().schema, check_metadata=True)
        assert again.to_arrow(nested="flatten")["nested.x.y"].to_pylist() == [1, None, None, None]
        assert again.scan_polars().collect().equals(run.to_polars())
        with (tmp_path / "copy.parquet").open("wb") as output:
            write(again.scan_history(), output)
        assert list(histscan.open(tmp_path / "copy.parquet").scan_history()) == ROWS


def test_exports_of_both_kinds_are_one_history(run: Any, tmp_path: Path) -> None:
    table = run.to_arrow()
    pyarrow.parquet.write_table(as_extension(table.slice(0, 2)), tmp_path / "0.parquet")
    pyarrow.parquet.write_table(table.slice(2), tmp_path / "1.parquet")
    both = histscan.open(tmp_path / "*.parquet")
    assert both.to_arrow().equals(table, check_metadata=True)
    assert list(both.scan_history()) == ROWS


def test_text_in_one_file_and_json_text_in_another(run: Any, tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"_step": [9], "mixed": ["plain"]}), tmp_path / "1.parquet")
    pyarrow.parquet.write_table(run.to_arrow().select(["_step", "mixed"]), tmp_path / "0.parquet")
    table = histscan.open(tmp_path / "*.parquet").to_arrow()
    assert is_json(table.schema.field("mixed"))
    assert [json.loads(text) for text in table["mixed"].to_pylist()] == [*(row["mixed"] for row in ROWS), "plain"]


def test_arrow_files(run: Any, tmp_path: Path) -> None:
    with (tmp_path / "a.arrow").open("wb") as output:
        write_arrow(run.scan_history(), output)
    frame = pl.read_ipc(tmp_path / "a.arrow")
    assert frame["mixed"].str.len_chars().to_list() == [1, 5, 8, 4]
    schema = pa.ipc.open_file(str(tmp_path / "a.arrow")).schema
    assert [field.name for field in schema if is_json(field)] == ["mixed", "nested"]


@pytest.mark.parametrize("reduction", [{}, {"tail": 5}, {"align": "outer"}, {"samples": 10}])
def test_text_of_one_run_beside_nested_values_of_another(tmp_path: Path, reduction: dict[str, Any]) -> None:
    for name, value in (("a", "plain"), ("b", {"x": 1})):
        pyarrow.parquet.write_table(
            histscan_rows(tmp_path, [{"_step": 0, "v": value, "n": 1}]), tmp_path / f"e_p_{name}_0.runhistory.parquet"
        )
    runs = histscan.open_runs([tmp_path / "e_p_a_0.runhistory.parquet", tmp_path / "e_p_b_0.runhistory.parquet"])
    table = runs.to_arrow(**reduction)
    assert is_json(table.schema.field("v"))
    assert [json.loads(text) for text in table["v"].to_pylist()] == ["plain", {"x": 1}]


def histscan_rows(folder: Path, rows: list[Row]) -> pa.Table:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    table = histscan.open(path).to_arrow()
    path.unlink()
    return table
