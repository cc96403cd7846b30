"""Threads that run tasks, and for which nobody waits for ever if there is no memory to start or to run them.

`threading.Thread.start` waits until the thread has said that it runs: without memory, it may never say so. A thread of
`concurrent.futures` that fails outside its task ends, and may leave a lock locked.
"""

from __future__ import annotations

import atexit
import os
import time
from _thread import start_new_thread
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock
from weakref import ref

__all__ = ["WorkerThreads"]

_Tasks = SimpleQueue[Callable[[], object] | None]


class WorkerThreads:
    """Some threads, which are started when they are needed, and end when the process does.

    A forked process has none of them, and must make its own.

    Args:
        count: The most threads.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._process = os.getpid()
        self._tasks: _Tasks = SimpleQueue()
        self._threads: list[ref[_Thread]] = []
        # `with` is avoided: without memory, it may leave a lock locked.
        self._starting = Lock()
        self._has_ended = False
        atexit.register(self.end)

    def offer(self, task: Callable[[], object]) -> None:
        """Lets the first free thread run a task. Returns at once, whether or not there is a thread.

        Args:
            task: Called in a thread, or never. It must not raise an exception.

        Raises:
            RuntimeError: No thread can be started: there are too many, or the interpreter is exiting. Another one that
                was started before may run the task.
            MemoryError: Likewise, for lack of memory.
        """
        if self._has_ended:
            return
        self._tasks.put(task)
        # If another thread is starting one, that will do.
        if self._starting.acquire(blocking=False):
            try:
                self._start_thread()
            finally:
                self._starting.release()

    def end(self) -> None:
        """Ends the threads, behind their tasks: the interpreter must not exit while one of them runs the core."""
        if self._process != os.getpid():
            return
        self._has_ended = True
        for _ in self._threads:
            self._tasks.put(None)
        while any(map(_exists, self._threads)):
            time.sleep(0.0005)

    def _start_thread(self) -> None:
        self._threads = [thread for thread in self._threads if _exists(thread)]
        if len(self._threads) < self._count:
            thread = _Thread()
            self._threads.append(ref(thread))
            start_new_thread(_run_tasks, (self._tasks, thread))


class _Thread:
    """The state of a thread, which alone refers to it: if it can't run at all, nothing is left of it.

    Attributes:
        has_ended: True after its last task. A traceback may refer to its frame, and so to this, for longer.
    """

    __slots__ = ("__weakref__", "has_ended")

    def __init__(self) -> None:
        self.has_ended = False


def _exists(reference: ref[_Thread]) -> bool:
    thread = reference()
    return thread is not None and not thread.has_ended


def _run_tasks(tasks: _Tasks, thread: _Thread) -> None:
    try:
        while True:
            task = tasks.get()
            if task is None:
                return
            task()
            # It may have a large result.
            del task
    except MemoryError:
        # Another thread is started when the next task is offered.
        pass
    finally:
        thread.has_ended = True
