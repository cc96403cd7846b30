"""wandb-core frees a scan's resources once the scan is collected, and garbage collection never blocks."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from wandb.apis import public

from histscan.installing.installation import installed
from histscan.sources import cleanup
from histscan.sources.service import read_page
from tests.matrix.conftest import Open
from tests.matrix.outcomes import ASKS_SERVICE, METHODS, RELEASE

SERVER = "complete"

pytestmark = pytest.mark.skipif(not ASKS_SERVICE, reason="this release does not have wandb-core read history")


class Sent:
    """The requests for cleanup that were made.

    Attributes:
        scans: The numbers of the scans that they were for.
        threads: The threads that made them.
        may_go_on: Cleared to have them wait.
    """

    def __init__(self) -> None:
        self.scans: list[int] = []
        self.threads: set[threading.Thread] = set()
        self.may_go_on = threading.Event()
        self.may_go_on.set()


@pytest.fixture
def sent() -> Iterator[Sent]:
    """The cleanup requests that wandb's service gets during the test."""
    if RELEASE < (0, 25, 1):
        service, name = public.Api, "_send_api_request"
    else:
        from wandb.apis.public.service_api import ServiceApi

        service, name = ServiceApi, "send_api_request"
    send = getattr(service, name)
    seen = Sent()

    def spy(self: Any, request: Any, *arguments: Any, **options: Any) -> Any:
        history = request.read_run_history_request
        if history.HasField("scan_run_history_cleanup"):
            seen.scans.append(history.scan_run_history_cleanup.request_id)
            seen.threads.add(threading.current_thread())
            assert seen.may_go_on.wait(timeout=30)
        return send(self, request, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, name, spy)
        yield seen


def started_scan(open_run: Open) -> Any:
    """Makes a scan of ours that has reached its second page."""
    # No prefetch: it would send requests at the same time as the test.
    with installed(prefetch=0):
        scan = iter(getattr(open_run("mixed"), METHODS[-1])(page_size=100))
    for _ in range(150):
        next(scan)
    return scan


def service_of(scan: Any) -> Any:
    return scan._api if hasattr(scan, "_api") else scan._service_api


def test_a_collected_scan_is_freed_once(open_run: Open, sent: Sent) -> None:
    scan = started_scan(open_run)
    service, number = service_of(scan), scan._scan_request_id
    assert len(read_page(service, number, 0, 100).history_rows) == 100
    del scan
    gc.collect()
    assert cleanup.flush(timeout=10)
    assert sent.scans == [number]
    with pytest.raises(Exception, match=r"not initialized|not found|no .*scan"):
        read_page(service, number, 0, 100)


def test_collection_does_not_block(open_run: Open, sent: Sent) -> None:
    sent.may_go_on.clear()
    scans = [started_scan(open_run) for _ in range(3)]
    numbers = [scan._scan_request_id for scan in scans]
    # Each scan is in a reference cycle, so that the garbage collector frees it.
    for scan in scans:
        scan.itself = scan
    del scan, scans
    gc.collect()
    # The request is still blocked, and this thread is not.
    assert not sent.may_go_on.is_set()
    sent.may_go_on.set()
    assert cleanup.flush(timeout=10)
    assert sorted(sent.scans) == sorted(numbers)
    assert threading.main_thread() not in sent.threads


def test_only_the_process_that_made_a_scan_cleans_it_up(open_run: Open, sent: Sent) -> None:
    scan = started_scan(open_run)
    number = scan._scan_request_id
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            del scan
            gc.collect()
            cleanup.flush(timeout=10)
            os.write(writer, b"%d sent" % len(sent.scans))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"0 sent"
    assert os.waitpid(child, 0) == (child, 0)
    assert next(scan)["_step"] == 150
    assert sent.scans == []
    del scan
    gc.collect()
    assert cleanup.flush(timeout=10)
    assert sent.scans == [number]
