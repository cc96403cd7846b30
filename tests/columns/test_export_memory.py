"""A long log is exported to columns in memory that does not grow with it, though only its end tells the schema."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from benches.large_log import LogWriter
from histscan.common.json_fields import is_json
from tests.support import wire

# Bytes of a log, and by how much more the peak may rise for the longer one.
SMALL, LARGE = 100 << 20, 360 << 20
MAY_GROW = 100 << 20

# What no log may take, however long.
LIMIT = 500 << 20

KEYS = [f"train/metric_{number:02}" for number in range(20)]
TEXT = "a sentence that is logged with the numbers, over and over again, "

# VmHWM is reset for each program; getrusage() includes the process that this one was forked from.
EXPORT = """
import pathlib, re, sys
from histscan.cli.main import main
code = main(["export", sys.argv[1], "-o", sys.argv[2], "--quiet"])
peak = re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())
print(int(peak[1]) * 1024)
sys.exit(code)
"""


def records(is_late: bool) -> list[bytes]:
    """Rows without their steps; late ones have a column more, and values of other types."""
    made = []
    for number in range(1_000):
        row: dict[str, object] = {key: number * 0.37 + place for place, key in enumerate(KEYS)}
        row["count"] = number if not is_late else number + 0.5
        row["mixed"] = number if not is_late else "text"
        row["note"] = f"{TEXT}{number % 7}" * 4
        if is_late:
            row["late"] = number
        made.append(b"".join(wire.field(1, wire.item([key], json.dumps(value))) for key, value in row.items()))
    return made


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, tuple[Path, int]]]:
    """Logs of both sizes, with how many rows they have."""
    made = {}
    for size in (SMALL, LARGE):
        path = tmp_path_factory.mktemp("logs") / f"run-{size}.wandb"
        made[size] = path, write_log(path, size)
    yield made
    for path, _ in made.values():
        path.unlink()


def write_log(path: Path, size: int) -> int:
    early, late = records(False), records(True)
    with path.open("wb") as file:
        writer = LogWriter(file)
        writer.write(wire.run_record("long", entity="team", project="vision"))
        step = 0
        while writer.size < size:
            pieces = late if writer.size > 0.95 * size else early
            own = wire.field(1, wire.item(["_step"], str(step))) + wire.field(2, wire.varint_field(1, step))
            writer.write(wire.field(wire.HISTORY, pieces[step % 1_000] + own))
            step += 1
    return step


def export(log: Path, goal: Path) -> int:
    """Exports a log in a process of its own; returns the most memory that it had, in bytes."""
    finished = subprocess.run(
        [sys.executable, "-c", EXPORT, str(log), str(goal)], capture_output=True, text=True, check=True, timeout=300
    )
    assert finished.stderr == ""
    return int(finished.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="another unit of memory")
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_peak_does_not_follow_the_length(logs: dict[int, tuple[Path, int]], tmp_path: Path, suffix: str) -> None:
    peaks = {}
    for size, (log, rows) in logs.items():
        goal = tmp_path / f"{size}.{suffix}"
        peaks[size] = export(log, goal)
        table = pyarrow.parquet.ParquetFile(goal) if suffix == "parquet" else pyarrow.ipc.open_file(str(goal))
        schema = table.schema_arrow if suffix == "parquet" else table.schema
        assert schema.field("count").type == pyarrow.float64()
        assert schema.field("late").type == pyarrow.int64()
        assert is_json(schema.field("mixed"))
        if suffix == "parquet":
            assert table.metadata.num_rows == rows
        else:
            assert sum(table.get_batch(index).num_rows for index in range(table.num_record_batches)) == rows
        del table
        goal.unlink()
    assert max(peaks.values()) < LIMIT
    assert peaks[LARGE] - peaks[SMALL] < MAY_GROW
