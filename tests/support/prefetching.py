"""Shared by the tests of prefetching: a server that delays answers, and a check for running threads."""

from __future__ import annotations

import gc
import json
import threading
from typing import Any

from histscan.sources import cleanup
from tests.support.graphql_server import Answer, Received, answer_from
from tests.support.history_backend import HistoryBackend, training_rows

PATIENCE = 30
"""Seconds after which a thread is considered stuck; never waited for in a passing test."""

BACKEND = HistoryBackend(training_rows(range(200)))


def fetching_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "histscan-prefetch"]


def assert_threads_end() -> None:
    for thread in fetching_threads():
        thread.join(PATIENCE)
    assert fetching_threads() == []


def assert_nothing_is_left() -> None:
    """Checks that scans that are no longer in use have left no thread running."""
    gc.collect()
    assert_threads_end()
    assert cleanup.flush(timeout=PATIENCE)


def first_step(variables: Any) -> int:
    """The first step of the requested window."""
    step: int = json.loads(variables["spec"])["minStep"] if "spec" in variables else variables["minStep"]
    return step


class Gate:
    """Makes a server answer the first page and block all others."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.arrived = threading.Semaphore(0)
        self._whole = answer_from(BACKEND)

    def __call__(self, request: Received) -> Answer:
        if first_step(request.payload["variables"]) > 0:
            self.arrived.release()
            self.is_open.wait()
        return self._whole(request)

    def wait_for(self, requests: int) -> None:
        for _ in range(requests):
            assert self.arrived.acquire(timeout=PATIENCE)
