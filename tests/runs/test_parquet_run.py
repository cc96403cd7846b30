"""Runs in Parquet files: which files, which rows in which order, and what is read for them."""

from __future__ import annotations

import gc
import math
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import histscan
from histscan import HistoryDecodeError, HistoryError, ParquetRun
from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan.columns.arrow_files import write_parquet
from histscan.paging.parquet_pages import read_pages
from histscan.runs.run_metadata import run_metadata
from histscan.sources.parquet import ParquetSource
from tests.support import parquet_files
from tests.support.arrow_samples import expected_rows, same
from tests.support.parquet_files import chunk_bounds, is_repeat, merged_rows, spoil, with_keys
from tests.support.paths import EXAMPLE

STEPS = list(range(40))


def rows_of(path: Any, **options: Any) -> list[dict[str, Any]]:
    run = histscan.open(path)
    assert isinstance(run, ParquetRun)
    return list(run.scan_history(**options))


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A folder with three files of one history: overlaps, other columns, and steps that are floats."""
    folder = tmp_path / "history"
    folder.mkdir()
    first = {"_step": STEPS[:20], "loss": [1 / (step + 1) for step in STEPS[:20]], "text": ["a", None] * 10}
    second = {
        "loss": [1, 2, None, 4] * 5,
        "_step": [float(step) if step % 7 else None for step in STEPS[10:30]],
        "nested": [{"x": 1.5, "y": {"z": None}}, None] * 10,
    }
    parquet_files.write_parquet(folder / "part-9.parquet", first, row_group_size=6)
    parquet_files.write_parquet(folder / "part-10.parquet", second, row_group_size=7)
    parquet_files.write_parquet(folder / "part-11.parquet", {"_step": STEPS[30:], "late": [True] * 10})
    return folder


def tables_of(folder: Path) -> list[Any]:
    return [pyarrow.parquet.read_table(folder / f"part-{number}.parquet") for number in (9, 10, 11)]


class TestOpening:
    def test_folder_pattern_and_list_are_the_same(self, history: Path) -> None:
        expected = merged_rows(tables_of(history))
        files = sorted(history.iterdir(), key=lambda file: len(file.name))
        for path in (history, str(history), str(history / "*.parquet"), history / "part-*", [*files, files[0]]):
            assert same(rows_of(path), expected)
        run = histscan.open(history)
        assert run.file == history
        assert isinstance(run, ParquetRun)
        assert [file.name for file in run.files] == ["part-9.parquet", "part-10.parquet", "part-11.parquet"]

    def test_single_file_of_any_name(self, tmp_path: Path) -> None:
        path = parquet_files.write_parquet(tmp_path / "odd [name].parquet", {"_step": [1]})
        assert rows_of(path) == rows_of([path]) == [{"_step": 1}]
        assert histscan.open(path).file == path

    def test_folder_with_a_log_is_the_log(self, tmp_path: Path) -> None:
        (tmp_path / EXAMPLE.name).write_bytes(EXAMPLE.read_bytes())
        parquet_files.write_parquet(tmp_path / "exported.parquet", {"_step": [1]})
        assert isinstance(histscan.open(tmp_path), histscan.LogRun)

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("nothing-*.parquet", "no file matches the pattern"),
            ("nothing.parquet", "no file or folder"),
            ("empty", "contains no"),
        ],
    )
    def test_nothing_there(self, tmp_path: Path, path: str, message: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(FileNotFoundError, match=message):
            histscan.open(tmp_path / path)
        with pytest.raises(FileNotFoundError, match=message):
            ParquetRun([tmp_path / path])
        with pytest.raises(FileNotFoundError, match=r"list .*is empty"):
            histscan.open([])

    def test_pattern_of_logs(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no log, and no folder with one, matches the pattern .*\.wandb"):
            histscan.open(tmp_path / "*.wandb")

    def test_no_history(self, tmp_path: Path) -> None:
        path = parquet_files.write_parquet(tmp_path / "other.parquet", {"loss": [1]})
        with pytest.raises(HistoryError, match=r"no column _step .*other\.parquet"):
            histscan.open(path)

    def test_steps_that_are_text(self, tmp_path: Path) -> None:
        path = parquet_files.write_parquet(tmp_path / "a.parquet", {"_step": ["1"]})
        with pytest.raises(HistoryError, match=r"column _step is of type string, not numbers .*a\.parquet"):
            histscan.open(path)

    def test_several_runs(self, tmp_path: Path) -> None:
        for run in ("one", "two"):
            parquet_files.write_parquet(tmp_path / f"e_p_{run}_0.runhistory.parquet", {"_step": [1]})
        with pytest.raises(HistoryError, match=r"belong to 2 runs \(e_p_one, e_p_two\)"):
            histscan.open(tmp_path)
        assert histscan.open(tmp_path / "e_p_two_*.parquet").path == ["e", "p", "two"]

    def test_cut_anywhere(self, tmp_path: Path) -> None:
        whole = parquet_files.write_parquet(tmp_path / "whole.parquet", {"_step": [1, 2], "a": ["x", None]})
        content = whole.read_bytes()
        cut = tmp_path / "cut.parquet"
        for length in range(len(content)):
            cut.write_bytes(content[:length])
            with pytest.raises(HistoryDecodeError, match=r"not a Parquet file, or is not complete: .*cut\.parquet"):
                histscan.open(cut)

    def test_without_pyarrow(self, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(ImportError, match=r"pip install .pyarrow"):
            histscan.open(history)

    def test_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        path = parquet_files.write_parquet(tmp_path / "a.parquet", {"_step": [1]})
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(PermissionError):
            histscan.open(path)


class TestRun:
    def test_named_by_files(self, tmp_path: Path) -> None:
        parquet_files.write_parquet(tmp_path / "e_p_x_0.runhistory.parquet", {"_step": [0]})
        run = histscan.open(tmp_path)
        assert (run.entity, run.project, run.id, run.name) == ("e", "p", "x", "x")
        assert repr(run) == f"<ParquetRun e/p/x in '{tmp_path / 'e_p_x_0.runhistory.parquet'}'>"

    @pytest.mark.parametrize(
        ("name", "run_id"),
        [("a_b_c_d_0.runhistory.parquet", "a_b_c_d"), ("history.parquet", "history")],
    )
    def test_name_that_tells_no_project(self, tmp_path: Path, name: str, run_id: str) -> None:
        run = histscan.open(parquet_files.write_parquet(tmp_path / name, {"_step": [0]}))
        assert run.path == ["", "", run_id]
        assert (run.config, run.tags, run.group, run.job_type, run.notes) == ({}, [], "", "", "")

    def test_last_step_and_summary(self, history: Path) -> None:
        run = histscan.open(history)
        assert run.lastHistoryStep == 39
        last = {}
        for row in merged_rows(tables_of(history)):
            last.update(row)
        assert run.summary == last
        assert histscan.open(history / "part-9.parquet").lastHistoryStep == 19

    def test_no_rows(self, tmp_path: Path) -> None:
        path = parquet_files.write_parquet(tmp_path / "a.parquet", {"_step": pyarrow.array([], pyarrow.int64())})
        run = histscan.open(path)
        assert (run.lastHistoryStep, run.summary, list(run.scan_history())) == (-1, {}, [])
        assert run.to_arrow().schema == pyarrow.schema([("_step", pyarrow.int64())])

    def test_own_export(self, tmp_path: Path) -> None:
        log = histscan.LogRun(EXAMPLE)
        for nested in ("json", "flatten"):
            path = tmp_path / f"{nested}.parquet"
            with path.open("wb") as output:
                write_parquet(log.scan_history(), output, nested=nested, metadata=run_metadata(log))
            run = histscan.open(path)
            assert (run.path, run.name, run.tags, run.config) == (log.path, log.name, log.tags, log.config)
            rows = list(log.scan_history(["_step", "loss", "validation.r2.x", "gradient.norm"]))
            assert same(list(run.scan_history(["_step", "loss", "validation.r2.x", "gradient.norm"])), rows)
        run = histscan.open(tmp_path / "json.parquet")
        for row, other in zip(run.scan_history(), log.scan_history(), strict=True):
            assert is_repeat(row, {key: value for key, value in other.items() if value is not None})
        table = run.to_arrow()
        logged = log.to_arrow(table.schema.names)
        assert table.schema.equals(logged.schema)
        assert same(table.to_pydict(), logged.to_pydict())

    def test_other_runs_metadata(self, tmp_path: Path) -> None:
        for run in ("one", "two"):
            table = pyarrow.table({"_step": [0]}).replace_schema_metadata({"histscan.run": f'{{"id": "{run}"}}'})
            parquet_files.write_parquet(tmp_path / f"{run}.parquet", table)
        with pytest.raises(HistoryError, match="belong to 2 runs"):
            histscan.open(tmp_path)


class TestScan:
    @pytest.mark.parametrize(("low", "stop"), [(0, None), (5, 15), (12, 13), (25, 100), (39, 40), (60, 70), (8, 8)])
    def test_ranges(self, history: Path, low: int, stop: int | None) -> None:
        expected = merged_rows(tables_of(history), low, math.inf if stop is None else stop)
        assert same(rows_of(history, min_step=low, max_step=stop), expected)

    def test_keys(self, history: Path) -> None:
        rows = merged_rows(tables_of(history))
        assert same(rows_of(history, keys=["loss", "_step"]), with_keys(rows, ["loss", "_step"]))
        assert same(rows_of(history, keys=["text", "loss"]), with_keys(rows, ["text", "loss"]))
        expected = [{"_step": row["_step"], "nested.x": 1.5} for row in rows if "nested" in row]
        assert same(rows_of(history, keys=["_step", "nested.x"]), expected)
        assert rows_of(history, keys=["nested.y.z"]) == rows_of(history, keys=["_step", "nothing"]) == []
        assert same(rows_of(history, keys=[]), rows)
        with pytest.raises(ValueError, match="list of strings"):
            histscan.open(history).scan_history("loss")  # type: ignore[arg-type]

    def test_starting_over(self, history: Path) -> None:
        scan = histscan.open(history).scan_history()
        first = [next(scan) for _ in range(15)]
        again = list(scan)
        assert same(again[:15], first)
        assert same(again, list(scan))

    def test_progress(self, history: Path) -> None:
        scan = histscan.open(history).scan_history()
        assert scan.bytes_read == 0
        next(scan)
        assert 0 < scan.bytes_read < scan.size
        list(scan)
        assert scan.bytes_read == scan.size
        assert histscan.open(history).scan_history(min_step=35).size < scan.size / 2

    def test_file_that_has_changed(self, tmp_path: Path) -> None:
        path = parquet_files.write_parquet(tmp_path / "a.parquet", {"_step": [1], "a": ["x"]})
        run = histscan.open(path)
        parquet_files.write_parquet(path, {"_step": [1, 2]})
        with pytest.raises(HistoryError, match=r"changed after it was opened.*a\.parquet"):
            list(run.scan_history())

    def test_few_row_groups_are_in_memory(self, tmp_path: Path) -> None:
        steps = [step for step in range(2000) if step % 3]
        parquet_files.write_parquet(tmp_path / "0.parquet", {"_step": steps}, row_group_size=10)
        parquet_files.write_parquet(tmp_path / "1.parquet", {"_step": range(0, 2000, 3)}, row_group_size=10)

        def batches() -> set[int]:
            return {id(found) for found in gc.get_objects() if isinstance(found, ArrowBatch)}

        gc.collect()
        others = batches()
        most = 0
        for row in histscan.open(tmp_path).scan_history():
            if row["_step"] % 100 == 50:
                most = max(most, len(batches() - others))
        assert 1 <= most <= 6

    def test_without_statistics(self, tmp_path: Path) -> None:
        columns = {"_step": [math.nan, 3.0, 1.0, None, math.nan, None, 0.0], "a": range(7)}
        options: dict[str, Any] = {"write_statistics": False, "row_group_size": 2}
        path = parquet_files.write_parquet(tmp_path / "a.parquet", columns, **options)
        assert rows_of(path) == [{"_step": 0, "a": 6}, {"_step": 1, "a": 2}, {"_step": 3, "a": 1}]
        assert histscan.open(path).lastHistoryStep == 3


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """Tables of one history: the same columns with and without values, ints or floats, steps in any order."""
    tables = []
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(1, 8))
        steps = draw(st.lists(st.none() | st.integers(0, 9), min_size=rows, max_size=rows))
        kind = draw(st.sampled_from([pyarrow.int64(), pyarrow.float64(), pyarrow.int32()]))
        columns = {"_step": pyarrow.array(steps, kind)}
        for name in draw(st.sets(st.sampled_from(["a", "b", "c"]))):
            values = st.none() | draw(st.sampled_from([st.integers(0, 2), st.sampled_from([0.0, 1.5, math.nan])]))
            cells = draw(st.lists(values, min_size=rows, max_size=rows))
            columns[name] = pyarrow.array(cells, pyarrow.int64() if all(c is None for c in cells) else None)
        tables.append(pyarrow.table(columns))
    return tables


@given(histories(), st.integers(1, 8), st.integers(0, 9), st.integers(0, 10))
@settings(max_examples=150)
def test_any_files(tables: list[Any], group_rows: int, low: int, stop: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(tables):
            parquet_files.write_parquet(Path(folder, f"{number}.parquet"), table, row_group_size=group_rows)
        run = histscan.open(folder)
        assert same(list(run.scan_history(min_step=low, max_step=stop)), merged_rows(tables, low, stop))
        rows = merged_rows(tables)
        assert same(list(run.scan_history()), rows)
        assert run.lastHistoryStep == max((row["_step"] for row in rows), default=-1)
        projected = merged_rows(
            [table.select([n for n in table.schema.names if n in ("_step", "a")]) for table in tables]
        )
        assert same(list(run.scan_history(["_step", "a"])), with_keys(projected, ["_step", "a"]))


class TestOnlyWhatIsWanted:
    """Columns and row groups that were not requested are not read: they may be damaged."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        columns = {
            "_step": STEPS,
            "a": [step / 3 for step in STEPS],
            "s": [{"x": step, "y": str(step)} for step in STEPS],
        }
        return parquet_files.write_parquet(tmp_path / "a.parquet", columns, row_group_size=10)

    def test_columns(self, path: Path) -> None:
        expected = with_keys(rows_of(path), ["_step", "a"])
        members = [{"s.y": row["s"]["y"]} for row in rows_of(path)]
        spoil(path, 1, "s.x")
        assert same(rows_of(path, keys=["_step", "a"]), expected)
        assert rows_of(path, keys=["s.y"]) == members
        assert histscan.open(path).to_arrow(["a"], with_step=False).num_columns == 1
        with pytest.raises(HistoryDecodeError, match=r"corrupt.*a\.parquet, page row group 1"):
            rows_of(path, keys=["s"])

    def test_row_groups(self, path: Path) -> None:
        expected = rows_of(path)
        spoil(path, 2, "a")
        assert same(rows_of(path, max_step=20), expected[:20])
        assert same(rows_of(path, min_step=30), expected[30:])
        scan = histscan.open(path).scan_history()
        rows: list[dict[str, Any]] = []
        with pytest.raises(HistoryDecodeError, match=r"corrupt.*a\.parquet, page row group 2"):
            rows.extend(scan)
        assert [next(iter(scan)), *rows] == [expected[0], *expected[:20]]

    def test_bytes_of_other_columns_and_row_groups_are_left_alone(self, path: Path) -> None:
        counted = CountingFile(path)
        source = ParquetSource("counted", lambda: counted, path.stat().st_size)
        assert source.groups[2].first_step == 20
        counted.read_at.clear()
        (page,) = read_pages([source], keys=["a"], required=["a"], min_step=20, stop_step=30)
        assert page.rows() == [{"a": step / 3} for step in range(20, 30)]
        wanted = {place for column in ("_step", "a") for place in range(*chunk_bounds(path, 2, column))}
        assert {place for begin, end in counted.read_at for place in range(begin, end)} == wanted


