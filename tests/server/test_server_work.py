"""Work whose client left is cancelled, and an answer over the limit is an error."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from histscan.runs.log_run import LogRun
from histscan.server import log_outline
from histscan.server.limits import ServerLimits
from histscan.server.log_run import ServedLog
from histscan.server.responses import PART_SIZE
from histscan.server.served_run import HistorySize
from tests.support.asgi_client import AsgiClient, client_of
from tests.support.paths import EXAMPLE

HISTORY = '{ project(name: "examples", entityName: "histscan") { run(name: "lissajous") { history } } }'
CONFIG = '{ project(name: "examples", entityName: "histscan") { run(name: "lissajous") { config } } }'
PATIENCE = 30.0
"""Seconds until a test fails that waits for something."""


def request(query: str) -> bytes:
    return json.dumps({"query": query}).encode()


def post_and_leave(client: AsgiClient, body: bytes, started: threading.Event) -> list[MutableMapping[str, Any]]:
    """Sends a request, and closes the connection once its work has started. Returns the messages of the server."""
    sent: list[MutableMapping[str, Any]] = []
    messages: Iterator[MutableMapping[str, Any]] = iter(
        [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]
    )
    is_first = True

    async def receive() -> MutableMapping[str, Any]:
        nonlocal is_first
        while not is_first and not started.is_set():
            await asyncio.sleep(0.01)
        is_first = False
        return next(messages)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
    asyncio.run(asyncio.wait_for(client.app(scope, receive, send), PATIENCE))
    return sent


class Endless:
    """Items without an end; knows when somebody begins to read them, and when nobody reads them any more."""

    def __init__(self, item: Any) -> None:
        self._item = item
        self.started, self.ended = threading.Event(), threading.Event()

    def __call__(self, *_: Any) -> Iterator[Any]:
        try:
            while True:
                self.started.set()
                yield self._item
                time.sleep(0.0001)
        finally:
            self.ended.set()


def test_rows_are_not_read_for_a_client_that_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(EXAMPLE, folder=tmp_path)
    rows = Endless((0, b"{}"))
    monkeypatch.setattr(ServedLog, "_texts", rows)
    post_and_leave(client, request(HISTORY), rows.started)
    assert rows.ended.wait(PATIENCE)
    assert client.request("GET", "/traffic").json()["statuses"] == {"499": 1}


def test_queries_take_a_limited_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(EXAMPLE, folder=tmp_path, limits=ServerLimits(time=1))
    rows = Endless((0, b"{}"))
    monkeypatch.setattr(ServedLog, "_texts", rows)
    assert client.errors(HISTORY) == ["the query took longer than 1 s (`histscan serve --limit time=` sets the limit)"]
    assert rows.ended.wait(PATIENCE)


def test_a_log_is_not_read_for_a_client_that_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(EXAMPLE, folder=tmp_path)
    pages = Endless([])
    monkeypatch.setattr(log_outline, "build_chunks", lambda watched, **_: watched)
    monkeypatch.setattr(LogRun, "scan_history", lambda _: type("Scan", (), {"pages": pages}))
    post_and_leave(client, request(CONFIG), pages.started)
    assert pages.ended.wait(PATIENCE)


def test_the_next_client_gets_what_the_first_one_did_not_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(EXAMPLE, folder=tmp_path)
    rows = Endless((0, b"{}"))
    with monkeypatch.context() as patched:
        patched.setattr(ServedLog, "_texts", rows)
        post_and_leave(client, request(HISTORY), rows.started)
    assert rows.ended.wait(PATIENCE)
    assert len(client.query(HISTORY)["project"]["run"]["history"]) == 5000


def test_all_work_is_cancelled_when_the_server_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(EXAMPLE, folder=tmp_path)
    rows = Endless((0, b"{}"))
    monkeypatch.setattr(ServedLog, "_texts", rows)

    def stop() -> None:
        rows.started.wait(PATIENCE)
        client.app.workers.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    assert client.post({"query": HISTORY}).status == 499
    stopping.join()
    assert rows.ended.wait(PATIENCE)


@pytest.mark.parametrize(
    "fields", ["history", "config history", 'sampledHistory(specs: ["{\\"keys\\": [\\"loss\\"]}"])']
)
def test_answers_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: str) -> None:
    """The estimate is wrong, so that the answer itself is measured."""
    monkeypatch.setattr(ServedLog, "history_size", lambda _: HistorySize(1, 1))
    query = HISTORY.replace("history", fields)
    whole = client_of(EXAMPLE, folder=tmp_path).post({"query": query})
    size = len(whole.body)
    assert size > PART_SIZE // 4
    exact = client_of(EXAMPLE, folder=tmp_path, limits=ServerLimits(answer=size)).post({"query": query})
    assert exact.body == whole.body
    refused = client_of(EXAMPLE, folder=tmp_path, limits=ServerLimits(answer=size - 1)).post({"query": query})
    assert refused.status == 400
    (error,) = refused.json()["errors"]
    assert f"more than {size - 1:,} bytes" in error["message"]
    assert refused.json()["data"] is None


def test_large_answers_are_sent_in_parts(tmp_path: Path) -> None:
    client = client_of(EXAMPLE, folder=tmp_path)
    query = request(HISTORY.replace("history", "a: history name b: history(samples: 300) c: history"))
    sent = post_and_leave(client, query, threading.Event())
    lengths = [len(message.get("body", b"")) for message in sent]
    assert max(lengths) <= PART_SIZE
    reply = client.request("POST", "/graphql", headers={"content-type": "application/json"}, body=query)
    assert int(reply.headers["content-length"]) == len(reply.body) == sum(lengths)
    run = reply.json()["data"]["project"]["run"]
    assert run["a"] == run["c"] == client.query(HISTORY)["project"]["run"]["history"]
    assert len(run["b"]) == 300
    assert run["name"] == "lissajous"
