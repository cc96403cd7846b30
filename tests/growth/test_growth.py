"""How the work of each output grows along each axis of a history: calls of functions, counted at n and at 4n.

Times are measured by `python -m benches axes`, with larger histories.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import histscan
from tests.support import wire
from tests.support.outputs import OUTPUTS
from tests.support.parquet_files import write_parquet

Row = dict[str, Any]

GROWTH = 4
LARGEST_EXPONENT = 1.15


def numbers(rows: int, keys: int) -> list[Row]:
    return [{"_step": step, **{f"layer.{key}": step + key / 7 for key in range(keys)}} for step in range(rows)]


def new_keys(keys: int) -> list[Row]:
    """Rows that share no key but the step."""
    return [{"_step": step, **{f"row{step}.{key}": 0.5 for key in range(keys // 8)}} for step in range(8)]


def tree(depth: int) -> Any:
    return {"leaf": 1.5, "below": tree(depth - 1)} if depth else 2


AXES: dict[str, tuple[int, Callable[[int], list[Row]]]] = {
    "keys per row": (400, lambda n: numbers(2, n)),
    "distinct keys": (400, new_keys),
    "rows": (300, lambda n: numbers(n, 3)),
    "nesting": (6, lambda n: [{"_step": step, "tree": tree(n)} for step in range(20)]),
}


def write_log(folder: Path, rows: Sequence[Row]) -> list[Path]:
    path = folder / "run-abc.wandb"
    records = [wire.run_record("abc", entity="team", project="vision")]
    records += [wire.history_record([([key], json.dumps(row[key])) for key in row], row["_step"]) for row in rows]
    path.write_bytes(wire.write_log(records))
    return [path]


def write_columns(folder: Path, rows: Sequence[Row]) -> list[Path]:
    names = dict.fromkeys(name for row in rows for name in row)
    return [write_parquet(folder / "abc.parquet", {name: [row.get(name) for row in rows] for name in names})]


def write_lines(folder: Path, rows: Sequence[Row]) -> list[Path]:
    path = folder / "abc.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return [path]


SOURCES = {"log": write_log, "parquet": write_columns, "json lines": write_lines}


def count_calls(work: Callable[[], object]) -> int:
    """Counts the calls of functions, in Python and in C, that Python code makes."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def exponent(smaller: int, larger: int) -> float:
    return math.log(larger / smaller, GROWTH)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("output", OUTPUTS)
def test_one_run(tmp_path: Path, axis: str, source: str, output: str) -> None:
    if axis == "nesting" and output == "arrow of each key":
        pytest.skip("the names of n nested keys have n parts each")
    first, make = AXES[axis]
    counts = []
    for number, size in enumerate((1, first, GROWTH * first)):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = SOURCES[source](folder, make(max(size, 8)))
        # The first one imports what is needed.
        counts.append(count_calls(lambda files=files: OUTPUTS[output](files)))  # type: ignore[misc]
    assert exponent(*counts[1:]) <= LARGEST_EXPONENT


def _frame_of(open_files: Callable[..., Any], file: Path, keys: list[str], nested: str) -> object:
    return open_files([file]).to_arrow(keys, nested=nested, threads=1)


@pytest.mark.parametrize("nested", ["json", "flatten"])
@pytest.mark.parametrize("source", SOURCES)
def test_requested_keys_without_values(tmp_path: Path, source: str, nested: str) -> None:
    """For these, all keys of the history are looked at, to tell them from keys that there are not."""
    counts = []
    for number, size in enumerate((8, 200, GROWTH * 200)):
        folder = tmp_path / str(number)
        folder.mkdir()
        names = [f"part{key}.value" for key in range(size)]
        rows: list[Row] = [{"_step": step, **dict.fromkeys(names)} for step in range(2)]
        [file] = SOURCES[source](folder, rows)
        for open_files in (histscan.open, histscan.open_runs):
            read = partial(_frame_of, open_files, file, [f"part{key}" for key in range(size)], nested)
            counts.append(count_calls(read))
    for one, larger in ((2, 4), (3, 5)):
        assert exponent(counts[one], counts[larger]) <= LARGEST_EXPONENT


def write_files(folder: Path, source: str, count: int) -> list[Path]:
    """Writes a history of two rows in each file."""
    files = []
    for number in range(count):
        place = folder / f"part{number:04}"
        place.mkdir()
        rows = [row | {"_step": row["_step"] + 2 * number} for row in numbers(2, 3)]
        files += SOURCES[source](place, rows)
    return files


@pytest.mark.parametrize("source", ["log", "parquet"])
@pytest.mark.parametrize("output", ["rows", "arrow", "batches", "info", ".parquet"])
def test_files_of_a_run(tmp_path: Path, source: str, output: str) -> None:
    counts = []
    for count in (2, 15, GROWTH * 15):
        folder = tmp_path / str(count)
        folder.mkdir()
        files = write_files(folder, source, count)
        counts.append(count_calls(lambda files=files: OUTPUTS[output](files)))  # type: ignore[misc]
    assert exponent(*counts[1:]) <= LARGEST_EXPONENT


@pytest.mark.parametrize("output", ["rows", "arrow", "batches", "info", ".parquet"])
def test_row_groups(tmp_path: Path, output: str) -> None:
    counts = []
    for count in (2, 25, GROWTH * 25):
        folder = tmp_path / str(count)
        folder.mkdir()
        columns = {"_step": list(range(count)), "loss": [0.5] * count}
        files = [write_parquet(folder / "abc.parquet", columns, row_group_size=1)]
        counts.append(count_calls(lambda files=files: OUTPUTS[output](files)))  # type: ignore[misc]
    assert exponent(*counts[1:]) <= LARGEST_EXPONENT


@pytest.mark.parametrize("output", ["arrow", "batches", "table"])
def test_runs_in_a_folder(tmp_path: Path, output: str) -> None:
    outputs: dict[str, Callable[[Any], object]] = {
        "arrow": lambda runs: runs.to_arrow(threads=1),
        "batches": lambda runs: deque(runs.batches(), maxlen=0),
        "table": lambda runs: runs.table(),
    }
    counts = []
    for count in (2, 15, GROWTH * 15):
        folder = tmp_path / str(count)
        for run in range(count):
            place = folder / f"offline-run-20260101_000000-run{run:04}"
            place.mkdir(parents=True)
            [log] = write_log(place, numbers(3, 3))
            log.rename(place / f"run-run{run:04}.wandb")
        counts.append(count_calls(lambda folder=folder: outputs[output](histscan.open_runs(folder))))  # type: ignore[misc]
    assert exponent(*counts[1:]) <= LARGEST_EXPONENT


@pytest.mark.skipif(sys.platform != "linux", reason="/proc has the peak of a process's memory")
def test_memory_of_keys_of_one_row(tmp_path: Path) -> None:
    rows: list[Row] = numbers(6_000, 2)
    rows[100] |= {f"parameter{key}": 0.5 for key in range(6_000)}
    [path] = write_lines(tmp_path, rows)
    program = """if True:
        import re, sys, pyarrow, histscan

        def peak():
            return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])

        run = histscan.open(sys.argv[1])
        before = peak()
        for batch in run.batches():
            pass
        print(peak() - before)
    """
    ran = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    # In KiB. A cell for each key and row would take 324 MB, and as much again in the batch.
    assert int(ran.stdout) < 250_000
