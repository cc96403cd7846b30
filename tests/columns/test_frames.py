"""Scans and runs as frames: pyarrow, polars, pandas and DuckDB all see what the rows say."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import histscan
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from tests.support.column_rows import (
    JSON,
    check_values,
    read_stream,
    types_of,
)
from tests.support.column_scans import ROWS, SCANS, TYPES, text_scan, write_log
from tests.support.extras import install_command
from tests.support.fake_service import FakeService
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient
from tests.support.interpreter import run_python
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import Row
from tests.support.paths import EXAMPLE


@pytest.fixture(params=SCANS)
def scan(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A scan, or a run, of each kind."""
    return SCANS[request.param](tmp_path)


def rows_in(scan: Any) -> list[Row]:
    """The rows that a scan should give."""
    if isinstance(scan, SampledHistoryScan):
        return [{key: row[key] for key in row if key in scan.keys} for row in ROWS]
    return ROWS


def types_in(scan: Any) -> dict[str, str]:
    """The types that its columns should have, in their order: pages of protobuf have no order of keys within a row."""
    found = {key: name for key, name in TYPES.items() if any(key in row for row in rows_in(scan))}
    if not isinstance(scan, BetaHistoryScan):
        return found
    rows = [sorted(row) for row in rows_in(scan)]
    return {key: found[key] for key in dict.fromkeys(["_step", *(key for row in rows for key in row)])}


def test_to_arrow(scan: Any) -> None:
    for threads in (None, 1, 2, 5):
        table = scan.to_arrow(threads=threads)
        assert isinstance(table, pa.Table)
        table.validate(full=True)
        assert types_of(table) == types_in(scan)
        check_values(table, rows_in(scan))
        assert table.column_names == [*types_in(scan)]


def test_rows_and_columns_of_one_scan(scan: Any) -> None:
    if hasattr(scan, "__next__"):
        assert len(list(scan)) == 20
        check_values(scan.to_arrow(), rows_in(scan))
        check_values(scan.to_arrow(), list(scan))


def test_whatever_takes_capsules(scan: Any) -> None:
    expected = scan.to_arrow()
    for table in (pa.table(scan), read_stream(scan), pa.Table.from_batches(scan.batches())):
        assert table.schema.equals(expected.schema, check_metadata=True)
        check_values(table, rows_in(scan))
    with pytest.raises(TypeError):
        pa.record_batch(scan)


def test_batches(scan: Any) -> None:
    expected = scan.to_arrow()
    for rows, sizes in ((1, [1] * 20), (7, [7, 7, 6]), (20, [20]), (19, [19, 1]), (65_536, [20])):
        batches = scan.batches(rows=rows)
        assert iter(batches) is batches
        found = list(batches)
        assert [batch.num_rows for batch in found] == sizes
        for batch in found:
            batch.validate(full=True)
            assert batch.schema.equals(expected.schema, check_metadata=True)
        check_values(pa.Table.from_batches(found), rows_in(scan))
    assert [batch.num_rows for batch in scan.batches()] == [20]
    assert [batch.column_names for batch in scan.batches(["loss", "_step"], rows=15)] == [["loss", "_step"]] * 2


def json_values(values: Sequence[Any]) -> list[Any]:
    """The values of JSON texts."""
    return [None if value is None else json.loads(value) for value in values]


def test_polars(scan: Any) -> None:
    types = types_in(scan)
    for frame in (scan.to_polars(), pl.DataFrame(scan), scan.to_polars(threads=1)):
        assert isinstance(frame, pl.DataFrame)
        assert frame.columns == [*types]
        assert frame.schema["_step"] == pl.Int64
        assert frame.schema["unsigned"] == pl.UInt64
        assert frame.schema["loss"] == pl.Float64
        assert frame.schema["flag"] == pl.Boolean
        assert frame.schema["text"] == pl.String
        assert frame.schema["list"] == pl.List(pl.Int64)
        assert frame.schema["null"] == pl.Null
        values = {name: frame.get_column(name).to_list() for name in frame.columns}
        assert fingerprint(values) == fingerprint(scan.to_arrow().to_pydict())
    assert scan.to_polars(["loss", "_step"]).columns == ["loss", "_step"]
    assert scan.to_polars(["nested"], with_step=False, nested="flatten").columns == ["nested.a.b", "nested.c"]


def test_pandas(scan: Any) -> None:
    rows, types = rows_in(scan), types_in(scan)
    for frame in (scan.to_pandas(), scan.to_pandas(threads=1)):
        assert isinstance(frame, pd.DataFrame)
        assert [*frame.columns] == [*types]
        assert len(frame) == 20
        assert str(frame.dtypes["_step"]) == "int64"
        assert str(frame.dtypes["unsigned"]) == "uint64"
        assert str(frame.dtypes["loss"]) == "float64"
        for name in ("_step", "epoch", "text", "big", "unsigned", "flag"):
            assert frame[name].tolist() == [row[name] for row in rows]
        assert [list(value) for value in frame["list"]][:2] == [[], [1]]
        assert json_values(frame["nested"]) == [row["nested"] for row in rows]
        assert json_values(frame["mixed"]) == [row["mixed"] for row in rows]
        assert frame["null"].isna().all()
        assert math.isnan(frame["loss"][3])
        assert frame["loss"].drop(3).tolist() == [row["loss"] for row in rows if row["_step"] != 3]
    assert [*scan.to_pandas(["loss", "_step"]).columns] == ["loss", "_step"]


