"""histscan.Client: what it sends and to which server, what it returns, and its errors."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import gql
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from histscan.errors import GraphQLResponseError, HistoryError, HistoryRequestError, ResponseShapeError
from histscan.history import HistoryScan
from histscan.sources import retry
from histscan.sources.client import Client
from tests.support.graphql_server import (
    Answer,
    GraphQLServer,
    Received,
    answer_from,
    compressed,
    data_answer,
    json_answer,
    serving,
)
from tests.support.history_backend import RUN, HistoryBackend, row_texts, training_rows

KEY = "0123456789abcdef0123456789abcdef01234567"
QUERY = "query Viewer { viewer { id } }"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits before retries, in seconds, which are recorded and skipped."""
    waited: list[float] = []
    monkeypatch.setattr(retry, "sleep", waited.append)
    monkeypatch.setattr(retry, "random", lambda: 1.0)
    return waited


def login_of(request: Received) -> str | None:
    header = request.headers.get("Authorization")
    return None if header is None else base64.b64decode(header.removeprefix("Basic ")).decode()


def in_turn(*answers: Answer) -> Callable[[Received], Answer]:
    """Returns each answer once, and then always the last one."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


OK = data_answer({"viewer": {"id": "me"}})

HEADERS_OF_WAITS = ("Retry-After", "RateLimit-Reset", "RateLimit-Remaining")


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


# Answers


def test_reads_compressed_answers(server: GraphQLServer) -> None:
    backend = HistoryBackend(training_rows(range(200)))
    plain = answer_from(backend)
    server.respond = lambda request: compressed(plain(request))
    assert row_texts(HistoryScan(Client(server.url, KEY), RUN, 0, 200)) == row_texts(backend.rows)
    assert "gzip" in server.received[0].headers["Accept-Encoding"]


def test_numbers_are_those_of_json(server: GraphQLServer) -> None:
    server.respond = lambda request: Answer(b'{"data": {"a": 123456789012345678901, "b": NaN, "c": 1e400}}')
    data = Client(server.url, KEY).execute(QUERY)
    assert repr(data) == "{'a': 123456789012345678901, 'b': nan, 'c': inf}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"data": {', "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an object but list"),
        (b"{}", "no object `data`"),
        (b'{"data": null}', "no object `data`"),
        (b'{"data": [], "errors": []}', "no object `data`"),
    ],
)
def test_says_when_an_answer_is_none_of_a_graphql_server(server: GraphQLServer, body: bytes, reason: str) -> None:
    server.respond = lambda request: Answer(body)
    with pytest.raises(ResponseShapeError, match=reason):
        Client(server.url, KEY, retries=0).execute(QUERY)


@pytest.mark.parametrize("errors", ['[{"message": "not you"}]', '["not you"]', '"not you"', '{"message": "not you"}'])
def test_passes_on_errors_even_beside_data(server: GraphQLServer, errors: str) -> None:
    server.respond = lambda request: Answer(f'{{"data": {{"viewer": null}}, "errors": {errors}}}'.encode())
    with pytest.raises(GraphQLResponseError, match=r"errors: not you$"):
        Client(server.url, KEY).execute(QUERY)


# HTTP errors


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "does not accept this request"),
        (401, "check the API key, which came from the argument `api_key`"),
        (403, "does not have access"),
        (404, "check the base URL"),
        (204, "does not accept this request"),
    ],
)
def test_says_what_to_do_and_does_not_ask_again(
    server: GraphQLServer, waits: list[float], status: int, advice: str
) -> None:
    server.respond = lambda request: Answer(b"", status)
    with pytest.raises(HistoryRequestError, match=f"HTTP {status}: .*{advice}"):
        Client(server.url, KEY).execute(QUERY)
    assert len(server.received) == 1
    assert waits == []


def test_says_where_a_refused_key_came_from(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.respond = lambda request: json_answer({"errors": [{"message": "user is not logged in"}]}, 401)
    with pytest.raises(HistoryRequestError, match=r"\(user is not logged in\): pass `api_key`, set WANDB_API_KEY"):
        Client(server.url).execute(QUERY)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with pytest.raises(HistoryRequestError, match="came from the environment variable WANDB_API_KEY"):
        Client(server.url).execute(QUERY)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (json_answer({"errors": [{"message": "one"}, {"message": "two"}]}, 400), "(one; two)"),
        (json_answer({"error": "plainly"}, 400), "(plainly)"),
        (json_answer(["odd"], 400), "(odd)"),
        (Answer(b"line one\nline two\x00\x1b[31m", 400), "(line one line two [31m)"),
        (Answer(b"<html>pages</html>", 400, {"Content-Type": "text/html"}), "(Bad Request)"),
        (Answer(b"x" * 10_000, 400), f"({'x' * 499}…)"),
    ],
)
def test_repeats_what_the_server_said(server: GraphQLServer, answer: Answer, said: str) -> None:
    server.respond = lambda request: answer
    with pytest.raises(HistoryRequestError) as failure:
        Client(server.url, KEY).execute(QUERY)
    assert said in str(failure.value)


# Retries


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 522, 524, 525, 530])
def test_asks_a_busy_or_failing_server_again(server: GraphQLServer, waits: list[float], status: int) -> None:
    server.respond = in_turn(Answer(b"", status), Answer(b"", status), OK)
    assert Client(server.url, KEY).execute(QUERY) == {"viewer": {"id": "me"}}
    assert waits == [0.5, 1.0]


@pytest.mark.parametrize(("status", "advice"), [(429, "rate limit is exceeded"), (500, "try again later")])
def test_gives_up_after_a_few_times(server: GraphQLServer, waits: list[float], status: int, advice: str) -> None:
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
def test_does_not_wait_for_ever(server: GraphQLServer, waits: list[float], asked: str) -> None:
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


def test_asks_again_when_an_answer_breaks_off(server: GraphQLServer, waits: list[float]) -> None:
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
