"""HTTP 200 with a body that is empty, cut short or an HTML page is requested again, as stock wandb does."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest
import wandb.sdk.lib.retry as wandb_retry
from wandb.apis.public.history import HistoryScan as WandbHistoryScan
from wandb.apis.public.history import SampledHistoryScan as WandbSampledHistoryScan

import histscan
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.history import HistoryScan, SampledHistoryScan
from histscan.sources import cancellation, retry
from histscan.sources.client import Client
from tests.support.graphql_server import Answer, GraphQLServer, Received, answer_from, data_answer
from tests.support.history_backend import RUN, HistoryBackend, collect, row_texts, training_rows
from tests.support.retrying_client import retrying_client

BACKEND = HistoryBackend(training_rows(range(30)), inclusive=False)
PAGE = {"Content-Type": "text/html"}
TRIES = 1 + 4


def halved(body: bytes) -> bytes:
    return body[: len(body) // 2]


def at_a_brace(body: bytes) -> bytes:
    """Ends like a complete answer."""
    return body[: body.rindex(b"}", 0, len(body) * 2 // 3) + 1]


BREAKS: dict[str, Callable[[Answer], Answer]] = {
    "empty": lambda whole: Answer(b""),
    "blank": lambda whole: Answer(b" \n"),
    "HTML page": lambda whole: Answer(b"<!DOCTYPE html><html>502</html>", 200, PAGE),
    "text": lambda whole: Answer(b"upstream connect error"),
    "cut in front": lambda whole: Answer(whole.body[:9]),
    "cut in half": lambda whole: Answer(halved(whole.body)),
    "cut behind a brace": lambda whole: Answer(at_a_brace(whole.body)),
    "cut at the end": lambda whole: Answer(whole.body[:-1]),
    "fewer bytes than said": lambda whole: Answer(whole.body[:40], length=len(whole.body)),
    "compressed and cut": lambda whole: Answer(halved(gzip.compress(whole.body)), 200, {"Content-Encoding": "gzip"}),
    "not compressed as said": lambda whole: Answer(b"no gzip", 200, {"Content-Encoding": "gzip"}),
}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "sleep", lambda seconds: None)
    monkeypatch.setattr(wandb_retry, "SLEEP_FN", lambda seconds: None)
    monkeypatch.setattr(cancellation.Cancellation, "pause", lambda self, seconds: None)


def breaking(break_answer: Callable[[Answer], Answer]) -> Callable[[Received], Answer]:
    """Truncates or replaces the first answer to each request."""
    asked: set[str] = set()
    whole = answer_from(BACKEND)

    def respond(request: Received) -> Answer:
        variables = repr(request.payload["variables"])
        if variables in asked:
            return whole(request)
        asked.add(variables)
        return break_answer(whole(request))

    return respond


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("prefetch", [0, 3])
def test_pages_are_requested_again(server: GraphQLServer, name: str, prefetch: int) -> None:
    server.respond = breaking(BREAKS[name])
    scan = HistoryScan(Client(server.url), RUN, 0, 30, 10, prefetch=prefetch)
    assert row_texts(scan) == row_texts(BACKEND.rows)
    assert len(server.received) == 6


@pytest.mark.parametrize("name", BREAKS)
def test_sampled_pages_are_requested_again(server: GraphQLServer, name: str) -> None:
    server.respond = breaking(BREAKS[name])
    rows = list(SampledHistoryScan(Client(server.url), RUN, ["_step"], 0, 30, 10))
    assert rows == [{"_step": step} for step in range(30)]
    assert len(server.received) == 6


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("keys", [None, ["_step", "loss"]], ids=["all keys", "some keys"])
def test_wandbs_client_requests_again_as_it_does_for_wandbs_scans(
    server: GraphQLServer, name: str, keys: list[str] | None
) -> None:
    counts = []
    for scan_class in (
        (WandbHistoryScan, HistoryScan) if keys is None else (WandbSampledHistoryScan, SampledHistoryScan)
    ):
        server.respond = breaking(BREAKS[name])
        server.received.clear()
        arguments: list[Any] = [retrying_client(server.url), RUN, *([] if keys is None else [keys]), 0, 30, 10]
        steps = {row["_step"] for row in scan_class(*arguments)}
        assert steps == set(range(30))
        counts.append(len(server.received))
    assert counts == [6, 6]


@pytest.mark.parametrize("name", BREAKS)
def test_other_queries_are_sent_again(server: GraphQLServer, name: str) -> None:
    whole = data_answer({"viewer": {"entity": "me"}, "padding": {"a": list(range(100))}})
    answers = [BREAKS[name](whole), whole, BREAKS[name](whole), whole]
    server.respond = lambda request: answers.pop(0)
    assert histscan.Api(server.url).default_entity == "me"
    assert Client(server.url).execute_raw("query Viewer { viewer { entity } }") == whole.body
    assert answers == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON but empty"),
        (b" <HTML>", "not JSON but an HTML page: check that the base URL"),
        (b'{"data": {', "not JSON, or was cut short"),
    ],
)
def test_what_stays_broken_is_an_error(server: GraphQLServer, body: bytes, reason: str) -> None:
    server.respond = lambda request: Answer(body)
    with pytest.raises(HistoryError, match=reason):
        Client(server.url).execute("query Viewer { viewer { id } }")
    assert len(server.received) == TRIES


def test_a_page_that_stays_cut_gives_its_whole_rows(server: GraphQLServer) -> None:
    whole = answer_from(BACKEND)
    server.respond = lambda request: BREAKS["cut in half"](whole(request))
    rows: list[Any] = []
    with pytest.raises(HistoryDecodeError, match="is not terminated"):
        collect(HistoryScan(Client(server.url), RUN, 0, 10, 10), rows)
    assert rows
    assert row_texts(rows) == row_texts(BACKEND.rows[: len(rows)])
    assert len(server.received) == TRIES


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors": [{"message": "no"}]}',
        b'{"data": {"project": null}}',
        b'{"data": {"project": {"run": {"history": ["{\\"a\\": oops}"]}}}}',
        b"[]",
    ],
)
def test_what_is_whole_but_wrong_is_not_requested_again(server: GraphQLServer, body: bytes) -> None:
    server.respond = lambda request: Answer(body)
    with pytest.raises(HistoryError):
        list(HistoryScan(Client(server.url), RUN, 0, 10, 10))
    assert len(server.received) == 1
