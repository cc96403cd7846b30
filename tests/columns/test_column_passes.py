"""Parquet and Arrow files of histories: what is read back is what the scan has, and memory does not grow with it."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import histscan
from benches.large_log import LogWriter
from histscan.columns import arrow_files
from histscan.columns import passes as column_passes
from histscan.columns.arrow_files import WrittenTable, write_arrow, write_parquet
from histscan.columns.passes import ColumnPasses
from histscan.errors import HistoryError, LogFormatError, LogTruncatedWarning
from histscan.runs.log_scan import LogScan
from histscan.runs.run_metadata import run_metadata
from tests.support import wire
from tests.support.column_rows import FLOATS, JSON, Pairs, check_same_columns, rows_of, types_of
from tests.support.column_scans import ROWS, TYPES, write_log
from tests.support.column_strategies import column_rows
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import read_log, step_rows, write_run
from tests.support.paths import EXAMPLE
from tests.support.window_sizes import set_window_size


def read_parquet(content: bytes) -> Any:
    return pq.read_table(io.BytesIO(content))


def read_arrow(content: bytes) -> Any:
    return pa.ipc.open_file(content).read_all()


Write = Callable[..., WrittenTable]
FILES: dict[str, tuple[Write, Callable[[bytes], Any]]] = {
    "parquet": (write_parquet, read_parquet),
    "arrow": (write_arrow, read_arrow),
}
files = pytest.mark.parametrize("kind", FILES)


def written(kind: str, scan: Any, **options: Any) -> tuple[Any, WrittenTable]:
    """Writes a scan, and reads the file again."""
    write, read = FILES[kind]
    output = io.BytesIO()
    outcome = write(scan, output, **options)
    table = read(output.getvalue())
    table.validate(full=True)
    return table, outcome


def write_pairs(path: Path, rows: Sequence[Pairs]) -> Path:
    """Writes rows as a log, with their steps as items."""
    records = [wire.history_record([("_step", str(step)), *row], step) for step, row in enumerate(rows)]
    return write_run(path, records)


@given(data=st.data())
@files
def test_file_reads_back_as_the_scan(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = data.draw(column_rows())
    rows = [[(key, text) for key, text in row if key != "_step"] for row in rows]
    padding = data.draw(st.sampled_from([0, 0, 20_000]))
    if padding:
        rows = [[*row, ("padding", json.dumps("x" * padding))] for row in rows]
    path = write_pairs(tmp_path_factory.mktemp("log") / "run-a.wandb", rows)
    nested: Any = data.draw(st.sampled_from(["json", "flatten"]))
    group_rows = data.draw(st.integers(1, 20))
    blocks = data.draw(st.integers(1, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_files, "ROW_GROUP_ROWS", group_rows)
        set_window_size(patch, blocks * wire.BLOCK_SIZE)
        scan = histscan.open(path).scan_history()
        expected = scan.to_arrow(nested=nested, threads=1)
        if len(set(expected.column_names)) < expected.num_columns:
            return
        table, outcome = written(kind, scan, nested=nested)
    if not rows:
        assert table.schema.names == ["_step"]
        assert outcome == WrittenTable(["_step"], 0, None, None)
        return
    check_same_columns(table, expected)
    assert outcome == WrittenTable(table.column_names, len(rows), 0, len(rows) - 1)


@files
def test_columns_that_come_late_and_types_that_change(kind: str, tmp_path: Path) -> None:
    table, outcome = written(kind, histscan.open(write_log(tmp_path / "run-a.wandb")).scan_history())
    types = {name: found.replace("element:", "item:") for name, found in types_of(table).items()}
    assert types == TYPES
    assert table.column_names == [*TYPES]
    expected = [{key: value for key, value in row.items() if value is not None} for row in ROWS]
    assert fingerprint([dict(sorted(row.items())) for row in rows_of(table)]) == fingerprint(
        [dict(sorted({**row, "epoch": float(row["epoch"])}.items())) for row in expected]
    )
    assert outcome == WrittenTable(table.column_names, 20, 0, 19)


@files
def test_keys_are_the_columns(kind: str, tmp_path: Path) -> None:
    run = histscan.open(write_log(tmp_path / "run-a.wandb"))
    keys = ["late", "_step", "nested.a"]
    table, outcome = written(kind, run.scan_history(keys, min_step=19))
    assert table.column_names == keys
    assert table.to_pylist() == [{"late": "x", "_step": 19, "nested.a": '{"b": 19}'}]
    assert outcome == WrittenTable(keys, 1, 19, 19)
    table, outcome = written(kind, run.scan_history(["_step", "none"]))
    assert (table.column_names, table.num_rows) == (["_step", "none"], 0)


@files
def test_run_is_described(kind: str) -> None:
    run = histscan.open(EXAMPLE)
    table, _ = written(kind, run.scan_history(min_step=4990), metadata=run_metadata(run))
    described = json.loads(table.schema.metadata[b"histscan.run"])
    assert described["config"] == run.config
    assert [described[key] for key in ("entity", "project", "id")] == run.path
    assert table.schema.metadata[b"histscan.version"].decode() == histscan.__version__


def test_parquet_has_statistics_order_and_compression() -> None:
    output = io.BytesIO()
    write_parquet(histscan.open(EXAMPLE).scan_history(), output)
    parquet = pq.ParquetFile(output)
    group = parquet.metadata.row_group(0)
    assert [(column.column_index, column.descending) for column in group.sorting_columns] == [(0, False)]
    assert group.column(0).path_in_schema == "_step"
    assert (group.column(0).statistics.min, group.column(0).statistics.max) == (0, 4999)
    for index in range(group.num_columns):
        assert group.column(index).compression == "ZSTD"
        assert group.column(index).is_stats_set
    fields = {parquet.schema.column(index).name: parquet.schema.column(index) for index in range(group.num_columns)}
    # Readers of Parquet that know a type JSON need not be told: text is text for all of them.
    assert fields["gradient"].logical_type.type == "STRING"


@pytest.mark.parametrize(
    "steps", [[["0"], ["2"], ["1"]], [["0"], ["1.5"]], [["0"], ['"1"']], [["0"], ["null"], ["1"]], [["1"], ["0"]]]
)
def test_file_does_not_claim_an_order_that_there_is_not(steps: list[list[str]], tmp_path: Path) -> None:
    records = [wire.history_record([*(("_step", text) for text in row), ("loss", "1")]) for row in steps]
    output = io.BytesIO()
    write_parquet(histscan.open(write_run(tmp_path / "run-a.wandb", records)).scan_history(), output)
    metadata = pq.ParquetFile(output).metadata
    assert metadata.num_rows == len(steps)
    assert metadata.row_group(0).sorting_columns == ()


def test_order_is_seen_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_window_size(monkeypatch, wire.BLOCK_SIZE)
    rising = write_run(tmp_path / "run-a.wandb", step_rows(range(300), size=2000))
    falling = write_run(tmp_path / "run-b.wandb", step_rows([*range(150, 300), *range(150)], size=2000))
    orders = [ColumnPasses(LogScan(path)).survey().is_sorted for path in (rising, falling)]
    assert orders == [True, False]


@pytest.mark.parametrize(("kind", "limit"), [("parquet", 7), ("arrow", 7)])
def test_row_groups_have_no_more_rows_than_they_should(
    kind: str, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_files, "ROW_GROUP_ROWS", limit)
    output = io.BytesIO()
    FILES[kind][0](histscan.open(write_log(tmp_path / "run-a.wandb")).scan_history(), output)
    if kind == "parquet":
        metadata = pq.ParquetFile(output).metadata
        sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    else:
        reader = pa.ipc.open_file(output.getvalue())
        sizes = [reader.get_batch(index).num_rows for index in range(reader.num_record_batches)]
    assert sizes == [7, 7, 6]


def test_large_rows_make_small_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_files, "_ROW_GROUP_BYTES", 100_000)
    set_window_size(monkeypatch, wire.BLOCK_SIZE)
    output = io.BytesIO()
    path = write_run(tmp_path / "run-a.wandb", step_rows(range(300), size=10_000))
    write_parquet(histscan.open(path).scan_history(), output)
    metadata = pq.ParquetFile(output).metadata
    assert metadata.num_rows == 300
    assert 5 <= metadata.num_row_groups <= 30


class Growing:
    """Appends to a log, or replaces it, after the first pass."""

    def __init__(self, path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        survey = ColumnPasses.survey

        def change(passes: ColumnPasses) -> Any:
            found = survey(passes)
            path.write_bytes(content)
            return found

        monkeypatch.setattr(column_passes.ColumnPasses, "survey", change)


@files
def test_log_that_grows_between_the_passes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run-a.wandb"
    write_run(path, step_rows(range(10)))
    begun = path.read_bytes()
    later = [wire.history_record([("_step", '"no step"'), ("new", "1")], 99) for _ in range(5)]
    write_run(path, [*step_rows(range(10)), *later])
    grown = path.read_bytes()
    # The first pass finds the beginning of the first of the later rows.
    path.write_bytes(grown[: len(begun) + 3])
    Growing(path, grown, monkeypatch)
    with pytest.warns(LogTruncatedWarning):
        table, outcome = written(kind, histscan.open(path).scan_history())
    assert table.column_names == ["_step", "text"]
    assert table.column("_step").to_pylist() == list(range(10))
    assert outcome.rows == 10


@pytest.mark.parametrize(
    ("later", "error"),
    [
        (step_rows(range(4)), "became shorter while it was read"),
        # The type of a column differs, which is noticed before the end of the file.
        ([wire.history_record([("_step", '"x"'), ("text", "1.5")], 0)], "was replaced while it was being read"),
    ],
)
def test_log_that_is_replaced_is_an_error(
    later: list[bytes], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_run(tmp_path / "run-b.wandb", [*later, *later])
    content = path.read_bytes()
    path = write_run(tmp_path / "run-a.wandb", step_rows(range(50)))
    Growing(path, content, monkeypatch)
    with pytest.raises(HistoryError, match=error):
        write_parquet(histscan.open(path).scan_history(), io.BytesIO())


@files
def test_damage_is_an_error_that_names_the_byte(kind: str, tmp_path: Path) -> None:
    content = bytearray(EXAMPLE.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "damaged.wandb"
    path.write_bytes(content)
    with pytest.raises(LogFormatError, match=rf"run {path}.*byte \d+") as caught:
        written(kind, histscan.open(path).scan_history())
    scan = histscan.open(path).scan_history()
    with pytest.raises(LogFormatError) as expected:
        list(scan)
    assert str(caught.value) == str(expected.value)
    skipping = histscan.open(path, on_corrupt="skip").scan_history()
    with pytest.warns(histscan.LogCorruptWarning) as told:
        table, _ = written(kind, skipping)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert table.column("_step").to_pylist() == [row["_step"] for row in skipping]


def test_progress_goes_on_through_both_passes(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run-a.wandb", step_rows(range(400), size=40_000))
    scan = histscan.open(path).scan_history()
    seen: list[tuple[int, int]] = []
    write_parquet(scan, io.BytesIO(), watch=lambda done, rows: seen.append((done, rows)))
    assert scan.column_bytes == 2 * os.path.getsize(path)
    assert seen == sorted(seen)
    assert seen[-1] == (scan.column_bytes, 400)


def test_scan_stays_as_it_was(tmp_path: Path) -> None:
    scan = histscan.open(write_run(tmp_path / "run-a.wandb", step_rows(range(10)))).scan_history()
    assert next(scan)["_step"] == 0
    write_parquet(scan, io.BytesIO())
    assert next(scan)["_step"] == 1


@pytest.mark.parametrize(
    ("options", "words"), [({"compression": "zip"}, "zstd, .*'zip'"), ({"nested": "deep"}, "'json' or 'flatten'")]
)
@files
def test_arguments_that_make_no_sense(kind: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        written(kind, histscan.open(EXAMPLE).scan_history(), **options)


@pytest.mark.parametrize(
    ("kind", "compression"),
    [("parquet", name) for name in arrow_files.PARQUET_COMPRESSIONS]
    + [("arrow", name) for name in arrow_files.ARROW_COMPRESSIONS],
)
def test_every_compression(kind: str, compression: str) -> None:
    scan = histscan.open(EXAMPLE).scan_history(["_step", "loss"])
    table, _ = written(kind, scan, compression=compression)
    assert table.to_pylist() == list(scan)


class FailingFile(io.BytesIO):
    """A file on a disk that gets full."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > 50_000:
            raise OSError(28, "No space left on device")
        return super().write(data)


