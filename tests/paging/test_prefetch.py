"""Prefetching: the rows, errors and order of a scan without it, in whatever order answers arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gql
import pytest
from gql.transport.requests import RequestsHTTPTransport
from hypothesis import given
from hypothesis import strategies as st

from histscan.errors import HistoryDeadlineError, HistoryDecodeError, HistoryRequestError
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from histscan.paging.options import PIPELINED_GRAPHQL, PagingOptions, ScanProgress
from histscan.sources.client import Client
from tests.support.fake_service import FakeService, service_rows
from tests.support.graphql_server import Answer, GraphQLServer, Received, answer_from
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient, collect, row_texts, training_rows
from tests.support.prefetching import (
    BACKEND,
    PATIENCE,
    Gate,
    assert_threads_end,
    fetching_threads,
    first_step,
)
from tests.support.retrying_client import retrying_client
from tests.support.terminals import Terminal, draw_at_once

pytestmark = pytest.mark.usefixtures("nothing_is_left")


class OrderedClient(MemoryClient):
    """Answers pages in another order than they were requested; the first is answered at once.

    Args:
        backend: What answers.
        page_size: Steps of a page.
        orders: For the pages after the first, in groups of as many as are under way at once: the order of the answers.
    """

    def __init__(self, backend: HistoryBackend, page_size: int, orders: list[list[int]]) -> None:
        super().__init__(backend)
        self._page_size = page_size
        self._answered: dict[int, threading.Event] = {0: threading.Event()}
        self._waits_for: dict[int, int] = {}
        first = 1
        for order in orders:
            pages = [first + place for place in order]
            self._answered |= {page: threading.Event() for page in pages}
            self._waits_for |= dict(zip(pages[1:], pages, strict=False))
            first += len(order)
        self.answered: list[int] = []

    def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
        page = first_step(variable_values) // self._page_size
        if page in self._waits_for:
            assert self._answered[self._waits_for[page]].wait(PATIENCE)
        answer = super().execute(document, variable_values)
        self.answered.append(page)
        self._answered[page].set()
        return answer


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    prefetch = draw(st.integers(1, 6))
    groups = draw(st.integers(0, 4))
    return prefetch, [draw(st.permutations(range(prefetch))) for _ in range(groups)]


Make = Callable[..., Any]


def history_scan(client: Any, *arguments: Any, **options: Any) -> Any:
    return HistoryScan(client, RUN, *arguments, **options)


def sampled_scan(client: Any, *arguments: Any, **options: Any) -> Any:
    return SampledHistoryScan(client, RUN, ["loss"], *arguments, **options)


MAKES = pytest.mark.parametrize("make", [history_scan, sampled_scan])


@MAKES
@given(arrival=arrivals())
def test_rows_come_in_order_whatever_the_order_of_the_answers(make: Make, arrival: tuple[int, list[list[int]]]) -> None:
    prefetch, orders = arrival
    page_size = 3
    steps = page_size * (1 + sum(map(len, orders)))
    backend = HistoryBackend(training_rows(range(steps)))
    client = OrderedClient(backend, page_size, orders)
    plain = MemoryClient(backend)
    assert row_texts(make(client, 0, steps, page_size, prefetch=prefetch)) == row_texts(
        make(plain, 0, steps, page_size)
    )
    assert sorted(client.requests, key=lambda request: first_step(request[1])) == plain.requests
    first = 1
    for order in orders:
        group = [page for page in client.answered if first <= page < first + len(order)]
        assert group == [first + place for place in order]
        first += len(order)


@MAKES
@given(prefetch=st.integers(1, 5), failing=st.integers(0, 9), malformed=st.integers(0, 99))
def test_an_error_comes_where_it_would_without_prefetching(
    make: Make, prefetch: int, failing: int, malformed: int
) -> None:
    class Failing(MemoryClient):
        is_failing = True

        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            if self.is_failing and first_step(variable_values) == failing * 10:
                raise HistoryRequestError("the server is having its lunch")
            return super().execute(document, variable_values)

    backend = HistoryBackend(training_rows(range(100)), row_texts={malformed: "{oops"})

    def scan(ahead: int) -> list[Any]:
        client = Failing(backend)
        scan = make(client, 0, 100, 10, prefetch=ahead)
        seen: list[Any] = []
        for _ in range(2):
            with pytest.raises((HistoryRequestError, HistoryDecodeError)) as failure:
                collect(scan, seen)
            seen.append(str(failure.value))
            with pytest.raises((HistoryRequestError, HistoryDecodeError)) as again:
                next(scan)
            seen.append(str(again.value))
        client.is_failing = False
        try:
            while True:
                seen.append(next(scan))
        except (StopIteration, HistoryDecodeError) as end:
            seen.append(str(end))
        return row_texts(seen)

    assert scan(prefetch) == scan(0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, StopIteration, SystemExit])
def test_a_clients_own_exceptions_pass(error: type[BaseException]) -> None:
    class Broken:
        def execute(self, document: Any, variable_values: Any) -> Any:
            raise error("mine")

    with pytest.raises(error, match="mine"):
        HistoryScan(Broken(), RUN, 0, 9, prefetch=2)._load_next()


@MAKES
@pytest.mark.parametrize("window", ["fixed", "adaptive"])
def test_an_only_page_is_fetched_without_a_thread(make: Make, window: Any) -> None:
    class Watched(MemoryClient):
        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            asking.append(threading.current_thread())
            return super().execute(document, variable_values)

    asking: list[threading.Thread] = []
    backend = HistoryBackend(training_rows(range(10)))
    scan = make(Watched(backend), 0, 10, 10, prefetch=8, window=window)
    assert row_texts(scan) == row_texts(make(MemoryClient(backend), 0, 10, 10))
    assert asking == [threading.current_thread()]
    asking.clear()
    scan = make(Watched(backend), 0, 10, 9, prefetch=8, window=window)
    assert len(list(scan)) == 10
    assert len(asking) == 2
    assert threading.current_thread() not in asking


def test_malformed_rows_of_a_sampled_page_come_last(server: GraphQLServer) -> None:
    def respond(request: Received) -> Answer:
        first = first_step(request.payload["variables"])
        rows = [b'{"loss": %d, "_step": %d}' % (step, step) for step in range(first, first + 10)]
        if first == 10:
            rows[3] = b'{"loss": oops}'
        return Answer(b'{"data": {"project": {"run": {"sampledHistory": [[' + b",".join(rows) + b"]]}}}}")

    server.respond = respond
    scan = SampledHistoryScan(Client(server.url, retries=0), RUN, ["loss"], 0, 40, 10, prefetch=3)
    for _ in range(2):
        delivered: list[Any] = []
        with pytest.raises(HistoryDecodeError, match=r"page \[10, 20\), row 3"):
            collect(scan, delivered)
        assert delivered == [{"loss": step} for step in range(13)]


@MAKES
@pytest.mark.parametrize("prefetch", [1, 2, 5])
def test_no_more_pages_than_were_allowed_are_fetched_ahead(make: Make, prefetch: int) -> None:
    client = MemoryClient(BACKEND)
    scan = make(client, 0, 200, 10, prefetch=prefetch)
    assert client.requests == []
    assert fetching_threads() == []
    for row in range(200):
        next(scan)
        assert_threads_end()
        assert len(client.requests) == min(20, row // 10 + 1 + prefetch)
    with pytest.raises(StopIteration):
        next(scan)
    assert len(client.requests) == 20


def test_that_many_pages_are_fetched_at_once(server: GraphQLServer) -> None:
    together = threading.Barrier(5)
    whole = answer_from(BACKEND)

    def respond(request: Received) -> Answer:
        together.wait(PATIENCE)
        return whole(request)

    server.respond = respond
    assert row_texts(HistoryScan(Client(server.url), RUN, 0, 200, 10, prefetch=5)) == row_texts(BACKEND.rows)


def test_plain_scans_use_no_thread() -> None:
    used: set[int] = set()

    class Noting(MemoryClient):
        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            used.add(threading.get_ident())
            return super().execute(document, variable_values)

    assert len(list(HistoryScan(Noting(BACKEND), RUN, 0, 200, 10))) == 200
    assert used == {threading.get_ident()}


@pytest.mark.parametrize("prefetch", [1, 4])
def test_wandbs_client_may_be_asked_by_several_threads(server: GraphQLServer, prefetch: int) -> None:
    server.respond = answer_from(BACKEND)
    scan = HistoryScan(retrying_client(server.url), RUN, 0, 200, 10, prefetch=prefetch)
    assert row_texts(scan) == row_texts(BACKEND.rows)
    assert len(server.received) == 20


def test_a_client_of_gql_is_asked_for_one_page_at_a_time(server: GraphQLServer) -> None:
    server.respond = answer_from(BACKEND)
    client = gql.Client(transport=RequestsHTTPTransport(f"{server.url}/graphql"))
    assert row_texts(HistoryScan(client, RUN, 0, 200, 10, prefetch=4)) == row_texts(BACKEND.rows)
    assert [first_step(request.payload["variables"]) for request in server.received] == list(range(0, 200, 10))


# A wandb service


class CheckedService(FakeService):
    """Counts concurrent requests."""

    def __init__(self, rows: Any) -> None:
        super().__init__(rows)
        self._asking = threading.Semaphore(1)

    def send_api_request(self, request: Any, timeout: float | None = None) -> Any:
        assert self._asking.acquire(blocking=False), "two requests at once"
        try:
            return super().send_api_request(request, timeout)
        finally:
            self._asking.release()


@pytest.mark.parametrize("prefetch", [1, 3])
def test_a_service_is_asked_for_one_page_at_a_time_in_order(prefetch: int) -> None:
    rows = training_rows(range(100))
    service = CheckedService(service_rows(rows))
    scan = BetaHistoryScan(service, RUN, 0, 100, None, 10, prefetch=prefetch)
    assert service.windows == []
    seen = []
    for row in scan:
        seen.append(row)
        assert_threads_end()
        assert len(service.windows) == min(10, (len(seen) + 9) // 10 + prefetch)
    assert row_texts(seen) == row_texts(rows)
    assert service.windows == [(first, first + 10) for first in range(0, 100, 10)]


def test_rows_of_a_service_may_be_converted_in_ones_own_way() -> None:
    class Keys(BetaHistoryScan):
        @staticmethod
        def _convert_history_row_to_dict(history_row: Any) -> dict[str, Any]:
            return {item.key: item.value_json for item in history_row.history_items}

    service = FakeService([(step, [("loss", str(step))]) for step in range(5)])
    assert list(Keys(service, RUN, 0, 5, None, 2, prefetch=1)) == [{"loss": str(step)} for step in range(5)]


def test_an_error_of_a_service_comes_at_its_page() -> None:
    class Failing(FakeService):
        def answer(self, request: Any) -> Any:
            answer = super().answer(request)
            if request.scan_run_history.min_step == 20:
                answer.api_error_response.message = "the file is gone"
            return answer

    scan = BetaHistoryScan(Failing(service_rows(training_rows(range(50)))), RUN, 0, 50, None, 10, prefetch=1)
    for _ in range(2):
        delivered: list[Any] = []
        with pytest.raises(HistoryRequestError, match=r"the file is gone.*page \[20, 30\)"):
            collect(scan, delivered)
        assert len(delivered) == 20


# Subclasses


def test_a_subclass_may_load_pages_in_its_own_way() -> None:
    class Countdown(HistoryScan):
        def _load_next(self) -> None:
            self.rows = [{"_step": self.page_offset}]
            self.page_offset += self.page_size
            self.scan_offset = 0

    client = MemoryClient(BACKEND)
    assert list(Countdown(client, RUN, 0, 30, 10, prefetch=3)) == [{"_step": 0}, {"_step": 10}, {"_step": 20}]
    assert client.requests == []


def test_a_subclass_may_change_pages_once_loaded() -> None:
    class Marked(HistoryScan):
        def _load_next(self) -> None:
            super()._load_next()
            self.rows = [{"step": row["_step"]} for row in self.rows]

    scan = Marked(MemoryClient(BACKEND), RUN, 0, 50, 10, prefetch=3)
    assert list(scan) == [{"step": step} for step in range(50)]


def test_a_class_may_have_other_defaults() -> None:
    class Pipelined(HistoryScan):
        paging = PIPELINED_GRAPHQL

    client = MemoryClient(BACKEND)
    next(Pipelined(client, RUN, 0, 200, 10))
    assert_threads_end()
    assert len(client.requests) == 1 + PIPELINED_GRAPHQL.prefetch
    next(Pipelined(client, RUN, 0, 200, 10, prefetch=0))
    assert len(client.requests) == 2 + PIPELINED_GRAPHQL.prefetch


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"prefetch": -1}, "prefetch"), ({"window": "wide"}, "window"), ({"deadline": 0}, "deadline")],
)
def test_refuses_options_out_of_their_range(options: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        HistoryScan(MemoryClient(BACKEND), RUN, 0, 10, **options)
    with pytest.raises(ValueError, match=complaint):
        PagingOptions(**options)


def test_columns_are_those_of_a_plain_scan() -> None:
    plain = HistoryScan(MemoryClient(BACKEND), RUN, 0, 200, 10).to_arrow()
    ahead = HistoryScan(MemoryClient(BACKEND), RUN, 0, 200, 10, prefetch=4).to_arrow()
    assert ahead.schema == plain.schema
    assert row_texts(ahead.to_pylist()) == row_texts(plain.to_pylist())


# Deadlines


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_page_that_does_not_come_in_time(server: GraphQLServer, gate: Gate, prefetch: int) -> None:
    scan = HistoryScan(Client(server.url), RUN, 0, 30, 10, prefetch=prefetch, deadline=PATIENCE)
    for _ in range(10):
        next(scan)
    scan.options = PagingOptions(prefetch=prefetch, deadline=0.001)
    with pytest.raises(HistoryDeadlineError, match=r"deadline of 0\.001 s.*run team/vision/a1b2c3d4, page \[10, 20\)"):
        next(scan)
    assert isinstance(HistoryDeadlineError("late"), TimeoutError)
    assert_threads_end()
    gate.is_open.set()
    scan.options = PagingOptions(prefetch=prefetch, deadline=PATIENCE)
    assert next(scan)["_step"] == 10
    assert len(list(scan)) == 30


# Progress


@pytest.mark.parametrize("prefetch", [0, 3])
def test_progress_is_told_with_each_page(prefetch: int) -> None:
    told: list[ScanProgress] = []
    client = MemoryClient(HistoryBackend(training_rows(range(0, 40, 2))))
    scan = HistoryScan(client, RUN, 5, 38, 10, prefetch=prefetch, progress=told.append)
    assert told == []
    for _ in range(2):
        assert len(list(scan)) == 16
        assert told == [
            ScanProgress(5, 15, 38, 5, 1),
            ScanProgress(5, 25, 38, 10, 2),
            ScanProgress(5, 35, 38, 15, 3),
            ScanProgress(5, 38, 38, 16, 4),
        ]
        told.clear()


def test_the_bar_shows_steps_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_at_once(monkeypatch)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    scan = HistoryScan(MemoryClient(BACKEND), RUN, 100, 130, 10, progress=True)
    assert len(list(scan)) == 30
    shown = [line.partition("| ")[2].partition(" [")[0] for line in terminal.lines() if line.strip()]
    assert shown[-3:] == ["10/30 steps", "20/30 steps", "30/30 steps"]
    assert terminal.lines()[-1].strip() == ""
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    next(iter(scan))
    assert "10/30 steps" in terminal.lines()[-1]
    del scan
    assert terminal.lines()[-1].strip() == ""


def test_an_error_of_the_progress_function_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        next(HistoryScan(MemoryClient(BACKEND), RUN, 0, 30, 10, progress=lambda told: 1 // 0))
