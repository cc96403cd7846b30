"""Parquet files between the reading of their footer and of their rows."""

import os
import pickle
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import histscan
from histscan.errors import HistoryError

DESCRIPTORS = Path("/proc/self/fd")


def write(path: Path, rows: int = 3, columns: int = 1) -> Path:
    values = {f"key{place}": [step + place / 2 for step in range(rows)] for place in range(columns)}
    pyarrow.parquet.write_table(pyarrow.table({"_step": list(range(rows)), **values}), path)
    return path


def open_files(folder: Path) -> list[str]:
    if not DESCRIPTORS.is_dir():
        pytest.skip("tells open files by /proc")
    links = [link for link in DESCRIPTORS.iterdir() if link.exists()]
    return [name for name in map(os.readlink, links) if name.startswith(str(folder))]


def test_of_many_runs_one_file_is_left_open_at_most(tmp_path: Path) -> None:
    runs = [histscan.open(write(tmp_path / f"{place}.parquet")) for place in range(5)]
    assert len(open_files(tmp_path)) <= 1
    for run in runs:
        assert len(list(run.scan_history())) == 3
    assert open_files(tmp_path) == []


def test_no_file_is_left_open_without_its_run(tmp_path: Path) -> None:
    run = histscan.open(write(tmp_path / "a.parquet"))
    del run
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("is_read_before", [False, True])
def test_other_contents_are_refused(tmp_path: Path, is_read_before: bool) -> None:
    path = write(tmp_path / "a.parquet")
    run = histscan.open(path)
    if is_read_before:
        assert len(run.to_arrow()) == 3
    write(path, rows=4)
    with pytest.raises(HistoryError, match=r"changed after it was opened.*a\.parquet"):
        run.to_arrow()
    assert len(histscan.open(path).to_arrow()) == 4


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    run = histscan.open(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.parquet"):
        run.to_arrow()


def test_a_pickle_has_no_open_file(tmp_path: Path) -> None:
    run = histscan.open(write(tmp_path / "a.parquet"))
    copied = pickle.loads(pickle.dumps(run))
    assert copied.to_arrow().equals(run.to_arrow())
    assert list(copied.scan_history()) == list(run.scan_history())


def test_wide_row_groups_are_read_by_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With threads, pyarrow's work grows with the square of the columns."""
    used: dict[int, bool] = {}
    read = pyarrow.parquet.ParquetFile.read_row_group

    def note(self: Any, *arguments: Any, **options: Any) -> Any:
        used[self.metadata.num_columns] = options["use_threads"]
        return read(self, *arguments, **options)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "read_row_group", note)
    for columns, rows in ((3, 60_000), (2_000, 100)):
        table = histscan.open(write(tmp_path / f"{columns}.parquet", rows, columns)).to_arrow()
        assert (len(table), table.num_columns) == (rows, columns + 1)
    assert used == {4: True, 2_001: False}
