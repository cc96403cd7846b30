"""Tasks for workers: together they have the rows of all runs, and they carry no credentials."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.many.tasks import HistoryTask, plan_tasks
from tests.support.many_runs import rows_of, write_log
from tests.support.server_process import serving

pa = pytest.importorskip("pyarrow")

KEY = "secret0key" * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for place in range(8):
        rows = [{"_step": step, "loss": step / (place + 1), "epoch": step} for step in range(20)]
        write_log(folder, f"r{place}", rows, config={"lr": place}, start=place)
    write_log(folder, "empty", [], start=20)
    write_log(folder, "other", [{"_step": 0, "epoch": 0.5, "note": "x"}], start=21)
    rows = [{"_step": 3 * step, "loss": float(step), "epoch": step} for step in range(3_000)]
    write_log(folder, "large", rows, start=22)
    return folder


def table_of(tasks: list[HistoryTask]) -> Any:
    return pa.concat_tables([task.to_arrow() for task in tasks]).unify_dictionaries()


@pytest.mark.parametrize("target_bytes", [5_000, 50_000, 1 << 30])
def test_tasks_have_the_rows_of_all_runs(folder: Path, target_bytes: int) -> None:
    runs = histscan.open_runs(folder)
    tasks = plan_tasks(runs, target_bytes=target_bytes, config=["lr"])
    eager = runs.to_arrow(config=["lr"])
    table = table_of(tasks)
    assert table.schema.equals(eager.schema)
    assert rows_of(table) == rows_of(eager)


def test_small_runs_are_put_together_and_large_ones_split(folder: Path) -> None:
    tasks = plan_tasks(histscan.open_runs(folder), target_bytes=10_000)
    large = [task for task in tasks if task.ids == ["large"]]
    assert len(large) > 5
    assert all(task.size <= 10_000 for task in tasks)
    assert len(tasks) - len(large) < 6
    steps = [(task.options.min_step, task.options.max_step) for task in large]
    assert [stop for _, stop in steps[:-1]] == [first for first, _ in steps[1:]]
    assert (steps[0][0], steps[-1][1]) == (0, None)
    sizes = [len(task.to_arrow(["_step"])) for task in large]
    assert max(sizes) <= 1.2 * min(sizes)


def test_steps_and_columns(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    tasks = plan_tasks(runs, ["loss", "_step"], target_bytes=10_000, min_step=7, max_step=4_000)
    eager = runs.to_arrow(["loss", "_step"], min_step=7, max_step=4_000)
    assert rows_of(table_of(tasks)) == rows_of(eager)
    assert tasks[0].to_arrow(["loss"]).column_names == ["loss"]


def test_parquet_files_are_split_between_row_groups(tmp_path: Path) -> None:
    import pyarrow.parquet

    table = pa.table({"_step": list(range(10_000)), "loss": [step / 7 for step in range(10_000)]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=1_000)
    runs = histscan.open_runs(tmp_path)
    size = (tmp_path / "a.parquet").stat().st_size
    tasks = plan_tasks(runs, target_bytes=size // 4)
    firsts = [task.options.min_step for task in tasks]
    assert 4 <= len(tasks) <= 5
    assert all(first % 1_000 == 0 for first in firsts)
    assert rows_of(table_of(tasks)) == rows_of(runs.to_arrow())


def test_types_are_found_where_the_tasks_are_read(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    seen: list[HistoryTask] = []

    def map_tasks(function: Any, tasks: Any) -> Any:
        seen.extend(pickle.loads(pickle.dumps(list(tasks))))
        return [function(task) for task in seen]

    tasks = plan_tasks(runs, map_tasks=map_tasks)
    assert [run for task in seen for run in task.ids] == [run.id for run in runs]
    assert table_of(tasks).schema.equals(runs.to_arrow().schema)


def test_no_runs() -> None:
    runs = histscan.open_runs(Path(__file__).parents[2] / "examples")[:0]
    (task,) = plan_tasks(runs, ["loss"])
    assert task.to_arrow().num_rows == 0
    assert task.to_arrow().column_names == ["run_id", "run_name", "_step", "loss"]


def test_wrong_size(folder: Path) -> None:
    with pytest.raises(ValueError, match="target_bytes must be at least 1"):
        plan_tasks(histscan.open_runs(folder), target_bytes=0)


# On a server


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A server that needs a key."""
    with serving(folder, "--api-key", KEY) as server:
        yield server.url


def read_elsewhere(task: HistoryTask) -> Any:
    return task.to_arrow()


def test_key_is_found_by_the_worker(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = histscan.Api(address, KEY).runs("e/p")
    tasks = plan_tasks(runs, target_bytes=20_000)
    assert len(tasks) > 2
    assert KEY not in repr(tasks)
    assert KEY.encode() not in pickle.dumps(tasks)
    # A new process, as on another machine, whose environment has the key.
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        tables = list(pool.map(read_elsewhere, tasks))
    assert rows_of(pa.concat_tables(tables)) == rows_of(runs.to_arrow(["_step", "epoch", "loss", "note"]))


def test_key_is_carried_on_request_only(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "another0key" * 4)
    without = pickle.loads(pickle.dumps(plan_tasks(histscan.Api(address, KEY).runs("e/p"))))
    with pytest.raises(histscan.HistoryError, match="API key of this client was not pickled"):
        without[0].to_arrow()
    tasks = plan_tasks(histscan.Api(address, KEY, pickle_key=True).runs("e/p"))
    assert KEY not in repr(tasks)
    assert KEY not in str(tasks[0].runs)
    carried = pickle.loads(pickle.dumps(tasks))
    assert carried[0].to_arrow().num_rows == 8 * 20 + 1 + 3_000
