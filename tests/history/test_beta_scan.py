"""BetaHistoryScan returns the rows of wandb 0.26.1's class, from the same service."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb.apis.public.history import BetaHistoryScan as WandbBetaHistoryScan
from wandb.apis.public.service_api import ServiceApi
from wandb.proto import wandb_api_pb2, wandb_server_pb2
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from histscan import proto
from histscan.errors import HistoryDecodeError, HistoryRequestError, ResponseShapeError
from histscan.history import BetaHistoryScan
from histscan.sources import cleanup
from tests.support.fake_service import FakeService, service_rows
from tests.support.history_backend import RUN, collect, row_texts, training_rows
from tests.support.prefetching import PATIENCE

ROWS = service_rows(training_rows(range(2_345)))


class WandbService(ServiceApi):  # type: ignore[misc]
    """wandb's own `ServiceApi`, connected to a fake service."""

    def __init__(self, service: FakeService) -> None:
        self._service = service
        self._api_id = "api-1"

    def _get_service_connection(self) -> Any:
        return self

    def api_request(self, request: Any, timeout: float | None = None) -> Any:
        assert request.api_id == "api-1"
        # The connection's envelope, which only takes wandb's own classes.
        return self._service.send_api_request(wandb_server_pb2.ServerRequest(api_request=request).api_request)


@pytest.fixture(autouse=True)
def _no_scans_left() -> Iterator[None]:
    """Ends each test with its scans collected, so that none ends within another test."""
    yield
    gc.collect()
    assert cleanup.flush(timeout=10)


@pytest.mark.parametrize("kind", ["wandb's", "histscan's messages", "histscan's raw messages"])
def test_rows_and_requests_are_those_of_wandb(kind: str) -> None:
    for arguments in ((0, 2_345), (100, 1_100), (100, 1_101, ["loss", "_step"], 500), (7, 8, None, 1), (0, 0), (9, 4)):
        theirs = FakeService(ROWS)
        ours = FakeService(ROWS, raw_pages="raw" in kind)
        our_scan = BetaHistoryScan(WandbService(ours) if kind == "wandb's" else ours, RUN, *arguments)
        their_scan = WandbBetaHistoryScan(theirs, RUN, *arguments)
        assert row_texts(our_scan) == row_texts(their_scan)
        assert ours.requests == theirs.requests


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("keys", [None, [], ["loss", "_step"]])
def test_the_first_request_is_that_of_wandb(keys: list[str] | None, use_cache: bool) -> None:
    ours, theirs = FakeService(), FakeService()
    arguments: dict[str, Any] = {"run": RUN, "min_step": 1, "max_step": 2, "keys": keys, "use_cache": use_cache}
    our_scan = BetaHistoryScan(service_api=ours, **arguments)
    their_scan = WandbBetaHistoryScan(service_api=theirs, **arguments)
    assert ours.requests == theirs.requests
    assert our_scan._scan_request_id == their_scan._scan_request_id == 7


@given(
    steps=st.sets(st.integers(0, 300)),
    min_step=st.integers(0, 300),
    max_step=st.integers(0, 320),
    page_size=st.integers(1, 120),
)
def test_every_row_of_the_steps_comes_once(steps: set[int], min_step: int, max_step: int, page_size: int) -> None:
    rows = training_rows(sorted(steps))
    scan = BetaHistoryScan(FakeService(service_rows(rows)), RUN, min_step, max_step, None, page_size)
    assert row_texts(scan) == row_texts(row for row in rows if min_step <= row["_step"] < max_step)


def test_attributes_are_those_of_wandb() -> None:
    ours: Any = BetaHistoryScan(FakeService(ROWS), RUN, 5, 2_000, ["loss"], 10)
    theirs: Any = WandbBetaHistoryScan(FakeService(ROWS), RUN, 5, 2_000, ["loss"], 10)
    names = ("run", "keys", "page_size", "min_step", "_stop_step", "max_step", "scan_offset", "_scan_request_id")
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    assert ours.rows == theirs.rows == []
    assert issubclass(BetaHistoryScan, Iterator)
    assert iter(ours) is ours
    iter(theirs)
    for _ in range(13):
        assert repr(next(ours)) == repr(next(theirs))
        assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
        assert ours.page_offset == theirs.page_offset
        assert row_texts(ours.rows) == row_texts(theirs.rows)
    assert not hasattr(ours, "next")


