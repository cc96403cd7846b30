"""The runs of a project stream in bounded memory, with the rows and types that one table has."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import histscan
from tests.support.project_runs import write_run, write_runs
from tests.support.server_process import ServerProcess, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(write_runs(tmp_path_factory.mktemp("runs"))) as running:
        yield running


@pytest.fixture
def runs(server: ServerProcess) -> Any:
    return histscan.Api(server.url, "a" * 40).runs("team/many")


OPTIONS: list[dict[str, Any]] = [
    {},
    {"keys": ["loss", "sparse"]},
    {"keys": ["s*", "_step"]},
    {"nested": "flatten"},
    {"keys": ["deep"], "nested": "flatten"},
    {"keys": ["deep.a.b"]},
    {"config": ["lr", "nested.x", "text"]},
    {"min_step": 5, "max_step": 1_100},
    {"threads": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_batches_are_the_table(runs: Any, options: dict[str, Any]) -> None:
    options = dict(options)
    keys = options.pop("keys", None)
    table = runs.to_arrow(keys, **options)
    batches = list(runs.batches(keys, **options))
    streamed = pyarrow.Table.from_batches(batches)
    assert streamed.schema == table.schema
    assert repr(streamed.to_pylist()) == repr(table.to_pylist())
    assert len(table) > 1_000


def test_capsule(runs: Any) -> None:
    assert repr(pyarrow.table(runs).to_pylist()) == repr(runs.to_arrow().to_pylist())


def test_files_are_removed(runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    batches = runs.batches(rows=10)
    next(batches)
    assert list(tmp_path.iterdir())
    batches.close()
    assert not list(tmp_path.iterdir())
    assert sum(len(batch) for batch in runs.batches()) == len(runs.to_arrow())
    assert not list(tmp_path.iterdir())


def test_forked_process_leaves_the_files(runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    batches = runs.batches(rows=10)
    count = len(next(batches))
    with warnings.catch_warnings():
        # Python warns of forks with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        batches.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert list(tmp_path.iterdir())
    assert count + sum(map(len, batches)) == len(runs.to_arrow())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_failing_run(tmp_path: Path, on_error: Any) -> None:
    logs = write_runs(tmp_path, 4)
    with serving(logs, "--fault", "errors@FirstPage:at=2", "--fault", "errors@LastStep") as server:
        runs = histscan.Api(server.url, "a" * 40).runs("team/many")
        if on_error == "raise":
            with pytest.raises(histscan.GraphQLResponseError, match="team/many/run"):
                list(runs.batches(threads=1))
            return
        with pytest.warns(histscan.RunSkippedWarning, match="is left out"):
            batches = list(runs.batches(threads=1, on_error="skip"))
        (failed,) = runs.failures
        ids = {value for batch in batches for value in batch.column("run_id").to_pylist()}
        assert ids == {run.id for run in runs} - {failed.split("/")[-1]}


def test_a_slice_is_requested_once(server: ServerProcess, runs: Any) -> None:
    some = runs[:3]
    server.forget_traffic()
    assert sum(len(batch) for batch in some.batches()) == 60
    assert server.traffic()["requests"] == 3


def test_each_page_is_requested_once(server: ServerProcess, runs: Any) -> None:
    server.forget_traffic()
    runs.to_arrow()
    expected = server.traffic()["operations"]
    server.forget_traffic()
    list(histscan.Api(server.url, "a" * 40).runs("team/many").batches())
    assert server.traffic()["operations"] == expected | {"ListRuns": 1}


# Runs that are read as those of a server, without one: the same file stands for each.
STREAM = """
import pathlib, re, sys
import pyarrow.parquet
from histscan.many.local_runs import LocalRuns, RunFiles
from histscan.runs.registry import source_of

class Fetched(LocalRuns):
    can_reread = False

log = pathlib.Path(sys.argv[1])
runs = Fetched([RunFiles(source_of([log]), (log,))] * int(sys.argv[3]), "a test")
rows = 0
batches = runs.batches()
first = next(batches)
with pyarrow.parquet.ParquetWriter(sys.argv[2], first.schema) as writer:
    writer.write_batch(first)
    for batch in batches:
        writer.write_batch(batch)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())
print(int(peak[1]) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="another unit of memory")
def test_peak_does_not_follow_the_number_of_runs(tmp_path: Path) -> None:
    keys = [f"metric_{number}" for number in range(40)]
    log = write_run(tmp_path, "one", ({"_step": step, **dict.fromkeys(keys, step / 7)} for step in range(200)))
    peaks = {}
    for count in (200, 2_000):
        goal = tmp_path / f"{count}.parquet"
        command = [sys.executable, "-c", STREAM, str(log), str(goal), str(count)]
        finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        peaks[count] = int(finished.stdout)
        assert pyarrow.parquet.read_metadata(goal).num_rows == count * 200
    assert peaks[2_000] <= 1.2 * peaks[200], peaks
