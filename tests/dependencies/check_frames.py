"""The four frames, with whatever releases of their libraries are installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy
import pandas
import polars
import pyarrow
import pytest

import histscan

EXAMPLE = Path(__file__).parents[2] / "examples" / "lissajous-regression.wandb"
COUNT = 20_000


def rows() -> Iterator[dict[str, Any]]:
    """Rows with numbers, gaps, text, nested and mixed values."""
    for step in range(COUNT):
        row: dict[str, Any] = {"_step": step, "_timestamp": 1.7e9 + step, "loss": step / 2, "text": f"t{step}"}
        row["nested"] = {"x": {"y": step}}
        row["mixed"] = step if step % 2 else {"a": step}
        if step % 3:
            row.update(gaps=2**60 + step, flag=step % 2 == 0, wide=2**64 - 1 - step)
        yield row


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("history") / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows()))
    return histscan.open(path)


def test_arrow(run: Any) -> None:
    table = run.to_arrow()
    assert table.num_rows == COUNT
    assert table.schema.field("mixed").type == table.schema.field("nested").type == pyarrow.string()
    assert table.column("gaps").to_pylist()[:3] == [None, 2**60 + 1, 2**60 + 2]
    assert sum(batch.num_rows for batch in run.batches(rows=999)) == COUNT
    assert pyarrow.table(run).equals(table)
    times = run.to_arrow(["loss"], timestamps="datetime", with_step=False)
    assert times.column_names == ["loss"]
    moment = run.to_arrow(["_timestamp"], timestamps="datetime").column("_timestamp")[1].as_py()
    assert moment.timestamp() == 1.7e9 + 1


def test_pandas(run: Any) -> None:
    frame = run.to_pandas()
    assert len(frame) == COUNT
    assert {name: str(frame.dtypes[name]) for name in ("gaps", "flag", "wide", "_step", "loss")} == {
        "gaps": "Int64",
        "flag": "boolean",
        "wide": "UInt64",
        "_step": "int64",
        "loss": "float64",
    }
    assert int(frame["gaps"][1]) == 2**60 + 1
    assert int(frame["wide"][1]) == 2**64 - 2
    assert list(frame.columns) == run.to_arrow().column_names
    assert int(frame["mixed"].str.len().sum()) == sum(len(json.dumps(row["mixed"])) for row in rows())
    arrow = run.to_pandas(dtype_backend="pyarrow")
    assert isinstance(arrow.dtypes["gaps"], pandas.ArrowDtype)
    assert str(run.to_pandas(dtype_backend="numpy_nullable").dtypes["_step"]) == "Int64"
    assert numpy.isfinite(frame["loss"].to_numpy()).all()


def test_polars(run: Any) -> None:
    for frame in (run.to_polars(), polars.DataFrame(run), polars.DataFrame(run.scan_history()), polars.DataFrame(run)):
        assert frame.height == COUNT
        assert frame["loss"].sum() == sum(row["loss"] for row in rows())
        assert frame.schema["mixed"] == frame.schema["nested"] == polars.String
        assert frame["mixed"].str.len_chars().sum() == sum(len(json.dumps(row["mixed"])) for row in rows())
        assert (frame["mixed"] == "1").sum() == 1
        assert frame["nested"].cast(polars.String).null_count() == 0
        assert len(frame.write_csv().splitlines()) == COUNT + 1


def test_lazy_polars(run: Any) -> None:
    lazy = run.scan_polars(["loss", "mixed"])
    found = lazy.filter(polars.col("_step") >= COUNT - 3).select("_step", "loss").collect()
    assert found.to_dict(as_series=False) == {
        "_step": [COUNT - 3, COUNT - 2, COUNT - 1],
        "loss": [(COUNT - 3) / 2, (COUNT - 2) / 2, (COUNT - 1) / 2],
    }


def test_duckdb(run: Any) -> None:
    table = run.to_arrow()
    with duckdb.connect() as connection:
        found = connection.from_arrow(table).aggregate("count(*), sum(loss), max(gaps)").fetchall()
        assert found == [(COUNT, sum(row["loss"] for row in rows()), max(row.get("gaps", 0) for row in rows()))]
        reader = pyarrow.RecordBatchReader.from_stream(run)
        assert connection.from_arrow(reader).aggregate("count(*)").fetchall() == [(COUNT,)]


def test_many_runs(run: Any) -> None:
    runs = histscan.open_runs([EXAMPLE, run.file])
    frame = runs.to_polars(["loss"])
    assert frame.columns == ["run_id", "run_name", "_step", "loss"]
    assert frame.height == COUNT + 5_000
    assert len(runs.to_pandas(["loss"], tail=1)) == 2
    table = runs.aggregate(["loss"], buckets=10)
    assert table.num_rows == 10
    assert {key.name for key in runs.keys("los*")} == {"loss"}


def test_unknown_keys(run: Any) -> None:
    with pytest.raises(histscan.UnknownKeyError, match="did you mean loss"):
        run.to_arrow(["losss"])