@files
def test_full_disk_is_the_error_that_it_is(kind: str) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        FILES[kind][0](histscan.open(EXAMPLE).scan_history(), FailingFile())
    assert caught.value.errno == 28


def test_other_readers_read_the_files(tmp_path: Path) -> None:
    import duckdb
    import polars

    path = tmp_path / "history.parquet"
    with path.open("wb") as output:
        write_parquet(histscan.open(EXAMPLE).scan_history(), output, nested="flatten")
    losses = [row["loss"] for row in histscan.open(EXAMPLE).scan_history()]
    assert polars.read_parquet(path)["loss"].to_list() == losses
    found = duckdb.sql(f"SELECT loss FROM '{path}' ORDER BY _step").fetchall()
    assert [loss for (loss,) in found] == losses


def test_parquet_of_histscan_is_a_run_again(tmp_path: Path) -> None:
    run = histscan.open(EXAMPLE)
    path = tmp_path / "history.parquet"
    with path.open("wb") as output:
        write_parquet(run.scan_history(), output, metadata=run_metadata(run))
    again = histscan.open(path)
    table, outcome = written("parquet", again.scan_history(min_step=10, max_step=20))
    assert table.num_rows == 10
    assert outcome == WrittenTable(table.column_names, 10, 10, 19)
    table, outcome = written("arrow", again.scan_history(min_step=7000))
    assert (table.column_names, outcome.rows) == (["_step"], 0)


