"""The three deliberate differences: each test shows a fault of wandb 0.26.1's class, and that ours is without it."""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

import pytest
from wandb.apis.public.history import BetaHistoryScan as WandbBetaHistoryScan
from wandb.apis.public.history import SampledHistoryScan as WandbSampledHistoryScan

from histscan import proto
from histscan.history import BetaHistoryScan, SampledHistoryScan
from histscan.sources import cleanup
from tests.support.fake_service import FakeService, service_rows
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient, training_rows
from tests.support.interpreter import run_python
from tests.support.log_samples import steps_of


def test_an_empty_page_does_not_end_a_scan() -> None:
    """A run that was resumed at a later step, or whose newest rows are not exported yet, has gaps."""
    rows = service_rows(training_rows([*range(15), *range(40, 45)]))
    theirs = WandbBetaHistoryScan(FakeService(rows), RUN, 0, 60, None, 10)
    ours = BetaHistoryScan(FakeService(rows), RUN, 0, 60, None, 10)
    assert steps_of(theirs) == list(range(15))
    assert steps_of(ours) == [*range(15), *range(40, 45)]


def test_a_sampled_scan_gives_no_row_twice() -> None:
    """W&B's server takes `maxStep` as inclusive: a page's last row is the next one's first."""
    client = MemoryClient(HistoryBackend(training_rows(range(0, 40, 2))))
    theirs = WandbSampledHistoryScan(client, RUN, ["_step"], 0, 30, 10)
    ours = SampledHistoryScan(client, RUN, ["_step"], 0, 30, 10)
    assert steps_of(theirs) == [0, 2, 4, 6, 8, 10, 10, 12, 14, 16, 18, 20, 20, 22, 24, 26, 28, 30]
    assert steps_of(ours) == list(range(0, 30, 2))


def test_a_sampled_scan_loses_no_row() -> None:
    """With a row at every step there is one more in the window than the seed asks for, so one is sampled away."""
    client = MemoryClient(HistoryBackend(training_rows(range(100))))
    theirs = WandbSampledHistoryScan(client, RUN, ["_step"], 0, 30, 10)
    ours = SampledHistoryScan(client, RUN, ["_step"], 0, 30, 10)
    assert set(range(30)) - set(steps_of(theirs))
    assert steps_of(ours) == list(range(30))


@pytest.mark.parametrize("keys", [["loss"], ["loss", "accuracy"]])
def test_a_sampled_scan_is_complete_without_being_asked_for_steps(keys: list[str]) -> None:
    rows = training_rows(range(100))
    client = MemoryClient(HistoryBackend(rows))
    expected = [[row[key] for key in keys] for row in rows[:30] if all(key in row for key in keys)]
    theirs = [[row[key] for key in keys] for row in WandbSampledHistoryScan(client, RUN, keys, 0, 30, 10)]
    ours = [list(row.items()) for row in SampledHistoryScan(client, RUN, keys, 0, 30, 10)]
    assert repr(theirs) != repr(expected)
    assert repr([[value for _, value in row] for row in ours]) == repr(expected)
    assert {key for row in ours for key, _ in row} == set(keys)


def test_next_needs_no_iter() -> None:
    rows = service_rows(training_rows(range(10)))
    with pytest.raises(AttributeError):
        next(WandbBetaHistoryScan(FakeService(rows), RUN, 3, 10))
    assert next(BetaHistoryScan(FakeService(rows), RUN, 3, 10))["_step"] == 3


