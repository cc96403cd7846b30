"""histscan.Client: which requests are retried, after which wait, and the errors of those that are not."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from histscan.errors import HistoryRequestError
from histscan.sources import retry
from histscan.sources.client import Client
from tests.support.client_answers import KEY, OK, QUERY, in_turn
from tests.support.graphql_server import (
    Answer,
    GraphQLServer,
    Received,
    serving,
)

HEADERS_OF_WAITS = ("Retry-After", "RateLimit-Reset", "RateLimit-Remaining")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 522, 524, 525, 530])
def test_busy_or_failing_servers_are_retried(server: GraphQLServer, waits: list[float], status: int) -> None:
    server.respond = in_turn(Answer(b"", status), Answer(b"", status), OK)
    assert Client(server.url, KEY).execute(QUERY) == {"viewer": {"id": "me"}}
    assert waits == [0.5, 1.0]


@pytest.mark.parametrize(("status", "advice"), [(429, "rate limit is exceeded"), (500, "try again later")])
def test_retries_are_limited(server: GraphQLServer, waits: list[float], status: int, advice: str) -> None:
    server.respond = lambda request: Answer(b"", status)
    with pytest.raises(HistoryRequestError, match=rf"HTTP {status}: .*{advice}.* \(tried 5 times\)"):
        Client(server.url, KEY).execute(QUERY)
    assert waits == [0.5, 1.0, 2.0, 4.0]
    server.received.clear()
    with pytest.raises(HistoryRequestError, match=f"HTTP {status}"):
        Client(server.url, KEY, retries=0).execute(QUERY)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.25"}, 0.25),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "3", "Retry-After": "9"}, 3.0),
        ({"RateLimit-Remaining": "5", "RateLimit-Reset": "3", "Retry-After": "9"}, 9.0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "soon"}, 0.5),
        ({"Retry-After": "-3"}, 0.5),
        ({"Retry-After": "nan"}, 0.5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 99999 07:28:00 GMT"}, 0.5),
        ({"Retry-After": "Wed, 99 Oct 2015 99:99:99 +99999999999999999999"}, 0.0),
        ({"Retry-After": "a while"}, 0.5),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "1700000003"}, 3.0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "1700000003.5"}, 3.5),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "1700000003500"}, 3.5),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "1600000000"}, 0.0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "", "Retry-After": "2"}, 2.0),
    ],
)
def test_waits_as_long_as_the_server_asks(
    server: GraphQLServer,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    wait: float,
) -> None:
    monkeypatch.setattr(retry, "time", lambda: 1_700_000_000.0)
    server.respond = in_turn(Answer(b"", 429, headers), OK)
    Client(server.url, KEY).execute(QUERY)
    assert waits == [wait]


def test_waits_until_a_date(server: GraphQLServer, waits: list[float]) -> None:
    server.respond = in_turn(Answer(b"", 503, {"Retry-After": formatdate(time.time() + 50, usegmt=True)}), OK)
    Client(server.url, KEY).execute(QUERY)
    assert 0 < waits[0] <= 50


@pytest.mark.parametrize(
    "asked", ["86400", "inf", pytest.param(formatdate(time.time() + 86_400, usegmt=True), id="date a day ahead")]
)
def test_long_waits_are_errors(server: GraphQLServer, waits: list[float], asked: str) -> None:
    server.respond = lambda request: Answer(b"", 429, {"Retry-After": asked})
    with pytest.raises(HistoryRequestError, match="HTTP 429"):
        Client(server.url, KEY).execute(QUERY)
    assert waits == []


@given(header=st.text(st.characters(min_codepoint=32, max_codepoint=255)), name=st.sampled_from(HEADERS_OF_WAITS))
@example(header="Wed, 21 Oct 99999 07:28:00 GMT", name="Retry-After")
def test_no_header_of_a_wait_is_an_error(header: str, name: str) -> None:
    wait = retry.requested_wait({"RateLimit-Remaining": "0", name: header})
    assert wait is None or wait >= 0.0


@pytest.mark.parametrize(("reset", "said"), [("1700000900", "900 s"), ("900", "900 s"), ("inf", "a while")])
def test_says_how_long_to_wait_for_a_rate_limit_that_is_used_up(
    server: GraphQLServer, waits: list[float], monkeypatch: pytest.MonkeyPatch, reset: str, said: str
) -> None:
    monkeypatch.setattr(retry, "time", lambda: 1_700_000_000.0)
    server.respond = lambda request: Answer(b"", 429, {"RateLimit-Remaining": "0", "RateLimit-Reset": reset})
    with pytest.raises(HistoryRequestError, match=f"wait {said}$"):
        Client(server.url, KEY).execute(QUERY)


def test_truncated_answers_are_retried(server: GraphQLServer, waits: list[float]) -> None:
    server.respond = in_turn(Answer(OK.body[:10], length=len(OK.body)), OK)
    assert Client(server.url, KEY).execute(QUERY) == {"viewer": {"id": "me"}}
    server.respond = lambda request: Answer(OK.body[:10], length=len(OK.body))
    with pytest.raises(HistoryRequestError, match=r"in the middle of its answer \(tried 5 times\)"):
        Client(server.url, KEY).execute(QUERY)
    assert len(waits) == 1 + 4


def test_says_when_compression_is_broken(server: GraphQLServer, waits: list[float]) -> None:
    server.respond = lambda request: Answer(b"not gzip", headers={"Content-Encoding": "gzip"})
    with pytest.raises(HistoryRequestError, match="could not be decompressed"):
        Client(server.url, KEY).execute(QUERY)
    assert len(waits) == 4


def test_says_when_there_is_no_server(waits: list[float]) -> None:
    with serving(lambda request: OK) as gone:
        pass
    with pytest.raises(HistoryRequestError, match=rf"{gone.url} could not be reached: check the base URL.*tried 3"):
        Client(gone.url, KEY, retries=2).execute(QUERY)
    assert waits == [0.5, 1.0]


def test_says_when_a_server_is_silent(server: GraphQLServer) -> None:
    over = threading.Event()

    def respond(request: Received) -> Answer:
        over.wait(timeout=30)
        return OK

    server.respond = respond
    with pytest.raises(HistoryRequestError, match=r"sent nothing for 0\.05 s: pass a longer `timeout`"):
        Client(server.url, KEY, timeout=0.05, retries=0).execute(QUERY)
    over.set()


def test_does_not_take_a_server_without_tls_for_one_with(server: GraphQLServer, waits: list[float]) -> None:
    server.respond = lambda request: OK
    with pytest.raises(HistoryRequestError, match="could not be reached securely"):
        Client(server.url.replace("http:", "https:"), KEY).execute(QUERY)
    assert waits == []
    assert server.received == []