def test_types_of_columns_of_the_example() -> None:
    table, _ = written("parquet", histscan.open(EXAMPLE).scan_history(), nested="flatten")
    types = types_of(table)
    assert types["loss"] == types["validation.previous_best"] == FLOATS
    assert types["examples"] == "int64"
    assert types["gradient.clipped"] == "bool"
    assert JSON not in {types["residuals.bins"], types["weights.output.values"]}


@pytest.mark.parametrize("size", [0, 1, 32_750, 32_754, 32_755, 32_761, 32_768, 100_000])
def test_large_logs_are_laid_out_as_wandb_does(size: int) -> None:
    """Records of every size stand at every place of a block: `benches.large_log` writes what the tests' writer does."""
    records = [bytes([index]) * (size + index) for index in range(12)]
    output = io.BytesIO()
    writer = LogWriter(output)
    for record in records:
        writer.write(record)
    assert writer.size == len(output.getvalue())
    assert output.getvalue() == wire.write_log(records)


def test_record_whose_header_fills_the_block() -> None:
    output = io.BytesIO()
    writer = LogWriter(output)
    first = b"".join(step_rows([0], size=32_000))
    room = wire.BLOCK_SIZE - len(wire.LOG_HEADER) - 3 * wire.CHUNK_HEADER_SIZE
    writer.write(first)
    filler = wire.field(9, bytes(room - len(first) - 3))
    writer.write(filler)
    assert writer.size == wire.BLOCK_SIZE - wire.CHUNK_HEADER_SIZE
    for record in step_rows([1, 2]):
        writer.write(record)
    assert [row["_step"] for row in read_log(output.getvalue()).rows] == [0, 1, 2]


def test_scan_needs_no_size() -> None:
    scan = LogScan(EXAMPLE)
    table, _ = written("parquet", scan)
    assert table.num_rows == 5000
