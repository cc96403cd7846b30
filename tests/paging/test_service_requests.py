"""A service gets one request of a scan at a time, even if cancelled requests are still running."""

from __future__ import annotations

import gc
import os
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from histscan.history import BetaHistoryScan
from histscan.sources import cleanup
from tests.support.fake_service import FakeService, service_rows
from tests.support.prefetching import PATIENCE, assert_nothing_is_left

RUN = SimpleNamespace(entity="e", project="p", id="r")


class SlowService(FakeService):
    """A service that blocks all windows but the first, and counts concurrent requests."""

    def __init__(self) -> None:
        super().__init__(service_rows({"_step": step} for step in range(100)))
        self.may_answer = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.at_once = 0
        self.most_at_once = 0
        self._counting = threading.Lock()

    def send_api_request(self, request: Any, timeout: float | None = None) -> Any:
        with self._counting:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if request.read_run_history_request.scan_run_history.min_step > 0:
                self.arrived.release()
                assert self.may_answer.wait(PATIENCE)
            return super().send_api_request(request, timeout)
        finally:
            with self._counting:
                self.at_once -= 1


@pytest.fixture
def service() -> SlowService:
    return SlowService()


def scan_with_a_page_under_way(service: SlowService) -> BetaHistoryScan:
    """A scan that has returned a row, and whose second page is being fetched."""
    scan = BetaHistoryScan(service, RUN, 0, 100, page_size=10, prefetch=1)
    assert next(iter(scan)) == {"_step": 0}
    assert service.arrived.acquire(timeout=PATIENCE)
    return scan


def test_starting_over_waits_for_what_is_under_way(service: SlowService) -> None:
    scan = scan_with_a_page_under_way(service)
    found: list[Any] = []
    again = threading.Thread(target=lambda: found.extend(scan))
    again.start()
    # Time for a wrong second request to arrive; a correct thread waits for the event anyway.
    time.sleep(0.05)
    assert service.at_once == 1
    service.may_answer.set()
    again.join(PATIENCE)
    assert found == [{"_step": step} for step in range(100)]
    assert service.most_at_once == 1


def test_cleaning_up_waits_for_what_is_under_way(service: SlowService) -> None:
    scan = scan_with_a_page_under_way(service)
    del scan
    gc.collect()
    assert not cleanup.flush(timeout=0.05)
    assert service.ended_scans == []
    service.may_answer.set()
    assert_nothing_is_left()
    assert service.ended_scans == [7]
    assert service.most_at_once == 1


def test_a_forked_process_waits_for_nobody(service: SlowService) -> None:
    scan = scan_with_a_page_under_way(service)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            service.may_answer.set()
            code = 0 if [row["_step"] for row in scan] == list(range(100)) else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    ended = (0, 0)
    while ended[0] == 0:
        assert time.monotonic() < deadline, "the child waits for a thread of its parent's"
        ended = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    assert ended == (child, 0)
    service.may_answer.set()
    assert [row["_step"] for row in scan] == list(range(100))
