"""The order of columns: wandb's own first, then keys as they were first logged, on every way to read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

import histscan
from histscan._core.columns.column_builder import ColumnBuilder
from tests.support import wire
from tests.support.column_rows import ENCODINGS, LOGS, build_table, pages_of
from tests.support.log_samples import write_run

ROWS: list[list[tuple[str, str]]] = [
    [("_timestamp", "1.5"), ("zeta", "1"), ("alpha", "2"), ("_runtime", "3")],
    [("late", "1"), ("alpha", "2"), ("early", "3"), ("zeta", "4"), ("_step", "1")],
    [("odd\\u0041", '"x"'), ("beta", '{"b":1,"a":2}'), ("alpha", "NaN")],
]
ADDED = ["_step", "_runtime", "_timestamp"]
LOGGED = [*ADDED, "zeta", "alpha", "late", "early", "odd\\u0041", "beta"]
SORTED = [*ADDED, "alpha", "zeta", "early", "late", "beta", "odd\\u0041"]


def log_of(path: Path, rows: Sequence[Sequence[tuple[str, str]]], *, nested: bool) -> Path:
    """A log of wandb-core's, or of its older Python backend: they name the keys of items in different fields."""
    records = [
        wire.history_record([([key] if nested else key, text) for key, text in row], step)
        for step, row in enumerate(rows)
    ]
    return write_run(path, records)


def lead(names: Sequence[str]) -> list[str]:
    return [*(name for name in ADDED if name in names), *(name for name in names if name not in ADDED)]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 65_536])
def test_order_does_not_depend_on_pages_and_chunks(encoding: str, size: int, rows: int) -> None:
    table = build_table(pages_of(encoding, ROWS, size), rows=rows)
    is_ordered = encoding not in ("protobuf", "log, nested key")
    assert lead(table.column_names) == (LOGGED if is_ordered else SORTED)


def test_requested_keys_keep_their_order() -> None:
    for encoding in ENCODINGS:
        builder = ColumnBuilder(["zeta", "beta", "alpha", "none"])
        for page in pages_of(encoding, ROWS, 2):
            builder.add_page(page)
        assert builder.take_chunk().names == ["zeta", "beta", "alpha", "none"]
        table = build_table(pages_of(encoding, ROWS, 2), ["beta", "alpha"], flatten=True)
        assert table.column_names == (
            ["alpha", "beta.b", "beta.a"] if encoding not in (*LOGS, "protobuf") else table.column_names
        )


@pytest.mark.parametrize("nested", [False, True])
def test_order_of_every_consumer(tmp_path: Path, nested: bool) -> None:
    path = log_of(tmp_path / "run-a.wandb", ROWS, nested=nested)
    run = histscan.open(path)
    names = SORTED if nested else LOGGED
    for threads in (1, 2, 4):
        assert run.to_arrow(threads=threads).column_names == names
    assert run.to_polars().columns == names
    assert [*run.to_pandas().columns] == names
    assert pl.DataFrame(run).columns == names
    assert run.scan_polars().collect_schema().names() == names
    for rows in (1, 2, 100):
        assert {tuple(batch.schema.names) for batch in run.batches(rows=rows)} == {tuple(names)}
    many = histscan.open_runs([path])
    assert many.to_arrow().column_names == ["run_id", "run_name", *names]
    assert next(iter(many.batches())).schema.names == ["run_id", "run_name", *names]


@pytest.mark.parametrize("nested", [False, True])
def test_order_of_many_runs(tmp_path: Path, nested: bool) -> None:
    rows: list[Any] = [[("b", "1"), ("a", "1")], [("d", "2"), ("c", "2"), ("a", "1")]]
    paths = [
        log_of(tmp_path / "run-1-a.wandb", rows[:1], nested=nested),
        log_of(tmp_path / "run-2-b.wandb", rows[1:], nested=nested),
    ]
    expected = ["_step", "a", "b", "c", "d"] if nested else ["_step", "b", "a", "d", "c"]
    for threads in (1, 3):
        assert histscan.open_runs(paths).to_arrow(threads=threads).column_names[2:] == expected


def test_order_of_files_is_kept(tmp_path: Path) -> None:
    lines = [{"z": 1, "_timestamp": 2.0, "a": 1}, {"m": 1, "_step": 1, "_runtime": 1.0}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    expected = ["_step", "_runtime", "_timestamp", "z", "a", "m"]
    assert histscan.open(tmp_path / "a.jsonl").to_arrow().column_names == expected
    table = pa.table({"z": [1], "_timestamp": [2.0], "_step": [1], "a": ["x"]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert histscan.open(tmp_path / "a.parquet").to_arrow().column_names == ["_step", "_timestamp", "z", "a"]
