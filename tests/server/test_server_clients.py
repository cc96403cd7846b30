"""Slow, greedy and hostile clients: each is cut off, and the server goes on with the others."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.paths import DATA, EXAMPLE, ROOT
from tests.support.server_process import Server, ServerProcess, serving

KEY = "sesame" * 7
PATIENCE = 30.0
"""Seconds until a test fails that waits for something."""
VIEWER = b'{"query": "{ viewer { entity } }"}'
HISTORY = '{ project(name: "examples", entityName: "histscan") { run(name: "lissajous") { %s } } }'


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    limits = ("--limit", "wait=1", "--limit", "headers=4K", "--limit", "connections=8")
    with serving(EXAMPLE, "--api-key", KEY, *limits) as running:
        yield running


def connect(server: Server) -> closing[socket.socket]:
    parts = urlsplit(server.url)
    assert parts.hostname
    return closing(socket.create_connection((parts.hostname, parts.port or 80), PATIENCE))


def received(connection: socket.socket) -> bytes:
    """Returns everything until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def head(length: int, *more: str, key: str = KEY) -> bytes:
    lines = ["POST /graphql HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, f"Authorization: Bearer {key}", *more, "", ""]).encode()


def assert_serves(server: Server) -> None:
    assert server.query("{ viewer { entity } }", headers={"Authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nX-", head(len(VIEWER)) + VIEWER + b"POST /gra"],
    ids=["nothing", "a part of the headers", "a part of the second request"],
)
def test_slow_headers(server: ServerProcess, sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        assert_serves(server)
        assert b"408 Request Timeout" in received(connection)


def test_slow_bodies(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(head(100) + b"{")
        assert_serves(server)
        assert received(connection) == b""


def test_a_body_that_drips(server: ServerProcess) -> None:
    stopped = threading.Event()
    with connect(server) as connection:
        connection.sendall(head(1000))

        def drip() -> None:
            try:
                while not stopped.wait(0.1):
                    connection.sendall(b" ")
            except OSError:
                pass

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert received(connection) == b""
        finally:
            stopped.set()
            dripping.join()


@pytest.mark.parametrize("size", [5_000, 500_000])
@pytest.mark.parametrize("is_complete", [True, False])
def test_large_headers(server: ServerProcess, size: int, is_complete: bool) -> None:
    with connect(server) as connection:
        try:
            connection.sendall(head(0, f"X-Large: {'x' * size}")[: None if is_complete else -4])
        except OSError:
            return  # the server has not even read it
        assert b" 431 " in received(connection).partition(b"\r\n")[0]
    assert_serves(server)


def test_large_urls(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b" 431 " in received(connection).partition(b"\r\n")[0]


def test_a_wrong_key_is_refused_before_the_body(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(head(1 << 30, key="wrong"))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401 ")
        # The rest of the body is not awaited for ever.
        received(connection)


def test_a_large_body_is_refused_by_its_length(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(head(1 << 30))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("key", [KEY, "wrong"])
def test_a_client_that_sends_a_refused_body_sees_the_response(server: ServerProcess, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with requests.Session() as session:
        for _ in range(3):
            answer = session.post(f"{server.url}/graphql", b" " * (4 << 20), headers=headers, timeout=PATIENCE)
            assert answer.status_code == (400 if key == KEY else 401)


def test_too_many_connections(server: ServerProcess) -> None:
    with ExitStack() as opened:
        first, *_, last = [opened.enter_context(connect(server)) for _ in range(16)]
        assert b"503 Service Unavailable" in received(last)
        first.sendall(head(len(VIEWER)) + VIEWER)
        assert first.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    assert_serves(server)


def test_a_client_that_does_not_read_is_cut_off(server: ServerProcess) -> None:
    body = json.dumps({"query": HISTORY % " ".join(f"a{number}: history" for number in range(40))})
    with connect(server) as connection, connect(server) as patient:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.sendall(head(len(body)) + body.encode())
        patient.sendall(head(len(body), "Connection: close") + body.encode())
        whole = received(patient)
        assert len(whole) > 40 << 20
        # Longer than the server waits.
        time.sleep(3)
        assert len(received(connection)) < len(whole) // 2
    assert_serves(server)


# A served run whose work never ends and can't be cancelled.
STUCK = """
import sys, time
from histscan.cli.main import main
from histscan.server.log_run import ServedLog
def stuck(self, keys):
    while True:
        %s
ServedLog._texts = stuck
sys.exit(main())
"""


@pytest.mark.parametrize("busy", ["time.sleep(0.1)", "pass"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_whatever_runs(tmp_path: Path, number: signal.Signals, busy: str) -> None:
    command = [sys.executable, "-c", STUCK % busy, "serve", str(EXAMPLE), "--port", "0"]
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url = process.stdout.readline().partition("=")[2].rstrip()

        def ask() -> None:
            with pytest.raises(requests.RequestException):
                requests.post(
                    f"{url}/graphql", json={"query": HISTORY % "history"}, timeout=PATIENCE
                ).raise_for_status()

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        while requests.get(f"{url}/traffic", timeout=PATIENCE).json()["most_in_flight"] < 3:
            pass
        assert list(tmp_path.iterdir())
        process.send_signal(number)
        try:
            assert process.wait(PATIENCE) == (130 if number == signal.SIGINT else 0)
        finally:
            process.kill()
        for thread in asking:
            thread.join()
    assert not list(tmp_path.iterdir())


def test_https() -> None:
    with serving(EXAMPLE, "--tls-cert", DATA / "tls" / "valid.pem", "--limit", "wait=1") as server:
        assert server.url.startswith("https://")
        options: dict[str, Any] = {"verify": str(DATA / "tls" / "valid.pem")}
        with connect(server) as silent:
            assert server.query("{ viewer { entity } }", **options)
            query = HISTORY % 'parquetHistory(liveKeys: ["_step"]) { parquetUrls }'
            (file,) = server.query(query, **options)["project"]["run"]["parquetHistory"]["parquetUrls"]
            assert file.startswith("https://")
            assert requests.get(file, timeout=PATIENCE, **options).content.startswith(b"PAR1")
            # A handshake that does not begin ends.
            assert received(silent) == b""
        with pytest.raises(requests.RequestException):
            requests.get(server.url.replace("https", "http"), timeout=PATIENCE).raise_for_status()