class StuckService(FakeService):
    """A service that lets go of a cleanup request only when told to; says which thread sent it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()
        self.waiting = threading.Event()
        self.threads: list[int] = []

    def answer(self, request: proto.ReadRunHistoryRequest) -> proto.ApiResponse:
        if request.HasField("scan_run_history_cleanup"):
            self.threads.append(threading.get_ident())
            self.waiting.set()
            assert self.may_answer.wait(timeout=30)
        return super().answer(request)


def test_collecting_a_scan_does_not_wait_for_the_service() -> None:
    def collect(scan_class: Any, service: StuckService) -> None:
        scan: list[Any] = [scan_class(service, RUN, 0, 10)]
        scan.append(scan)  # a cycle, so that the collector ends it
        del scan
        gc.collect()

    theirs = StuckService()
    collecting = threading.Thread(target=collect, args=(WandbBetaHistoryScan, theirs))
    collecting.start()
    assert theirs.waiting.wait(timeout=30)
    assert theirs.threads == [collecting.ident]
    assert collecting.is_alive()
    theirs.may_answer.set()
    collecting.join()

    ours = StuckService()
    collect(BetaHistoryScan, ours)  # returns though the service has not answered
    assert ours.waiting.wait(timeout=30)
    assert threading.get_ident() not in ours.threads
    ours.may_answer.set()
    assert cleanup.flush(timeout=30)
    assert ours.ended_scans == [7]


class OwnedService(FakeService):
    """A service whose connection belongs to one process: a request from another hangs, so it is reported instead."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self.owner = os.getpid()
        self.pipe = pipe

    def send_api_request(self, request: Any, timeout: float | None = None) -> Any:
        if os.getpid() != self.owner:
            os.write(self.pipe, b"used by a child;")
        return super().send_api_request(request, timeout)


@pytest.mark.parametrize(("scan_class", "seen"), [(WandbBetaHistoryScan, "used by a child;"), (BetaHistoryScan, "")])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_leaves_its_parents_connection_alone(scan_class: Any, seen: str) -> None:
    readable, writable = os.pipe()
    service = OwnedService(writable)
    scan = scan_class(service, RUN, 0, 10)
    child = os.fork()
    if child == 0:
        # Nothing of pytest may run in here.
        try:
            del scan
            gc.collect()
            cleanup.flush(timeout=30)
        finally:
            os._exit(0)
    os.close(writable)
    assert os.waitpid(child, 0)[1] == 0
    with os.fdopen(readable) as reports:
        assert reports.read() == seen
    assert service.ended_scans == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_ends_its_own_scans() -> None:
    readable, writable = os.pipe()
    kept = BetaHistoryScan(FakeService(), RUN, 0, 10)  # has started this process's thread
    child = os.fork()
    if child == 0:
        try:
            service = FakeService()
            BetaHistoryScan(service, RUN, 0, 10)
            gc.collect()
            if cleanup.flush(timeout=30):
                os.write(writable, str(service.ended_scans).encode())
        finally:
            os._exit(0)
    os.close(writable)
    assert os.waitpid(child, 0)[1] == 0
    with os.fdopen(readable) as reports:
        assert reports.read() == "[7]"
    del kept


EXITING = """
import atexit
from histscan.history import BetaHistoryScan
from tests.support.fake_service import FakeService
from tests.support.history_backend import RUN

class Reporting(FakeService):
    def send_api_request(self, request):
        answer = super().send_api_request(request)
        if self.ended_scans:
            {report}
        return answer

scan = BetaHistoryScan(Reporting(), RUN, 0, 10)
"""


def test_a_scan_alive_at_exit_is_ended_too() -> None:
    assert run_python(EXITING.format(report="print('ended', flush=True)")) == "ended"


def test_exit_waits_a_bounded_time_for_a_stuck_service() -> None:
    report = "import time; print('stuck', flush=True); time.sleep(3600)"
    assert run_python(EXITING.format(report=report)) == "stuck"


def test_a_scan_may_be_made_while_the_interpreter_exits() -> None:
    program = """
import atexit
from histscan.history import BetaHistoryScan
from tests.support.fake_service import FakeService
from tests.support.history_backend import RUN

atexit.register(lambda: print(list(BetaHistoryScan(FakeService([(3, [('_step', '3')])]), RUN, 0, 10)), flush=True))
"""
    assert run_python(program) == "[{'_step': 3}]"


def test_an_error_while_ending_a_scan_at_exit_is_silent() -> None:
    assert run_python(EXITING.format(report="print('failing', flush=True); raise OSError")) == "failing"


def test_an_idle_thread_keeps_no_service_alive() -> None:
    import weakref

    service = FakeService()
    alive = weakref.ref(service)
    BetaHistoryScan(service, RUN, 0, 10)
    gc.collect()
    assert cleanup.flush(timeout=30)
    del service
    gc.collect()
    assert alive() is None
