"""Exported Parquet files: written from logs, and served as runs."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import histscan
from histscan.errors import HistoryError
from histscan.server.history_rows import RowCache
from histscan.server.parquet_export import Exporter, history_table
from histscan.server.parquet_run import ServedParquet
from histscan.server.served_run import FileVersion, RunKey
from tests.support.paths import DATA, EXAMPLE

LOG = DATA / "default-encoding.wandb"
KEY = RunKey("e", "p", "r")


def cells(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = history_table(histscan.LogRun(path)).to_pylist()
    return rows


def test_columns_of_one_leaf_come_before_structs() -> None:
    schema = history_table(histscan.LogRun(EXAMPLE)).schema
    assert schema.names[0] == "_step"
    assert schema.field("_step").type == pyarrow.int64()
    kinds = [pyarrow.types.is_struct(field.type) for field in schema]
    assert kinds == sorted(kinds)
    assert any(kinds)
    histogram = schema.field("residuals").type
    assert {field.name for field in histogram} == {"_type", "values", "bins"}


def test_every_value_of_a_log_is_exported() -> None:
    for row, log_row in zip(cells(LOG), histscan.open(LOG).scan_history(), strict=True):
        for key, value in log_row.items():
            if key in ("changes type", "list"):
                assert row[key] is None or isinstance(row[key], str)
            else:
                assert_holds(row[key], value)


def assert_holds(cell: Any, value: Any) -> None:
    """Checks that a cell holds a value; a struct may have more members, which are null."""
    if isinstance(value, dict):
        for name, item in value.items():
            assert_holds(cell[name], item)
    elif isinstance(value, float) and math.isnan(value):
        assert math.isnan(cell)
    elif isinstance(value, list):
        for item, other in zip(cell, value, strict=True):
            assert_holds(item, other)
    else:
        assert cell == value


def test_values_without_a_common_type_are_text() -> None:
    found = {row["_step"]: row["changes type"] for row in cells(LOG)}
    for log_row in histscan.open(LOG).scan_history():
        value = log_row["changes type"]
        expected = value if value is None or isinstance(value, str) else compact_json(value)
        assert found[log_row["_step"]] == expected


def compact_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def exporter(folder: Path, **settings: Any) -> Exporter:
    return Exporter(folder, **{"which": "finished", "live_rows": 0, "rows_per_file": 1000, **settings})


def export(folder: Path, *, has_ended: bool = True, **settings: Any) -> Any:
    version = FileVersion.of(EXAMPLE)
    return exporter(folder, **settings).export_run(histscan.LogRun(EXAMPLE), version, has_ended=has_ended)


def test_rows_per_file(tmp_path: Path) -> None:
    made = export(tmp_path, rows_per_file=1500)
    assert made.live_from is None
    assert [pyarrow.parquet.ParquetFile(path).metadata.num_rows for path in made.files] == [1500, 1500, 1500, 500]
    assert sorted(tmp_path.iterdir()) == sorted(made.files)


def test_live_rows_are_left_out(tmp_path: Path) -> None:
    made = export(tmp_path, live_rows=10, rows_per_file=10_000)
    assert made.live_from == 4990
    assert pyarrow.parquet.read_table(made.files[0]).column("_step").to_pylist() == list(range(4990))
    everything = export(tmp_path, live_rows=10**6)
    assert (everything.files, everything.live_from) == ([], 0)


def test_which_runs_are_exported(tmp_path: Path) -> None:
    for which, has_ended, is_exported in (
        ("finished", True, True),
        ("finished", False, False),
        ("all", False, True),
        ("none", True, False),
    ):
        made = export(tmp_path, which=which, has_ended=has_ended)
        assert bool(made.files) is is_exported
        assert made.live_from == (None if is_exported else 0)


def test_a_version_is_exported_once(tmp_path: Path) -> None:
    run = histscan.LogRun(EXAMPLE)
    made = exporter(tmp_path)
    version = FileVersion.of(EXAMPLE)
    first = made.export_run(run, version, has_ended=True)
    assert made.export_run(run, version, has_ended=True) is first
    assert made.export_run(run, version._replace(size=version.size + 1), has_ended=True) is not first


def test_a_run_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "run-empty.wandb"
    path.write_bytes(LOG.read_bytes()[:7])
    with pytest.warns(histscan.LogTruncatedWarning):
        table = history_table(histscan.LogRun(path))
    assert table.schema.names == ["_step"]
    assert len(table) == 0


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_one(name: str = "run.parquet", **columns: Any) -> Path:
        path = tmp_path / name
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return path

    return write_one


def served(*paths: Path) -> ServedParquet:
    return ServedParquet(KEY, paths, cache=RowCache(1 << 20))


def rows_of(run: ServedParquet, *keys: str) -> list[dict[str, Any]]:
    rows = run.rows(keys, None)
    found: list[dict[str, Any]] = json.loads(b"[" + rows.texts(rows.window(None, None), None) + b"]")
    return found


def test_files_are_read_in_the_order_of_their_steps(write: Write) -> None:
    later = write("a.parquet", _step=[10, 11], x=[1.5, None])
    earlier = write("b.parquet", _step=[2.0, 0.0], y=["a", "b"])
    run = served(later, earlier)
    assert rows_of(run, "_step") == [{"_step": 0}, {"_step": 2}, {"_step": 10}, {"_step": 11}]
    details = run.details()
    assert (details.last_step, details.row_count, details.state) == (11, 4, "finished")
    assert details.summary == {"_step": 11, "x": 1.5, "y": "a"}
    assert details.key_types == {"_step": "number", "x": "number", "y": "string"}
    assert run.exported_files().files == [earlier, later]


def test_cells_become_the_values_of_a_log(write: Write) -> None:
    nested = pyarrow.array([{"a": {"b": 1}, "c": None}, {"a": None, "c": [1, None]}])
    times = pyarrow.array([datetime.date(2026, 1, 31), None])
    run = served(
        write(_step=[0, 1], nested=nested, bytes=[b"\0\1", None], time=times, f=[math.nan, 1.0], none=[None, None])
    )
    assert rows_of(run, "nested.a.b", "f") == [{"nested.a.b": 1, "f": "NaN"}]
    assert rows_of(run, "nested") == [{"nested": {"a": {"b": 1}}}, {"nested": {"c": [1, None]}}]
    assert rows_of(run, "bytes", "time") == [{"bytes": "AAE=", "time": "2026-01-31"}]
    assert rows_of(run, "none") == []


def test_rows_without_a_step_are_left_out(write: Write) -> None:
    assert rows_of(served(write(_step=[None, 3], x=[1, 2])), "x") == [{"x": 2}]


def test_files_that_are_no_history(write: Write, tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="no column _step"):
        served(write(x=[1]))
    foreign = tmp_path / "foreign.parquet"
    foreign.write_bytes(b"x" * 100)
    with pytest.raises(HistoryError, match="not a Parquet file"):
        served(foreign)
