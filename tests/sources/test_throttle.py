"""An exceeded rate limit makes a client send fewer requests at once, and delays all of them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan.errors import HistoryRequestError
from histscan.history import HistoryScan
from histscan.sources import retry, throttle
from histscan.sources.client import Client
from histscan.sources.retry import RetryPolicy
from histscan.sources.throttle import Throttle
from tests.support.graphql_server import Answer, GraphQLServer, Received, answer_from
from tests.support.history_backend import RUN, HistoryBackend, row_texts, training_rows

PATIENCE = 30

BACKEND = HistoryBackend(training_rows(range(100)))


def test_requests_are_not_limited_before_the_server_says_so() -> None:
    requests = Throttle()
    tickets = [requests.enter(0.0) for _ in range(100)]
    for ticket in tickets:
        requests.leave(ticket, 200)
    assert requests.limit is None


def test_requests_that_fail_together_halve_the_limit_once() -> None:
    requests = Throttle()
    tickets = [requests.enter(0.0) for _ in range(8)]
    for ticket in tickets:
        requests.leave(ticket, 429)
    assert requests.limit == 4
    requests.leave(requests.enter(0.0), 429)
    assert requests.limit == 1
    requests.leave(requests.enter(0.0), 500)
    assert requests.limit == 1


def test_successes_raise_the_limit_until_there_is_none() -> None:
    requests = Throttle()
    requests.leave(requests.enter(0.0), 429)
    successes = 0
    while requests.limit is not None:
        limit = requests.limit
        for _ in range(limit):
            assert requests.limit == limit
            requests.leave(requests.enter(0.0), 200)
            successes += 1
    assert successes == sum(range(1, 16))


def test_a_request_waits_for_its_turn() -> None:
    requests = Throttle()
    requests.leave(requests.enter(0.0), 429)
    first = requests.enter(0.0)
    entered = threading.Event()

    def enter() -> None:
        requests.leave(requests.enter(0.0), 500)
        entered.set()

    second = threading.Thread(target=enter)
    second.start()
    assert not entered.is_set()
    requests.leave(first, None)
    assert entered.wait(PATIENCE)
    second.join()


def test_what_is_asked_of_one_request_holds_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    now = [1_000.0]

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(retry, "sleep", sleep)
    monkeypatch.setattr(throttle, "monotonic", lambda: now[0])
    requests = Throttle()
    until = requests.back_off(5.0)
    requests.leave(requests.enter(until), 200)
    assert waited == []
    now[0] += 2.0
    requests.leave(requests.enter(0.0), 200)
    assert waited == [3.0]
    requests.leave(requests.enter(0.0), 200)
    assert waited == [3.0]


def test_a_scan_asks_for_fewer_pages_at_once_after_a_full_rate_limit(server: GraphQLServer) -> None:
    whole = answer_from(BACKEND)
    together = threading.Barrier(4)
    lock = threading.Lock()
    under_way: list[int] = []
    numbers = {"asked": 0, "now": 0}

    def respond(request: Received) -> Answer:
        with lock:
            numbers["asked"] += 1
            is_early = numbers["asked"] <= 4
            if not is_early:
                numbers["now"] += 1
                under_way.append(numbers["now"])
        if is_early:
            together.wait(PATIENCE)
            return Answer(b"", 429, {"Retry-After": "0"})
        answer = whole(request)
        with lock:
            numbers["now"] -= 1
        return answer

    server.respond = respond
    client = Client(server.url)
    assert row_texts(HistoryScan(client, RUN, 0, 100, 10, prefetch=4)) == row_texts(BACKEND.rows)
    assert len(server.received) == 4 + 10
    # The server counts before the client has the answer, so one request may have just ended.
    assert max(under_way[:2]) <= 2


@pytest.mark.parametrize("prefetch", [0, 4])
def test_a_page_is_not_asked_for_more_often_than_the_client_says(
    server: GraphQLServer, monkeypatch: pytest.MonkeyPatch, prefetch: int
) -> None:
    monkeypatch.setattr(retry, "pause", None)
    monkeypatch.setattr("histscan.sources.client.pause", lambda seconds: None)
    server.respond = lambda request: Answer(b"", 503)
    with pytest.raises(HistoryRequestError, match=r"tried 3 times.*page \[0, 10\)"):
        next(HistoryScan(Client(server.url, retries=2), RUN, 0, 10, 10, prefetch=prefetch))
    assert len(server.received) == 3


@given(chance=st.floats(0.0, 1.0, exclude_max=True), attempt=st.integers(0, 3))
def test_waits_are_spread_by_chance(chance: float, attempt: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "random", lambda: chance)
        wait: Any = RetryPolicy(first_wait=1.0).wait_after_failure(attempt)
        assert 0.5 * 2.0**attempt <= wait <= 2.0**attempt
        assert wait == 2.0**attempt * (0.5 + 0.5 * chance)
        assert RetryPolicy().wait_after_status(attempt, 429, {"Retry-After": "7"}) == 7.0
