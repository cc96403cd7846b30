"""histscan.Client: what it returns of a server's answers, and its errors for other answers."""

from __future__ import annotations

import pytest

from histscan.errors import GraphQLResponseError, HistoryRequestError, ResponseShapeError
from histscan.history import HistoryScan
from histscan.sources.client import Client
from tests.support.client_answers import KEY, QUERY
from tests.support.graphql_server import (
    Answer,
    GraphQLServer,
    answer_from,
    compressed,
    json_answer,
)
from tests.support.history_backend import RUN, HistoryBackend, row_texts, training_rows

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
def test_answers_of_other_servers(server: GraphQLServer, body: bytes, reason: str) -> None:
    server.respond = lambda request: Answer(body)
    with pytest.raises(ResponseShapeError, match=reason):
        Client(server.url, KEY, retries=0).execute(QUERY)


@pytest.mark.parametrize("errors", ['[{"message": "not you"}]', '["not you"]', '"not you"', '{"message": "not you"}'])
def test_errors_beside_data_are_raised(server: GraphQLServer, errors: str) -> None:
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
def test_errors_that_are_not_retried_say_what_to_do(
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
def test_errors_quote_the_server(server: GraphQLServer, answer: Answer, said: str) -> None:
    server.respond = lambda request: answer
    with pytest.raises(HistoryRequestError) as failure:
        Client(server.url, KEY).execute(QUERY)
    assert said in str(failure.value)
