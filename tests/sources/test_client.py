"""histscan.Client: what it sends, to which server, and what it never shows."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import gql
import pytest

from histscan.errors import HistoryError, HistoryRequestError
from histscan.history import HistoryScan
from histscan.sources.client import Client
from tests.support.client_answers import KEY, OK, QUERY, in_turn, login_of
from tests.support.graphql_server import (
    Answer,
    GraphQLServer,
    Received,
    answer_from,
    serving,
)
from tests.support.history_backend import RUN, HistoryBackend, row_texts, training_rows

# What is sent


def test_sends_the_query_and_the_key(server: GraphQLServer) -> None:
    server.respond = lambda request: OK
    client = Client(server.url, KEY)
    assert client.execute(QUERY, {"a": 1}) == {"viewer": {"id": "me"}}
    assert client.execute_raw(gql.gql(QUERY)) == OK.body
    first, second = server.received
    assert first.path == "/graphql"
    assert first.payload["variables"] == {"a": 1}
    assert first.payload["query"].split() == QUERY.split() == second.payload["query"].split()
    assert login_of(first) == f"api:{KEY}"
    assert first.headers["User-Agent"].startswith("histscan/")
    assert first.headers["Content-Type"] == "application/json"


def test_keeps_its_connection(server: GraphQLServer) -> None:
    ports = set()

    def respond(request: Received) -> Answer:
        ports.add(threading.get_ident())  # the server has one thread per connection
        return OK

    server.respond = respond
    with Client(server.url, KEY) as client:
        for _ in range(5):
            client.execute(QUERY)
        assert len(ports) == 1
    client.execute(QUERY)
    client.close()
    client.close()


def test_a_path_in_the_base_url_is_kept(server: GraphQLServer) -> None:
    server.respond = lambda request: OK
    Client(f"{server.url}/wandb/", KEY).execute(QUERY)
    assert server.received[0].path == "/wandb/graphql"


def test_reads_the_environment(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.respond = lambda request: OK
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    Client().execute(QUERY)
    Client(api_key="given").execute(QUERY)
    assert [login_of(request) for request in server.received] == [f"api:{KEY}", "api:given"]


def test_the_default_server_is_that_of_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Client().base_url == "https://api.wandb.ai"
    monkeypatch.setenv("WANDB_BASE_URL", "")
    assert Client().base_url == "https://api.wandb.ai"


def write_netrc(monkeypatch: pytest.MonkeyPatch, path: Path, text: str) -> None:
    path.write_text(text)
    monkeypatch.setenv("NETRC", str(path))


def test_reads_the_hosts_key_in_netrc(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server.respond = lambda request: OK
    write_netrc(monkeypatch, tmp_path / "netrc", f"machine 127.0.0.1 login user password {KEY}\n")
    Client(server.url).execute(QUERY)
    monkeypatch.setenv("WANDB_API_KEY", "of-the-environment")
    Client(server.url).execute(QUERY)
    assert [login_of(request) for request in server.received] == [f"api:{KEY}", "api:of-the-environment"]


@pytest.mark.filterwarnings("ignore::histscan.errors.CredentialsWarning")
@pytest.mark.parametrize(
    "text",
    [
        "default login me password of-another-service\n",
        "machine api.wandb.ai login user password of-another-host\n",
        "machine 127.0.0.1.example.org login user password of-another-host\n",
        "this is no netrc\n",
        "machine 127.0.0.1 login user\n",
    ],
)
def test_sends_no_password_that_is_not_the_hosts(
    server: GraphQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    server.respond = lambda request: OK
    write_netrc(monkeypatch, tmp_path / "netrc", text)
    assert Client(server.url).execute(QUERY) == {"viewer": {"id": "me"}}
    assert login_of(server.received[0]) is None


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "naïve", "tab\t-"])
def test_refuses_what_cannot_be_a_key(key: str) -> None:
    with pytest.raises(HistoryRequestError, match="API key from the argument") as failure:
        Client("http://127.0.0.1", key)
    assert not key or key not in str(failure.value)


@pytest.mark.parametrize(
    "base_url", ["api.wandb.ai", "ftp://host", "https://", "https://host?x=1", "https://host:port", "http://[::1", "/"]
)
def test_refuses_what_is_no_address(base_url: str) -> None:
    with pytest.raises(HistoryRequestError, match="base URL"):
        Client(base_url, KEY)


def test_refuses_a_password_in_the_address_without_repeating_it() -> None:
    with pytest.raises(HistoryRequestError, match="`api_key`") as failure:
        Client("https://api:hunter2@host")
    assert "hunter2" not in str(failure.value)


def test_a_key_given_in_place_of_the_address_is_not_repeated() -> None:
    with pytest.raises(HistoryRequestError, match="base URL must be like") as failure:
        Client(KEY)
    assert KEY not in str(failure.value)


def test_sends_no_key_in_the_clear_unless_told_to() -> None:
    with pytest.raises(HistoryRequestError, match=r"unencrypted.*allow_http"):
        Client("http://wandb.example.org", KEY)
    assert Client("http://wandb.example.org:8080/", KEY, allow_http=True).base_url == "http://wandb.example.org:8080"
    for local in ("http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://app.localhost"):
        assert Client(local, KEY).base_url == local


# What is never shown


def test_shows_the_key_nowhere(
    server: GraphQLServer, waits: list[float], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    token = base64.b64encode(f"api:{KEY}".encode()).decode()
    client = Client(server.url, KEY)
    shown = [repr(client), str(client), repr(vars(client))]
    with caplog.at_level(logging.DEBUG):
        for status in (200, 302, 400, 401, 403, 404, 429, 500):
            for body in (
                b"",
                f"you sent {KEY} or {token}".encode(),
                f'{{"errors": [{{"message": "{KEY}"}}]}}'.encode(),
            ):
                answer = Answer(body, status, {"Location": f"https://x.example/?key={KEY}"} if status == 302 else {})
                server.respond = in_turn(answer)
                with pytest.raises(HistoryError) as failure:
                    client.execute(QUERY)
                shown.append(repr(failure.value) + str(failure.value))
                with pytest.raises(HistoryError) as failure:
                    next(HistoryScan(client, RUN, 0, 10))
                shown.append(repr(failure.value) + str(failure.value))
    assert len(shown) == 3 + 8 * 3 * 2
    shown += [caplog.text, *capsys.readouterr()]
    for text in shown:
        assert KEY not in text
        assert token not in text


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_follows_no_redirect_to_another_host(server: GraphQLServer, status: int) -> None:
    with serving(lambda request: OK) as other:
        server.respond = lambda request: Answer(b"", status, {"Location": f"{other.url}/graphql"})
        with pytest.raises(HistoryRequestError, match=rf"redirects to http://127\.0\.0\.1 \(HTTP {status}\).*base_url"):
            Client(server.url, KEY).execute(QUERY)
        assert other.received == []
    assert len(server.received) == 1


def test_follows_no_redirect_on_the_same_host(server: GraphQLServer) -> None:
    server.respond = lambda request: Answer(b"", 302, {"Location": "/login"})
    with pytest.raises(HistoryRequestError, match=r"redirects to another path \(HTTP 302\)"):
        Client(server.url, KEY).execute(QUERY)
    assert len(server.received) == 1


def test_takes_no_cookies(server: GraphQLServer) -> None:
    server.respond = lambda request: Answer(OK.body, 200, {"Set-Cookie": "session=1; Path=/"})
    client = Client(server.url, KEY)
    client.execute(QUERY)
    client.execute(QUERY)
    assert "Cookie" not in server.received[1].headers


# Threads and processes


def test_threads_may_share_a_client(server: GraphQLServer) -> None:
    backend = HistoryBackend(training_rows(range(400)))
    server.respond = answer_from(backend)
    client = Client(server.url, KEY)
    start = threading.Barrier(8)
    found: dict[int, list[str]] = {}

    def scan(number: int) -> None:
        start.wait(timeout=30)
        found[number] = row_texts(HistoryScan(client, RUN, 0, 400, 50))

    threads = [threading.Thread(target=scan, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [row_texts(backend.rows)] * 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_connects_anew(server: GraphQLServer) -> None:
    connections = []

    def respond(request: Received) -> Answer:
        connections.append(threading.get_ident())
        return OK

    server.respond = respond
    client = Client(server.url, KEY)
    client.execute(QUERY)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.execute(QUERY) == {"viewer": {"id": "me"}} else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    client.execute(QUERY)
    assert connections[0] == connections[2] != connections[1]


def test_importing_it_does_not_import_gql_or_requests() -> None:
    program = (
        "import sys, histscan.sources.client as c; client = c.Client('http://127.0.0.1', 'k');"
        "print({'gql', 'requests', 'graphql'} & set(sys.modules))"
    )
    finished: Any = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "set()\n"