class CountingFile:
    """A file that notes what is read of it, and stays open."""

    closed = False

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        self._place = 0
        self.read_at: list[tuple[int, int]] = []

    def read(self, size: int = -1) -> bytes:
        end = len(self._content) if size < 0 else min(self._place + size, len(self._content))
        self.read_at.append((self._place, end))
        begin, self._place = self._place, end
        return self._content[begin:end]

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, len(self._content))[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        pass


class TestDamage:
    def test_bad_text_says_where(self, tmp_path: Path) -> None:
        texts = pyarrow.array([b"fine"] * 12 + [b"\xff"] + [b"fine"] * 3, pyarrow.binary()).view(pyarrow.string())
        path = parquet_files.write_parquet(
            tmp_path / "a.parquet", {"_step": range(16), "the text": texts}, row_group_size=10
        )
        scan = histscan.open(path).scan_history()
        rows: list[dict[str, Any]] = []
        with pytest.raises(
            HistoryDecodeError, match=r"not valid UTF-8 \(run .*a\.parquet, page row group 1, row 2"
        ) as error:
            rows.extend(scan)
        assert len(rows) == 12
        assert error.value.path == "$['the text']"

    @pytest.mark.parametrize("step", [5.5, math.inf])
    def test_step_that_is_none(self, tmp_path: Path, step: float) -> None:
        steps = [0.0, 1.0, 5.0, step]
        scan = histscan.open(parquet_files.write_parquet(tmp_path / "a.parquet", {"_step": steps}, row_group_size=2))
        rows = scan.scan_history()
        assert [next(rows), next(rows)] == [{"_step": 0}, {"_step": 1}]
        with pytest.raises(HistoryDecodeError, match=r"step (5\.5|inf) is not a whole number .*row group 1, row 1"):
            next(rows)

    @pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
    def test_any_byte(self, tmp_path: Path, compression: str) -> None:
        """Whatever byte of the data is wrong, rows or an error of ours come out of it."""
        columns = {"_step": range(6), "a": ["x", None, "yz"] * 2, "b": [[1.5], None, []] * 2}
        path = parquet_files.write_parquet(tmp_path / "a.parquet", columns, compression=compression, row_group_size=3)
        content = path.read_bytes()
        outcomes = set()
        footer = int.from_bytes(content[-8:-4], "little") + 8
        for place in range(len(content) - footer):
            path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
            try:
                rows_of(path)
            except HistoryError as error:
                assert "a.parquet" in str(error)  # noqa: PT017 - it need not be raised
                outcomes.add("error")
            else:
                outcomes.add("rows")
        assert outcomes == {"error", "rows"}


@pytest.mark.parametrize("read", [lambda run: run.summary, lambda run: run.to_arrow(), lambda run: list(run.batches())])
def test_damage_found_by_whatever_reads(tmp_path: Path, read: Callable[[Any], Any]) -> None:
    path = parquet_files.write_parquet(tmp_path / "a.parquet", {"_step": STEPS, "a": STEPS}, row_group_size=20)
    spoil(path, 1, "a")
    with pytest.raises(HistoryDecodeError, match=r"corrupt.*a\.parquet, page row group 1"):
        read(histscan.open(path))


def test_rows_equal_pyarrow_for_a_wide_file(tmp_path: Path) -> None:
    table = pyarrow.table({"_step": STEPS, **{f"m{place}": [s * place / 7 for s in STEPS] for place in range(30)}})
    path = parquet_files.write_parquet(tmp_path / "a.parquet", table)
    assert same(rows_of(path), expected_rows(table))


def test_keys_are_those_of_the_schema(tmp_path: Path) -> None:
    first = pyarrow.table({"_step": [0], "b": [{"y": 1, "x": {"z": 2}}], "a": [1.5]})
    pyarrow.parquet.write_table(first, tmp_path / "0.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"_step": [1], "c": [[1]]}), tmp_path / "1.parquet")
    assert ParquetRun(tmp_path).keys() == ["_step", "a", "b.x.z", "b.y", "c"]