def test_duckdb(scan: Any) -> None:
    rows, types = rows_in(scan), types_in(scan)
    with duckdb.connect() as connection:
        # A replacement scan: the name in the query is the name of the Python object.
        relations = [connection.sql("select * from scan"), connection.from_arrow(scan.to_arrow())]
        relations.append(connection.from_arrow(scan))
        for relation in relations:
            assert relation.columns == [*types]
            found = relation.fetchall()
            assert len(found) == 20
            for values, row in zip(found, rows, strict=True):
                got = dict(zip(relation.columns, values, strict=True))
                for name in ("_step", "epoch", "text", "big", "unsigned", "flag", "list", "null"):
                    assert got[name] == row[name], name
                assert json.loads(got["nested"]) == row["nested"]
                assert json.loads(got["mixed"]) == row["mixed"]
        query = "select count(*), sum(_step), max(unsigned), count(loss) from scan where _step > 3"
        assert connection.sql(query).fetchall() == [(16, 184, 2**64 - 5, 16)]
        # One scan in one query twice.
        assert connection.sql("select count(*) from scan a join scan b using (_step)").fetchall() == [(20,)]


def test_keys_of_scans(scan: Any) -> None:
    for keys in (["_step"], ["loss", "_step"], ["late", "text", "null"], [], ("flag",)):
        table = scan.to_arrow(keys, with_step=False)
        assert table.column_names == [*keys]
        assert table.num_rows == 20
        check_values(table, [{key: row.get(key) for key in keys} for row in rows_in(scan)])
    table = scan.to_arrow(["nested.a.b", "nested.c"], with_step=False)
    assert table.column("nested.a.b").to_pylist() == list(range(20))
    assert types_of(table) == {"nested.a.b": "int64", "nested.c": JSON}


def test_nested_values_flattened(scan: Any) -> None:
    table = scan.to_arrow(nested="flatten")
    assert "nested" not in table.column_names
    assert table.column("nested.a.b").to_pylist() == list(range(20))
    assert json_values(table.column("nested.c").to_pylist()) == [[str(step)] for step in range(20)]
    assert [batch.column_names for batch in scan.batches(rows=10, nested="flatten")] == [table.column_names] * 2


@pytest.mark.parametrize("method", ["to_arrow", "to_pandas", "to_polars", "batches"])
def test_arguments_that_are_refused(scan: Any, method: str) -> None:
    call = getattr(scan, method)

    def use(*arguments: Any, **options: Any) -> None:
        answer = call(*arguments, **options)
        if method == "batches":
            list(answer)

    with pytest.raises(ValueError, match="list of strings"):
        use("loss")
    with pytest.raises(ValueError, match="'json' or 'flatten'"):
        use(nested="columns")
    with pytest.raises(ValueError, match="list of strings"):
        use([1, 2])
    if method == "batches":
        for rows in (0, -1):
            with pytest.raises(ValueError, match="at least 1"):
                use(rows=rows)


def test_scans_without_rows(tmp_path: Path) -> None:
    empty: list[Any] = [
        text_scan([]),
        HistoryScan(MemoryClient(HistoryBackend([])), RUN, 0, 100),
        HistoryScan(MemoryClient(HistoryBackend([])), RUN, 5, 5),
    ]
    empty += [histscan.open(write_log(tmp_path / "run-a.wandb", [])), BetaHistoryScan(FakeService(), RUN, 0, 100)]
    for scan in empty:
        for table in (scan.to_arrow(), pa.table(scan), scan.to_arrow(threads=3)):
            assert (table.num_rows, table.num_columns) == (0, 0)
        assert types_of(scan.to_arrow(["loss"], with_step=False)) == {"loss": "null"}
        assert scan.to_polars().shape == (0, 0)
        assert scan.to_pandas().shape == (0, 0)
        assert sum(batch.num_rows for batch in scan.batches()) == 0


def test_the_example() -> None:
    run = histscan.open(EXAMPLE)
    table = run.to_arrow()
    rows = list(run.scan_history())
    check_values(table, rows)
    first = ["_step", "_runtime", "_timestamp"]
    others = dict.fromkeys(key for row in rows for key in sorted(row) if key not in first)
    assert table.column_names == [*first, *others]
    assert pl.DataFrame(run).height == table.num_rows == len(run.to_pandas())


def test_pyarrow_is_needed_only_where_its_objects_are_asked_for(tmp_path: Path) -> None:
    path = write_log(tmp_path / "run-a.wandb", ROWS[:5])
    printed = run_python(
        f"""
        import sys
        for name in ("pyarrow", "pandas"):
            sys.modules[name] = None
        import histscan
        run = histscan.open({str(path)!r})
        frame = run.to_polars()
        import polars
        assert polars.DataFrame(run).equals(frame)
        assert "arrow_array_stream" in repr(run.__arrow_c_stream__())
        print(frame.height)
        for use in (run.to_arrow, run.to_pandas, lambda: list(run.batches())):
            try:
                use()
            except ImportError as error:
                print(error)
        sys.modules["polars"] = None
        try:
            run.to_polars()
        except ImportError as error:
            print(error)
        """
    )
    height, *errors = printed.splitlines()
    assert height == "5"
    assert len(errors) == 4
    extras = ("arrow", "arrow", "arrow", "polars")
    assert all(install_command(extra) in error for extra, error in zip(extras, errors, strict=True))


def test_importing_histscan_imports_no_frames() -> None:
    program = "import histscan, sys; print({'pyarrow', 'polars', 'pandas', 'numpy'} & set(sys.modules))"
    assert run_python(program) == "set()"
