"""Scans of `.wandb` logs continue after a fork, in parent and child."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

import histscan
from tests.support.forking import FORKS, Forked, in_fork, rows_left, steps_in
from tests.support.log_samples import step_rows, steps_of, write_run

pytestmark = FORKS


ROWS = 120
READ = 31
REST = list(range(READ, ROWS))
KEYS: list[Any] = [None, ["_step"]]


@pytest.fixture(scope="module", params=["plain", "gzip"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> histscan.LogRun:
    """A run of some six windows of the log."""
    path = write_run(tmp_path_factory.mktemp("log") / "run.wandb", step_rows(range(ROWS), size=50_000))
    if request.param == "plain":
        return histscan.LogRun(path)
    compressed = path.with_name("run.wandb.gz")
    compressed.write_bytes(gzip.compress(path.read_bytes(), 1))
    return histscan.LogRun(compressed)


def steps_and_sizes(rows: Iterator[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(row["_step"], len(row.get("text", ""))) for row in rows]


@pytest.mark.parametrize("keys", KEYS)
def test_the_child_reads_on_first(run: histscan.LogRun, keys: list[str] | None) -> None:
    scan = run.scan_history(keys)
    assert steps_of(islice(rows_left(scan), READ)) == list(range(READ))
    rest = in_fork(lambda: steps_and_sizes(rows_left(scan)))
    assert rest == steps_and_sizes(rows_left(scan))
    assert [step for step, _ in rest] == REST


@pytest.mark.parametrize("keys", KEYS)
def test_the_parent_reads_on_first(run: histscan.LogRun, keys: list[str] | None) -> None:
    scan = run.scan_history(keys)
    assert steps_of(islice(rows_left(scan), READ)) == list(range(READ))
    child = Forked(lambda: steps_of(rows_left(scan)))
    assert steps_of(rows_left(scan)) == REST
    assert child.result() == REST


def test_several_children_read_on_in_turns(run: histscan.LogRun) -> None:
    scan = run.scan_history()
    taken = steps_of(islice(rows_left(scan), READ))
    children = []
    while len(taken) < ROWS:
        step = len(taken)
        children.append((step, Forked(lambda: steps_of(rows_left(scan)))))
        taken += steps_of(islice(rows_left(scan), 20))
    assert taken == list(range(ROWS))
    for step, child in children:
        assert child.result() == list(range(step, ROWS))


def test_a_child_of_a_child_reads_on(run: histscan.LogRun) -> None:
    scan = run.scan_history()
    next(scan)

    def read_here_and_in_a_fork() -> tuple[list[int], list[int]]:
        next(scan)
        return in_fork(lambda: steps_of(rows_left(scan))), steps_of(rows_left(scan))

    assert in_fork(read_here_and_in_a_fork) == (list(range(2, ROWS)), list(range(2, ROWS)))
    assert steps_of(rows_left(scan)) == list(range(1, ROWS))


def test_the_child_starts_over(run: histscan.LogRun) -> None:
    scan = run.scan_history()
    assert steps_of(islice(rows_left(scan), READ)) == list(range(READ))
    assert in_fork(lambda: steps_of(scan)) == list(range(ROWS))
    assert steps_of(rows_left(scan)) == REST


def test_the_end_of_the_child_leaves_the_parent_its_file(run: histscan.LogRun) -> None:
    scan: Any = run.scan_history()
    assert steps_of(islice(rows_left(scan), READ)) == list(range(READ))
    scans = [scan]
    in_fork(scans.clear)
    assert steps_of(rows_left(scan)) == REST


def test_batches_under_way(run: histscan.LogRun) -> None:
    batches = run.batches(["_step"], rows=10)
    taken = [next(batches) for _ in range(3)]
    child = Forked(lambda: steps_in(list(batches)))
    rest = steps_in(list(batches))
    assert steps_in(taken) + rest == list(range(ROWS))
    assert child.result() == rest


@pytest.mark.parametrize("threads", [1, 2])
def test_columns_before_and_after(run: histscan.LogRun, threads: int) -> None:
    scan = run.scan_history()
    assert steps_of(islice(rows_left(scan), READ)) == list(range(READ))
    expected = scan.to_arrow(threads=threads)
    assert expected.column("_step").to_pylist() == list(range(ROWS))
    assert in_fork(lambda: scan.to_arrow(threads=threads)).equals(expected)
    assert in_fork(lambda: steps_of(rows_left(scan))) == REST
    assert steps_of(rows_left(scan)) == REST


def test_while_other_threads_read_the_same_run(run: histscan.LogRun) -> None:
    """Each with a scan of its own, and each within its first rows as long as the children run."""
    barrier = threading.Barrier(4)
    read: list[list[int]] = [[], [], []]

    def read_all(into: list[int]) -> None:
        for row in run.scan_history():
            into.append(row["_step"])
            if len(into) == READ:
                barrier.wait()
                barrier.wait()

    threads = [threading.Thread(target=read_all, args=(into,)) for into in read]
    for thread in threads:
        thread.start()
    barrier.wait()
    scan = run.scan_history()
    next(scan)
    try:
        for _ in range(3):
            assert in_fork(lambda: steps_of(rows_left(scan))) == list(range(1, ROWS))
        assert in_fork(lambda: run.to_arrow(["_step"]).num_rows) == ROWS
    finally:
        barrier.wait()
        for thread in threads:
            thread.join()
    assert read == [list(range(ROWS))] * 3
    assert steps_of(rows_left(scan)) == list(range(1, ROWS))
