"""Threads that run tasks: some fail, end, or can't be started, and nobody waits for them for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from queue import SimpleQueue

import pytest

import histscan.columns.worker_threads
from histscan.columns.worker_threads import WorkerThreads

PATIENCE = 60.0


@pytest.fixture
def threads() -> Iterator[WorkerThreads]:
    threads = WorkerThreads(2)
    yield threads
    threads.end()


def idents(threads: WorkerThreads, count: int) -> list[int]:
    """Runs tasks, and returns which threads they ran in."""
    found: SimpleQueue[int] = SimpleQueue()
    for _ in range(count):
        threads.offer(lambda: found.put(threading.get_ident()))
    return [found.get(timeout=PATIENCE) for _ in range(count)]


def fail() -> None:
    raise MemoryError


def test_tasks_run_in_few_threads(threads: WorkerThreads) -> None:
    found = idents(threads, 100)
    assert 1 <= len(set(found)) <= 2
    assert threading.get_ident() not in found


def test_two_tasks_run_at_once(threads: WorkerThreads) -> None:
    meeting = threading.Barrier(3)
    for _ in range(2):
        threads.offer(meeting.wait)
    meeting.wait(PATIENCE)


def test_threads_without_memory_are_replaced(threads: WorkerThreads) -> None:
    for _ in range(20):
        threads.offer(fail)
        assert len(idents(threads, 10)) == 10


def test_a_thread_that_could_not_run_is_replaced(threads: WorkerThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if there had been no memory for the first call in the new thread.
    with monkeypatch.context() as patch:
        patch.setattr(histscan.columns.worker_threads, "start_new_thread", lambda function, arguments: 0)
        for _ in range(5):
            threads.offer(int)
    assert len(idents(threads, 10)) == 10


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_the_caller_is_told_that_no_thread_was_started(
    error: type[Exception], threads: WorkerThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object) -> int:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(histscan.columns.worker_threads, "start_new_thread", start)
        for _ in range(3):
            with pytest.raises(error):
                threads.offer(int)
    assert len(idents(threads, 10)) == 10


def test_tasks_that_were_offered_before_the_end_run() -> None:
    threads = WorkerThreads(1)
    done: list[int] = []
    for number in range(50):
        threads.offer(partial(done.append, number))
    threads.end()
    threads.offer(partial(done.append, -1))
    assert done == list(range(50))


def test_the_process_ends_though_errors_are_kept() -> None:
    # The traceback of an error refers to the thread's frame.
    run("""
def work():
    try:
        raise ValueError
    except ValueError as error:
        errors.append(error)
        done.set()

errors = []
done = threading.Event()
threads.offer(work)
done.wait()
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_ends() -> None:
    run("""
done = threading.Event()
threads.offer(done.set)
done.wait()
child = os.fork()
if not child:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
""")


def test_the_process_ends_behind_a_task() -> None:
    run(
        """
begun = threading.Event()

def work():
    begun.set()
    for _ in range(5):
        time.sleep(0.01)
    os.write(1, b"done")

threads.offer(work)
begun.wait()
""",
        output="done",
    )


def run(program: str, *, output: str = "") -> None:
    """Runs a program that has two threads, as a process."""
    beginning = """
import os, sys, threading, time
from histscan.columns.worker_threads import WorkerThreads
threads = WorkerThreads(2)
"""
    command = [sys.executable, "-W", "ignore", "-c", beginning + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, output, "")
