"""Frames of pandas: integers and bools keep their values beside gaps; times; the types of other backends."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

import histscan
from histscan.columns.pandas_frames import make_pandas
from histscan.columns.timestamps import convert_timestamps
from tests.support.log_samples import Row

BIG, WIDE = 2**60 + 1, 2**64 - 1
ROWS: list[Row] = [
    {"_step": 0, "_timestamp": 1_700_000_000.25, "whole": 1, "gap": BIG, "wide": WIDE, "flag": True, "text": "a"},
    {"_step": 1, "_timestamp": 1_700_000_001.000001, "whole": 2, "float": 0.5},
    {"_step": 2, "whole": 3, "gap": -1, "wide": 0, "flag": False},
]


@pytest.fixture(params=["one", "many"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    if request.param == "one":
        return histscan.open(path)
    histscan.open(path).to_parquet(tmp_path / "e_p_r_0.runhistory.parquet")
    return histscan.open_runs([tmp_path / "e_p_r_0.runhistory.parquet"])


def test_gaps_keep_values(source: Any) -> None:
    frame = source.to_pandas()
    assert {name: str(frame.dtypes[name]) for name in ("_step", "whole", "gap", "wide", "flag", "float")} == {
        "_step": "int64",
        "whole": "int64",
        "gap": "Int64",
        "wide": "UInt64",
        "flag": "boolean",
        "float": "float64",
    }
    for name in ("gap", "wide", "flag"):
        assert [None if value is pd.NA else value for value in frame[name]] == [row.get(name) for row in ROWS]
    assert list(frame.columns) == source.to_arrow().column_names
    assert list(source.to_pandas(["wide", "whole", "gap"]).columns)[-3:] == ["wide", "whole", "gap"]


def test_backends(source: Any) -> None:
    frame = source.to_pandas(dtype_backend="pyarrow")
    assert all(isinstance(kind, pd.ArrowDtype) for kind in frame.dtypes)
    frame = source.to_pandas(dtype_backend="numpy_nullable")
    assert {str(frame.dtypes[name]) for name in ("whole", "gap")} == {"Int64"}
    assert str(frame.dtypes["float"]) == "Float64"
    with pytest.raises(ValueError, match="dtype_backend"):
        source.to_pandas(dtype_backend="other")


def test_columns_of_one_name() -> None:
    table = pa.table([pa.array([1, None]), pa.array([0.5, 1.5]), pa.array([2, None])], names=["a", "b", "a"])
    frame = make_pandas(table)
    assert list(frame.columns) == ["a", "b", "a"]
    assert [str(kind) for kind in frame.dtypes] == ["Int64", "float64", "Int64"]
    assert frame.iloc[0].tolist() == [1, 0.5, 2]


def test_times(source: Any, tmp_path: Path) -> None:
    start = datetime(1970, 1, 1, tzinfo=timezone.utc)
    expected = [start + timedelta(seconds=1_700_000_000, microseconds=250_000)]
    expected.append(start + timedelta(seconds=1_700_000_001, microseconds=1))
    table = source.to_arrow(timestamps="datetime")
    assert table.column("_timestamp").to_pylist() == [*expected, None]
    assert table.drop_columns("_timestamp").equals(source.to_arrow().drop_columns("_timestamp"))
    assert source.to_polars(timestamps="datetime").schema["_timestamp"] == pl.Datetime("us", "UTC")
    assert source.to_pandas(timestamps="datetime")["_timestamp"][0] == pd.Timestamp(expected[0])
    assert pa.Table.from_batches(source.batches(timestamps="datetime")).equals(table)
    source.to_parquet(tmp_path / "times.parquet", timestamps="datetime")
    assert pyarrow.parquet.read_table(tmp_path / "times.parquet").column("_timestamp").to_pylist() == [*expected, None]
    with pytest.raises(ValueError, match="timestamps"):
        source.to_arrow(timestamps="days")


def test_times_that_are_none() -> None:
    nothing = pa.table({"_timestamp": pa.nulls(2), "a": [1, 2]})
    assert convert_timestamps(nothing).column("_timestamp").to_pylist() == [None, None]
    odd = pa.table({"_timestamp": [float("nan"), float("inf"), -0.5]})
    before = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=timezone.utc)
    assert convert_timestamps(odd).column("_timestamp").to_pylist() == [None, None, before]
    for other in (pa.table({"_timestamp": ["yesterday"]}), pa.table({"a": [1]})):
        assert convert_timestamps(other).equals(other)
    with pytest.raises(pa.ArrowInvalid):
        convert_timestamps(pa.table({"_timestamp": [1e300]}))


def test_parquet_files_are_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(ROWS[0])}\nnot JSON\n")
    goal = tmp_path / "history.parquet"
    goal.write_bytes(b"as before")
    with pytest.raises(histscan.HistoryError):
        histscan.open(path).to_parquet(goal)
    assert goal.read_bytes() == b"as before"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["history.parquet", "rows.jsonl"]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    run = histscan.open(path)
    run.to_parquet(goal, ["gap", "text"], compression="snappy")
    assert histscan.open(goal).to_arrow().equals(run.to_arrow(["gap", "text"]))
    assert histscan.open(goal).id == run.id
    assert pyarrow.parquet.ParquetFile(goal).metadata.row_group(0).column(0).compression == "SNAPPY"
    run.scan_history(["gap"], min_step=1).to_parquet(goal)
    assert pyarrow.parquet.read_table(goal).to_pydict() == {"gap": [-1]}
