"""What is logged of retries and throttling, and what never is: keys, and addresses of exported files."""

from __future__ import annotations

import logging
import subprocess
import sys
from base64 import b64encode

import pytest

from histscan.errors import HistoryRequestError
from histscan.sources.client import Client
from histscan.sources.exported_requests import FileRequests
from histscan.sources.throttle import Throttle
from tests.support.client_answers import KEY, OK, QUERY, in_turn
from tests.support.graphql_server import Answer, GraphQLServer


@pytest.fixture(autouse=True)
def _capture(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="histscan")


def test_retries_are_warnings(server: GraphQLServer, waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    server.respond = in_turn(Answer(b"", 503), Answer(b"", 429, {"Retry-After": "7"}), Answer(b"<html>", 200), OK)
    Client(server.url, KEY).execute(QUERY)
    ours = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in ours] == [
        f"{server.url} answered HTTP 503: retry 1 in 0.5 s",
        f"{server.url} answered HTTP 429: retry 2 in 7.0 s",
        f"{server.url} sent an incomplete answer: retry 3 in 2.0 s",
    ]
    assert {record.name for record in ours} == {"histscan"}
    assert waits


def test_failed_connections(waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(HistoryRequestError):
        Client("http://127.0.0.1:9", KEY, retries=2).execute(QUERY)
    assert [record.getMessage() for record in caplog.records] == [
        f"http://127.0.0.1:9 could not be reached: check the base URL and the network: retry {number} in {wait} s"
        for number, wait in ((1, 0.5), (2, 1.0))
    ]
    assert waits == [0.5, 1.0]


def test_success_and_final_errors_are_not_logged(server: GraphQLServer, caplog: pytest.LogCaptureFixture) -> None:
    server.respond = in_turn(OK, Answer(b"", 404))
    Client(server.url, KEY).execute(QUERY)
    with pytest.raises(HistoryRequestError):
        Client(server.url, KEY).execute(QUERY)
    assert not caplog.records


def test_no_secrets(server: GraphQLServer, waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """A server repeats the key, and the address of a file is signed: neither is in any record."""
    server.respond = in_turn(Answer(KEY.encode(), 500, {"Retry-After": KEY}), Answer(KEY.encode(), 200), OK)
    Client(server.url, KEY).execute(QUERY)
    server.respond = in_turn(Answer(b"", 500), Answer(b"", 502))
    requests = FileRequests(f"{server.url}/folder/file.parquet?signature=s3cret", allow_http=True, retries=1)
    with pytest.raises(HistoryRequestError):
        requests.get({}, (200,), lambda response: None)
    assert len(caplog.records) == len(waits) == 3
    printed = logging.Formatter("%(message)s %(args)s %(pathname)s %(exc_info)s")
    told = " ".join(map(printed.format, caplog.records))
    assert "127.0.0.1, which has the exported history, answered HTTP 500" in told
    for secret in (KEY, b64encode(f"api:{KEY}".encode()).decode(), "s3cret", "signature", "file.parquet"):
        assert secret not in told


def test_limits_on_concurrent_requests(caplog: pytest.LogCaptureFixture) -> None:
    throttle = Throttle()
    tickets = [throttle.enter(0) for _ in range(4)]
    for ticket in tickets:
        throttle.leave(ticket, 429)
    while throttle.limit is not None:
        throttle.leave(throttle.enter(0), 200)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "rate limit exceeded: at most 2 concurrent requests"
    assert told[-1] == "the server keeps up again: no limit on concurrent requests"
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_nothing_is_printed_without_a_handler() -> None:
    program = "from histscan.sources.request_log import log_retry; log_retry('https://a.invalid', 'failed', 1, 0.5)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (finished.stdout, finished.stderr) == ("", "")
    finished = subprocess.run(
        [sys.executable, "-c", f"import logging; logging.basicConfig(); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stderr == "WARNING:histscan:https://a.invalid failed: retry 1 in 0.5 s\n"
