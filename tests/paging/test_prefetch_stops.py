"""Scans that end early, start over, are moved, shared or forked while pages are being fetched."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from itertools import chain
from typing import Any

import pytest

from histscan.history import HistoryScan
from histscan.paging.prefetch import _Fetch
from histscan.paging.windows import Window
from histscan.sources.cancellation import Cancellation, RequestCancelledError
from histscan.sources.client import Client
from tests.support.graphql_server import Answer, GraphQLServer, Received, answer_from
from tests.support.history_backend import RUN, MemoryClient, row_texts
from tests.support.prefetching import (
    BACKEND,
    PATIENCE,
    Gate,
    assert_threads_end,
    fetching_threads,
    first_step,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_dropping_a_scan_calls_off_what_is_under_way(server: GraphQLServer, gate: Gate) -> None:
    scan = HistoryScan(Client(server.url), RUN, 0, 200, 10, prefetch=4)
    for _, row in zip(range(3), scan, strict=False):
        assert "loss" in row
    gate.wait_for(4)
    assert len(fetching_threads()) == 4
    reference = weakref.ref(scan)
    del scan
    assert reference() is None
    # The server has answered none of them.
    assert_threads_end()
    assert len(server.received) == 5


def test_closing_the_generator_calls_off_what_is_under_way(server: GraphQLServer, gate: Gate) -> None:
    scan = HistoryScan(Client(server.url), RUN, 0, 200, 10, prefetch=4)
    pages: Any = scan.pages()
    assert len(next(pages)) == 10
    gate.wait_for(4)
    pages.close()
    assert_threads_end()
    gate.is_open.set()
    assert row_texts(scan) == row_texts(BACKEND.rows)


def test_starting_over_calls_off_what_is_under_way(server: GraphQLServer, gate: Gate) -> None:
    scan = HistoryScan(Client(server.url), RUN, 0, 200, 10, prefetch=4)
    next(scan)
    gate.wait_for(4)
    iter(scan)
    assert_threads_end()
    gate.is_open.set()
    assert row_texts(scan) == row_texts(BACKEND.rows)


def test_starting_over_frees_a_thread_that_waits(server: GraphQLServer, gate: Gate) -> None:
    scan = HistoryScan(Client(server.url), RUN, 0, 200, 10, prefetch=2)
    for _ in range(10):
        next(scan)
    gate.wait_for(2)
    taken: list[Any] = []
    has_come = threading.Event()
    fetcher: Any = scan._fetcher
    take = fetcher.take

    def come_and_take(timeout: float | None) -> Any:
        has_come.set()
        return take(timeout)

    fetcher.take = come_and_take
    waiting = threading.Thread(target=lambda: taken.append(next(scan)))
    waiting.start()
    assert has_come.wait(PATIENCE)
    iter(scan)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert row_texts(taken) == row_texts(BACKEND.rows[:1])


def test_waits_between_tries_end_when_the_scan_is_dropped(server: GraphQLServer) -> None:
    whole = answer_from(BACKEND)
    arrived = threading.Semaphore(0)

    def respond(request: Received) -> Answer:
        if first_step(request.payload["variables"]) == 0:
            return whole(request)
        arrived.release()
        return Answer(b"", 503, {"Retry-After": "50"})

    server.respond = respond
    scan = HistoryScan(Client(server.url), RUN, 0, 200, 10, prefetch=1)
    next(scan)
    assert arrived.acquire(timeout=PATIENCE)
    del scan
    assert_threads_end()
    assert len(server.received) == 2


def test_a_client_goes_on_after_requests_of_its_were_called_off(server: GraphQLServer, gate: Gate) -> None:
    client = Client(server.url)
    scan = HistoryScan(client, RUN, 0, 200, 10, prefetch=4)
    next(scan)
    gate.wait_for(4)
    del scan
    gate.is_open.set()
    assert row_texts(HistoryScan(client, RUN, 0, 200, 10, prefetch=4)) == row_texts(BACKEND.rows)


def test_calling_off_waits_for_nothing() -> None:
    cancellation = Cancellation()
    with cancellation._lock:
        cancellation.cancel()
    with pytest.raises(RequestCancelledError):
        cancellation.pause(PATIENCE)
    fetch = _Fetch(Window(0, 1, 1))
    fetch.cancel()
    asked: list[Window] = []
    fetch.run(asked.append)
    assert asked == []
    with pytest.raises(RequestCancelledError):
        fetch.wait(PATIENCE)


def test_the_scan_may_be_moved_by_hand() -> None:
    scan = HistoryScan(MemoryClient(BACKEND), RUN, 0, 200, 10, prefetch=3)
    assert next(scan)["_step"] == 0
    scan.rows = []
    scan.page_offset = 100
    assert next(scan)["_step"] == 100
    scan.rows = []
    scan.page_size = 25
    assert next(scan)["_step"] == 110
    assert len(scan.rows) == 25
    scan._stop_step = 140
    assert [row["_step"] for row in iter(scan.__next__, None) if row["_step"] < 139][-1] == 138


def test_threads_may_share_a_scan() -> None:
    scan = HistoryScan(MemoryClient(BACKEND), RUN, 0, 200, 3, prefetch=4)
    taken: list[list[int]] = [[] for _ in range(4)]

    def take(into: list[int]) -> None:
        for row in iter(lambda: next(scan, None), None):
            into.append(row["_step"])

    threads = [threading.Thread(target=take, args=(into,)) for into in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(chain.from_iterable(taken)) == list(range(200))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_fetches_on_its_own(server: GraphQLServer, gate: Gate) -> None:
    scan = HistoryScan(Client(server.url), RUN, 0, 200, 10, prefetch=4)
    next(scan)
    gate.wait_for(4)
    child = os.fork()
    if child == 0:
        try:
            gate_of_parent_stays_shut = len(fetching_threads()) == 0
            steps = [next(scan)["_step"] for _ in range(9)]
            client = MemoryClient(BACKEND)
            scan.client = client
            steps += [row["_step"] for row in iter(lambda: next(scan, None), None)]
            is_right = steps == list(range(1, 200)) and len(client.requests) == 19 and gate_of_parent_stays_shut
            os._exit(0 if is_right else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    # Its exit did not affect the parent's connections.
    gate.is_open.set()
    assert [row["_step"] for row in iter(lambda: next(scan, None), None)] == list(range(1, 200))
    assert len(server.received) == 20


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_scan_dropped_in_a_forked_process_goes_on_in_its_parent(server: GraphQLServer, gate: Gate) -> None:
    scan = HistoryScan(Client(server.url), RUN, 0, 200, 10, prefetch=4)
    next(scan)
    gate.wait_for(4)
    child = os.fork()
    if child == 0:
        try:
            del scan
            gc.collect()
            os._exit(0)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    gate.is_open.set()
    assert [row["_step"] for row in iter(lambda: next(scan, None), None)] == list(range(1, 200))
    assert len(server.received) == 20


def test_where_no_thread_can_be_started_pages_are_fetched_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert row_texts(HistoryScan(MemoryClient(BACKEND), RUN, 0, 200, 10, prefetch=3)) == row_texts(BACKEND.rows)


def test_the_interpreter_ends_while_pages_are_under_way(server: GraphQLServer, gate: Gate) -> None:
    program = (
        "import sys; from histscan.history import HistoryScan; from histscan.sources.client import Client;"
        "from tests.support.history_backend import RUN;"
        f"scan = HistoryScan(Client({server.url!r}), RUN, 0, 200, 10, prefetch=4); print(next(scan)['_step'])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=2 * PATIENCE
    )
    assert (finished.stdout, finished.stderr) == ("0\n", "")