def test_iter_starts_over_on_the_same_scan_of_the_service() -> None:
    service = FakeService(ROWS)
    scan = BetaHistoryScan(service, RUN, 0, 30, None, 10)
    for _, row in zip(range(12), scan, strict=False):
        assert row["_step"] < 12
    assert service.windows == [(0, 10), (10, 20)]
    assert [row["_step"] for row in scan] == list(range(30))
    assert len(service.history_requests("scan_run_history_init")) == 1


@pytest.mark.parametrize("raw_pages", [True, False])
def test_a_subclass_may_convert_rows_in_its_own_way(raw_pages: bool) -> None:
    class Keys(BetaHistoryScan):
        @staticmethod
        def _convert_history_row_to_dict(history_row: Any) -> dict[str, Any]:
            return {item.key: item.value_json for item in history_row.history_items}

    scan = Keys(FakeService([(0, [("loss", "1.50")])], raw_pages=raw_pages), RUN, 0, 1)
    assert list(scan) == [{"loss": "1.50"}]


def test_a_subclass_may_build_on_the_conversion() -> None:
    class Marked(BetaHistoryScan):
        @staticmethod
        def _convert_history_row_to_dict(history_row: Any) -> dict[str, Any]:
            return BetaHistoryScan._convert_history_row_to_dict(history_row) | {"mark": True}

    assert list(Marked(FakeService([(0, [("loss", "1.50")])]), RUN, 0, 1)) == [{"loss": 1.5, "mark": True}]


def test_one_scans_own_conversion_is_used() -> None:
    scan: Any = BetaHistoryScan(FakeService([(0, [("loss", "1.50")])]), RUN, 0, 1)
    scan._convert_history_row_to_dict = lambda row: {"items": len(row.history_items)}
    assert list(scan) == [{"items": 1}]


@pytest.mark.parametrize("messages", [proto, wandb_api_pb2], ids=["histscan's", "wandb's"])
def test_converts_a_row_of_either_family(messages: Any) -> None:
    texts = {"loss": "NaN", "n": "123456789012345678901", "nested": '{"a":[1,{"b":null}]}', "": '"é"'}
    items = [messages.ParquetHistoryItem(key=key, value_json=text) for key, text in texts.items()]
    row = messages.HistoryRow(history_items=items)
    expected = {key: json.loads(text) for key, text in texts.items()}
    assert repr(BetaHistoryScan._convert_history_row_to_dict(row)) == repr(expected)


def test_a_subclass_may_load_pages_in_its_own_way() -> None:
    class Countdown(BetaHistoryScan):
        def _load_next(self) -> None:
            self.rows = [{"_step": self.page_offset}]
            self.page_offset += self.page_size
            self.scan_offset = 0

    assert list(Countdown(FakeService(), RUN, 0, 30, None, 10)) == [{"_step": 0}, {"_step": 10}, {"_step": 20}]


def test_rows_before_a_malformed_one_are_delivered() -> None:
    rows = service_rows(training_rows(range(20)))
    rows[13] = (13, [("loss", "1.5"), ("note", '"open')])
    scan = BetaHistoryScan(FakeService(rows), RUN, 0, 20, None, 10)
    for _ in range(2):
        delivered: list[Any] = []
        with pytest.raises(HistoryDecodeError, match=r"run team/vision/a1b2c3d4, page \[10, 20\), row 3.*\$\.note"):
            collect(scan, delivered)
        assert [row["_step"] for row in delivered] == list(range(13))


