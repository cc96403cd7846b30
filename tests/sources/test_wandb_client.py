"""Pages from the raw answers of wandb's own client; any other client is called unchanged."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from wandb.apis.public.api import Client as WandbGqlClient
from wandb.apis.public.api import RetryingClient
from wandb.sdk.lib.gql_request import GraphQLSession

from histscan.history import HistoryScan, SampledHistoryScan
from histscan.sources.graphql import HISTORY_PAGE
from tests.support.graphql_server import Answer, GraphQLServer, Received, answer_from
from tests.support.history_backend import RUN, HistoryBackend, row_texts, training_rows
from tests.support.prefetching import assert_nothing_is_left, first_step
from tests.support.retrying_client import retrying_client

BACKEND = HistoryBackend(training_rows(range(30)))
VARIABLES = {"entity": RUN.entity, "project": RUN.project, "run": RUN.id, "minStep": 0, "maxStep": 5, "pageSize": 5}


@pytest.fixture
def client(server: GraphQLServer) -> RetryingClient:
    server.respond = answer_from(BACKEND)
    return retrying_client(server.url)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The answers that were parsed as JSON, from now on."""
    parse = requests.Response.json
    answers: list[Any] = []

    def json(self: requests.Response, **options: Any) -> Any:
        answers.append(parse(self, **options))
        return answers[-1]

    monkeypatch.setattr(requests.Response, "json", json)
    return answers


def test_answers_are_not_parsed(client: RetryingClient, parsed: list[Any]) -> None:
    assert row_texts(HistoryScan(client, RUN, 0, 30, 10)) == row_texts(BACKEND.rows)
    steps = [row["_step"] for row in SampledHistoryScan(client, RUN, ["_step"], 0, 30, 10)]
    assert steps == list(range(30))
    assert parsed == []


def test_what_is_sent_is_what_the_client_sends(client: RetryingClient, server: GraphQLServer) -> None:
    assert len(list(HistoryScan(client, RUN, 0, 5, 5))) == 5
    client.execute(HISTORY_PAGE.wandb_document, variable_values=VARIABLES)
    ours, wandbs = server.received
    assert ours.payload == wandbs.payload
    assert ours.headers == wandbs.headers


def test_the_client_itself_is_left_as_it_is(client: RetryingClient) -> None:
    gql_client, transport = client._client, client._client.transport
    before = [dict(vars(part)) for part in (client, gql_client, transport)]
    assert len(list(HistoryScan(client, RUN, 0, 30, 10, prefetch=4))) == 30
    assert [vars(part) for part in (client, gql_client, transport)] == before
    answer = client.execute(HISTORY_PAGE.wandb_document, variable_values=VARIABLES)
    assert type(answer["project"]["run"]["history"][0]) is str


class Subclass(RetryingClient):  # type: ignore[misc]
    """A client that records what its base class returns."""

    def execute(self, *arguments: Any, **options: Any) -> Any:
        answer = super().execute(*arguments, **options)
        assert type(answer) is dict
        return answer


def seeing(execute: Callable[..., Any]) -> Callable[..., Any]:
    """A wrapper like those of tracing libraries: it looks like the method, and records what that returns."""

    @functools.wraps(execute)
    def traced(*arguments: Any, **options: Any) -> Any:
        answer = execute(*arguments, **options)
        assert type(getattr(answer, "data", answer)) is dict
        return answer

    return traced


def subclassed(client: RetryingClient, patch: pytest.MonkeyPatch) -> Any:
    return Subclass(client._client)


def subclassed_transport(client: RetryingClient, patch: pytest.MonkeyPatch) -> Any:
    class Transport(GraphQLSession):  # type: ignore[misc]
        execute = seeing(GraphQLSession.execute)

    client._client.transport.__class__ = Transport
    return client


def patched_client(client: RetryingClient, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(client, "execute", seeing(client.execute))
    return client


def patched_class(client: RetryingClient, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(RetryingClient, "execute", seeing(RetryingClient.execute))
    return client


def patched_gql(client: RetryingClient, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(WandbGqlClient, "execute", seeing(WandbGqlClient.execute))
    return client


def patched_transport(client: RetryingClient, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(GraphQLSession, "execute", seeing(GraphQLSession.execute))
    return client


def mocked(client: RetryingClient, patch: pytest.MonkeyPatch) -> Any:
    execute = client.execute
    patch.setattr(RetryingClient, "execute", Mock(side_effect=lambda *given, **options: execute(*given, **options)))
    return client


@pytest.mark.parametrize(
    "change",
    [subclassed, subclassed_transport, patched_client, patched_class, patched_gql, patched_transport, mocked],
    ids=lambda change: change.__name__,
)
def test_a_changed_client_gets_what_it_expects(
    client: RetryingClient,
    parsed: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[RetryingClient, pytest.MonkeyPatch], Any],
) -> None:
    changed = change(client, monkeypatch)
    assert row_texts(HistoryScan(changed, RUN, 0, 30, 10)) == row_texts(BACKEND.rows)
    assert len(parsed) == 3


def test_a_session_may_keep_its_responses(client: RetryingClient) -> None:
    """Like sessions with a cache."""
    kept: list[requests.Response] = []

    def keep(response: requests.Response, **options: Any) -> None:
        kept.append(response)

    client._client.transport.session.hooks["response"].append(keep)
    assert len(list(HistoryScan(client, RUN, 0, 30, 10))) == 30
    assert [type(response.json()["data"]["project"]) for response in kept] == [dict] * 3


def test_a_retry_ends_with_its_scan(client: RetryingClient, server: GraphQLServer) -> None:
    whole = answer_from(BACKEND)

    def respond(request: Received) -> Answer:
        return Answer(b"later", status=500) if first_step(request.payload["variables"]) > 0 else whole(request)

    server.respond = respond
    scan = HistoryScan(client, RUN, 0, 30, 10, prefetch=1)
    assert next(scan)["_step"] == 0
    # wandb's client would continue for about 20 seconds, with four or five attempts.
    del scan
    assert_nothing_is_left()
    assert sum(first_step(request.payload["variables"]) > 0 for request in server.received) <= 1
