"""What the tests of pages fetched ahead share: a server that holds answers back, and the threads at work."""

from __future__ import annotations

import gc
import json
import threading
from typing import Any

from histscan.sources import cleanup
from tests.support.graphql_server import Answer, Received, answer_from
from tests.support.history_backend import HistoryBackend, training_rows

PATIENCE = 30
"""Seconds after which a thread that should have ended has not; never waited for when all is well."""

BACKEND = HistoryBackend(training_rows(range(200)))


def fetching_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "histscan-prefetch"]


def assert_threads_end() -> None:
    for thread in fetching_threads():
        thread.join(PATIENCE)
    assert fetching_threads() == []


def assert_nothing_is_left() -> None:
    """Sees that scans which are not in use any more have left no thread behind."""
    gc.collect()
    assert_threads_end()
    assert cleanup.flush(timeout=PATIENCE)


def first_step(variables: Any) -> int:
    """The first step of the window that a request asks for."""
    step: int = json.loads(variables["spec"])["minStep"] if "spec" in variables else variables["minStep"]
    return step


class Gate:
    """Lets a server answer the first page, and keeps it from answering any other."""

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