class Answering:
    """A service that starts a scan, and then always returns the same answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.started = False

    def send_api_request(self, request: Any) -> Any:
        if request.read_run_history_request.HasField("scan_run_history_init") and not self.started:
            self.started = True
            started = proto.ScanRunHistoryInitResponse(request_id=1)
            return proto.ApiResponse(read_run_history_response={"scan_run_history_init": started})
        return self.answer


def test_says_when_the_service_reports_an_error() -> None:
    answer = proto.ApiResponse(api_error_response=proto.ApiErrorResponse(message="scan not initialized"))
    scan = BetaHistoryScan(Answering(answer), RUN, 0, 10)
    with pytest.raises(HistoryRequestError, match=r"scan not initialized.*run team/vision/a1b2c3d4, page \[0, 10\)"):
        next(scan)
    refused = Answering(answer)
    refused.started = True
    with pytest.raises(HistoryRequestError, match=r"scan not initialized.*run team/vision/a1b2c3d4"):
        BetaHistoryScan(refused, RUN, 0, 10)


@pytest.mark.parametrize(
    "answer",
    [
        proto.ApiResponse(),
        proto.ApiResponse(read_run_history_response={}),
        proto.ApiResponse(read_run_history_response={"scan_run_history_cleanup": {}}),
    ],
    ids=["nothing", "empty", "another"],
)
def test_says_when_the_service_answers_something_else(answer: Any) -> None:
    scan = BetaHistoryScan(Answering(answer), RUN, 0, 10)
    with pytest.raises(ResponseShapeError, match=r"`run_history`.*run team/vision/a1b2c3d4, page \[0, 10\)"):
        next(scan)


def test_a_services_own_exceptions_pass() -> None:
    class Failing(FakeService):
        def answer(self, request: proto.ReadRunHistoryRequest) -> proto.ApiResponse:
            if request.HasField("scan_run_history"):
                raise WandbApiFailedError("no service")
            return super().answer(request)

    for service in (Failing(), WandbService(Failing())):
        with pytest.raises(WandbApiFailedError, match=r"^no service$"):
            next(BetaHistoryScan(service, RUN, 0, 10))


def test_goes_on_after_an_error() -> None:
    class Moody(FakeService):
        failures = 2

        def answer(self, request: proto.ReadRunHistoryRequest) -> proto.ApiResponse:
            if request.scan_run_history.min_step == 10 and self.failures:
                self.failures -= 1
                raise ConnectionError
            return super().answer(request)

    scan = BetaHistoryScan(Moody(ROWS), RUN, 0, 30, None, 10)
    assert [next(scan)["_step"] for _ in range(10)] == list(range(10))
    for _ in range(2):
        with pytest.raises(ConnectionError):
            next(scan)
    assert next(scan)["_step"] == 10
    assert [row["_step"] for row in scan] == list(range(30))


@pytest.mark.parametrize("wandbs", [True, False])
def test_the_services_resources_are_freed_once_a_scan_is_gone(wandbs: bool) -> None:
    service = FakeService(ROWS)
    scan = BetaHistoryScan(WandbService(service) if wandbs else service, RUN, 0, 10)
    next(scan)
    assert service.ended_scans == []
    del scan
    gc.collect()
    assert cleanup.flush(timeout=10)
    assert service.ended_scans == [7]


def test_the_resources_of_many_scans_are_freed_without_a_flush() -> None:
    service = FakeService(ROWS)
    for _ in range(30):
        next(BetaHistoryScan(service, RUN, 0, 10))
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    while len(service.ended_scans) < 30:
        assert time.monotonic() < deadline, f"only {len(service.ended_scans)} of 30 scans were ended"
        time.sleep(0.01)
    next(BetaHistoryScan(service, RUN, 0, 10))
    gc.collect()
    assert cleanup.flush(timeout=PATIENCE)
    assert service.ended_scans == [7] * 31


def test_a_subclass_may_clean_up_in_its_own_way() -> None:
    ended = []

    class Tidy(BetaHistoryScan):
        @staticmethod
        def cleanup(service_api: Any, request_id: int) -> None:
            ended.append((service_api, request_id))

    service = FakeService(ROWS)
    Tidy(service, RUN, 0, 10)
    gc.collect()
    assert cleanup.flush(timeout=10)
    assert ended == [(service, 7)]
    assert service.ended_scans == []


def test_cleanup_can_be_called_and_forgives_a_closed_connection() -> None:
    from wandb.sdk.mailbox.mailbox import MailboxClosedError

    service = FakeService()
    BetaHistoryScan.cleanup(service, 5)
    assert service.ended_scans == [5]

    class Closed:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def send_api_request(self, request: Any) -> Any:
            raise self.error

    BetaHistoryScan.cleanup(Closed(ConnectionResetError()), 5)
    BetaHistoryScan.cleanup(Closed(MailboxClosedError()), 5)
    with pytest.raises(ZeroDivisionError):
        BetaHistoryScan.cleanup(Closed(ZeroDivisionError()), 5)


@pytest.mark.parametrize("page_size", [0, -1])
def test_refuses_pages_that_never_advance(page_size: int) -> None:
    service = FakeService()
    with pytest.raises(ValueError, match="page_size must be at least 1"):
        BetaHistoryScan(service, RUN, 0, 10, None, page_size)
    assert service.requests == []
