"""HistoryScan returns the rows of wandb 0.26.1's class, for the same requests."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gql
import numpy
import pytest
from gql.transport.requests import RequestsHTTPTransport
from hypothesis import given
from hypothesis import strategies as st
from wandb.apis.public import history as wandb_history
from wandb.apis.public.api import RetryingClient
from wandb.apis.public.history import HistoryScan as WandbHistoryScan
from wandb.errors import CommError

import histscan
from histscan.errors import (
    GraphQLResponseError,
    HistoryDecodeError,
    HistoryRequestError,
    ResponseShapeError,
    RunNotFoundError,
)
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from histscan.installing.installation import installed
from histscan.paging.options import PAGING_ARGUMENTS, PIPELINED_GRAPHQL, PagingOptions
from histscan.sources.client import Client
from tests.support.fake_service import FakeService
from tests.support.graphql_server import Answer, GraphQLServer, answer_from, data_answer, json_answer
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient, RunName, collect, row_texts, training_rows
from tests.support.retrying_client import retrying_client

BACKEND = HistoryBackend(training_rows(range(2_345)))


def clients_of(server: GraphQLServer) -> dict[str, Any]:
    """Every kind of client that a scan takes, with the same server."""
    return {
        "histscan.Client": Client(server.url, "secret-key"),
        "RetryingClient": retrying_client(server.url),
        "gql.Client": gql.Client(transport=RequestsHTTPTransport(f"{server.url}/graphql")),
        "any other": MemoryClient(BACKEND),
    }


KINDS = ["histscan.Client", "RetryingClient", "gql.Client", "any other"]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_wandb_whatever_the_client(server: GraphQLServer, kind: str) -> None:
    server.respond = answer_from(BACKEND)
    ours = HistoryScan(clients_of(server)[kind], RUN, 0, 2_345)
    theirs = WandbHistoryScan(retrying_client(server.url), RUN, 0, 2_345)
    assert row_texts(ours) == row_texts(theirs)


def test_rows_and_requests_are_those_of_wandb() -> None:
    for arguments in ((0, 2_345), (100, 1_100), (100, 1_101, 500), (7, 8, 1), (0, 0), (50, 40), (2_000, 10_000, 999)):
        ours, theirs = MemoryClient(BACKEND), MemoryClient(BACKEND)
        assert row_texts(HistoryScan(ours, RUN, *arguments)) == row_texts(WandbHistoryScan(theirs, RUN, *arguments))
        assert ours.requests == theirs.requests


@given(
    steps=st.sets(st.integers(0, 300)),
    min_step=st.integers(0, 300),
    max_step=st.integers(0, 320),
    page_size=st.integers(1, 120),
)
def test_every_window_is_that_of_wandb(steps: set[int], min_step: int, max_step: int, page_size: int) -> None:
    backend = HistoryBackend(training_rows(steps))
    ours, theirs = MemoryClient(backend), MemoryClient(backend)
    our_scan = HistoryScan(ours, RUN, min_step, max_step, page_size)
    their_scan = WandbHistoryScan(theirs, RUN, min_step, max_step, page_size)
    for our_row, their_row in zip(our_scan, their_scan, strict=True):
        assert repr(our_row) == repr(their_row)
        assert our_scan.page_offset == their_scan.page_offset
        assert our_scan.scan_offset == their_scan.scan_offset
    assert ours.requests == theirs.requests


@pytest.mark.parametrize("name", ["HistoryScan", "SampledHistoryScan", "BetaHistoryScan"])
def test_signatures_are_those_of_wandb(name: str) -> None:
    def parameters(scan_class: Any) -> list[tuple[str, Any, Any]]:
        found = inspect.signature(scan_class).parameters.values()
        return [(parameter.name, parameter.kind, parameter.default) for parameter in found]

    *of_ours, of_pages = parameters(getattr(histscan, name))
    assert of_ours == parameters(getattr(wandb_history, name))
    assert of_pages[1] is inspect.Parameter.VAR_KEYWORD


NONE_GIVEN: dict[str, Any] = dict.fromkeys(PAGING_ARGUMENTS)
TAKE_PAGING_ARGUMENTS: dict[str, Callable[..., Any]] = {
    "HistoryScan": lambda **paging: HistoryScan(MemoryClient(BACKEND), RUN, 0, 30, **paging),
    "SampledHistoryScan": lambda **paging: SampledHistoryScan(MemoryClient(BACKEND), RUN, ["loss"], 0, 30, **paging),
    "BetaHistoryScan": lambda **paging: BetaHistoryScan(FakeService([]), RUN, 0, 30, **paging),
    "installed": lambda **paging: installed(**paging).__enter__(),
}


@pytest.mark.parametrize("name", TAKE_PAGING_ARGUMENTS)
def test_misspelt_argument_is_refused_as_python_does(name: str) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'prefech'"):
        TAKE_PAGING_ARGUMENTS[name](prefech=3)
    with pytest.raises(ValueError, match="prefetch must be at least 0, not -1"):
        TAKE_PAGING_ARGUMENTS[name](prefetch=-1)


def test_none_keeps_the_default() -> None:
    class Pipelined(HistoryScan):
        paging = PagingOptions(window="adaptive")

    for options in (Pipelined.paging, PIPELINED_GRAPHQL):
        assert options.replace(**NONE_GIVEN) == options.replace() == options
        assert options.replace(**options.as_arguments()) == options
        assert options.replace(prefetch=0, window="fixed") == replace(options, prefetch=0, window="fixed")
    given, kept = MemoryClient(BACKEND), MemoryClient(BACKEND)
    assert repr(list(Pipelined(given, RUN, 0, 30, 10, **NONE_GIVEN))) == repr(list(Pipelined(kept, RUN, 0, 30, 10)))
    assert given.requests == kept.requests


def test_takes_keyword_arguments() -> None:
    client = MemoryClient(BACKEND)
    scan = HistoryScan(client=client, run=RUN, min_step=10, max_step=30, page_size=15)
    assert [row["_step"] for row in scan] == list(range(10, 30))


def test_takes_steps_of_numpy() -> None:
    client = MemoryClient(BACKEND)
    scan = HistoryScan(client, RUN, numpy.int64(10), numpy.int32(30), 15)
    assert [row["_step"] for row in scan] == list(range(10, 30))
    assert [type(client.requests[0][1][name]) for name in ("minStep", "maxStep", "pageSize")] == [int, int, int]


def test_attributes_are_those_of_wandb() -> None:
    client = MemoryClient(BACKEND)
    scans: list[Any] = [HistoryScan(client, RUN, 5, 2_000, 10), WandbHistoryScan(client, RUN, 5, 2_000, 10)]
    names = ("client", "run", "page_size", "min_step", "_stop_step", "max_step", "page_offset", "scan_offset")

    def state(scan: Any) -> list[Any]:
        return [getattr(scan, name) for name in names] + row_texts(scan.rows)

    ours, theirs = scans
    assert state(ours) == state(theirs)
    for _ in range(13):
        next(ours)
        next(theirs)
        assert state(ours) == state(theirs)
    assert issubclass(HistoryScan, Iterator)
    assert iter(ours) is ours
    iter(theirs)
    assert state(ours) == state(theirs)
    with pytest.raises(AttributeError):
        ours.max_step = 3


def test_next_is_a_method_too_and_needs_no_iter() -> None:
    scan = HistoryScan(MemoryClient(BACKEND), RUN, 3, 5)
    assert scan.next()["_step"] == 3
    assert next(scan)["_step"] == 4
    with pytest.raises(StopIteration):
        scan.next()


def test_iter_starts_over() -> None:
    client = MemoryClient(BACKEND)
    scan = HistoryScan(client, RUN, 0, 30, 10)
    assert [row["_step"] for row, _ in zip(scan, range(12), strict=False)] == list(range(12))
    assert len(client.requests) == 2
    assert [row["_step"] for row in scan] == list(range(30))
    assert [row["_step"] for row in scan] == list(range(30))


def test_fetches_no_page_before_its_first_row_is_asked_for() -> None:
    client = MemoryClient(BACKEND)
    scan = HistoryScan(client, RUN, 0, 30, 10)
    assert client.requests == []
    for _ in range(10):
        next(scan)
    assert len(client.requests) == 1


def test_rows_is_the_list_of_the_page() -> None:
    scan = HistoryScan(MemoryClient(BACKEND), RUN, 0, 30, 10)
    first = next(scan)
    assert row_texts(scan.rows) == row_texts(training_rows(range(10)))
    scan.rows[1]["mark"] = True
    assert repr(scan.rows[0]) == repr(first)
    assert next(scan)["mark"] is True


def test_a_subclass_may_load_pages_in_its_own_way() -> None:
    class Countdown(HistoryScan):
        def _load_next(self) -> None:
            self.rows = [{"_step": self.page_offset}] if self.page_offset % 20 else []
            self.page_offset += self.page_size
            self.scan_offset = 0

    scan = Countdown(MemoryClient(BACKEND), RUN, 0, 60, 10)
    assert list(scan) == [{"_step": 10}, {"_step": 30}, {"_step": 50}]


def test_a_subclass_may_change_pages_once_loaded() -> None:
    class Marked(HistoryScan):
        def _load_next(self) -> None:
            super()._load_next()
            self.rows = [{"step": row["_step"]} for row in self.rows]

    assert list(Marked(MemoryClient(BACKEND), RUN, 0, 3)) == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_a_subclass_may_ask_another_document() -> None:
    class Quoted(HistoryScan):
        QUERY = gql.gql("query HistoryPage { project { run { history } } }")

    client = MemoryClient(BACKEND)
    next(Quoted(client, RUN, 0, 3))
    assert client.documents == [Quoted.QUERY]


def test_the_document_of_a_scan_is_that_of_gql() -> None:
    client = MemoryClient(BACKEND)
    next(HistoryScan(client, RUN, 0, 3))
    assert client.documents == [HistoryScan.QUERY]
    assert isinstance(HistoryScan.QUERY, gql.GraphQLRequest)
    assert HistoryScan.QUERY.variable_values is None


def test_the_wire_carries_the_operation_of_wandb(server: GraphQLServer) -> None:
    server.respond = answer_from(BACKEND)
    list(WandbHistoryScan(retrying_client(server.url), RUN, 0, 2_000))
    theirs = [request.payload for request in server.received]
    server.received.clear()
    list(HistoryScan(retrying_client(server.url), RUN, 0, 2_000))
    list(HistoryScan(Client(server.url), RUN, 0, 2_000))
    ours = [request.payload for request in server.received]

    def shape(payload: dict[str, Any]) -> Any:
        words = sorted(payload["query"].replace(",", " ").replace("(", " ").replace(")", " ").split())
        return words, payload["variables"]

    assert [shape(payload) for payload in ours] == [shape(payload) for payload in theirs] * 2


@pytest.mark.filterwarnings("error")
def test_takes_a_session_of_gql_too_and_leaves_the_document_as_it_is(server: GraphQLServer) -> None:
    server.respond = answer_from(BACKEND)
    transport = RequestsHTTPTransport(f"{server.url}/graphql")
    with gql.Client(transport=transport) as session:
        assert row_texts(HistoryScan(session, RUN, 0, 2_345)) == row_texts(BACKEND.rows)
    assert HistoryScan.QUERY.variable_values is None


def test_wandbs_client_may_be_subclassed(server: GraphQLServer) -> None:
    class Counting(RetryingClient):  # type: ignore[misc]
        count = 0

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return super().execute(*args, **kwargs)

    server.respond = answer_from(BACKEND)
    client = Counting(retrying_client(server.url)._client)
    assert row_texts(HistoryScan(client, RUN, 0, 2_345)) == row_texts(BACKEND.rows)
    assert client.count == 3


@pytest.mark.parametrize("page_size", [0, -1])
def test_refuses_pages_that_never_advance(page_size: int) -> None:
    with pytest.raises(ValueError, match="page_size must be at least 1"):
        HistoryScan(MemoryClient(BACKEND), RUN, 0, 10, page_size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("run", [RunName(project="none"), RunName(id="none")], ids=["project", "run"])
def test_says_which_run_was_not_found(server: GraphQLServer, kind: str, run: RunName) -> None:
    server.respond = answer_from(BACKEND)
    expected = CommError if kind == "RetryingClient" else RunNotFoundError
    with pytest.raises(expected, match=rf"run team/{run.project}/{run.id}, page \[0, 10\)"):
        list(HistoryScan(clients_of(server)[kind], run, 0, 10))


@pytest.mark.parametrize("kind", ["histscan.Client", "gql.Client"])
def test_passes_on_what_graphql_servers_complain_of(server: GraphQLServer, kind: str) -> None:
    server.respond = lambda request: json_answer({"data": None, "errors": [{"message": "samples must be below 10"}]})
    with pytest.raises(
        GraphQLResponseError, match=r"samples must be below 10.*run team/vision/a1b2c3d4, page \[0, 9\)"
    ):
        list(HistoryScan(clients_of(server)[kind], RUN, 0, 9))


@pytest.mark.parametrize("kind", ["histscan.Client", "gql.Client"])
def test_names_the_run_when_a_request_fails(server: GraphQLServer, kind: str) -> None:
    server.respond = lambda request: Answer(b"no such thing", status=410)
    with pytest.raises(HistoryRequestError, match=r"HTTP 410.*run team/vision/a1b2c3d4, page \[0, 9\)"):
        list(HistoryScan(clients_of(server)[kind], RUN, 0, 9))


def test_names_the_run_when_there_is_no_server() -> None:
    client = gql.Client(transport=RequestsHTTPTransport("http://127.0.0.1:1/graphql"))
    with pytest.raises(HistoryRequestError, match="run team/vision/a1b2c3d4"):
        list(HistoryScan(client, RUN, 0, 9))


def test_exceptions_with_wandbs_client_are_those_of_wandb(server: GraphQLServer) -> None:
    server.respond = lambda request: json_answer({"data": None, "errors": [{"message": "samples must be below 10"}]})
    with pytest.raises(CommError) as theirs:
        list(WandbHistoryScan(retrying_client(server.url), RUN, 0, 9))
    with pytest.raises(CommError) as ours:
        list(HistoryScan(retrying_client(server.url), RUN, 0, 9))
    assert str(ours.value) == str(theirs.value) == "samples must be below 10"


def test_a_clients_own_exceptions_pass() -> None:
    class Unplugged:
        def execute(self, document: Any, variable_values: Any) -> Any:
            raise KeyboardInterrupt

    class Broken:
        def execute(self, document: Any, variable_values: Any) -> Any:
            raise ZeroDivisionError("mine")

    with pytest.raises(KeyboardInterrupt):
        next(HistoryScan(Unplugged(), RUN, 0, 9))
    with pytest.raises(ZeroDivisionError, match=r"^mine$"):
        next(HistoryScan(Broken(), RUN, 0, 9))


WRONG_DATA: list[Any] = [
    None,
    [],
    {},
    {"project": []},
    {"project": {}},
    {"project": {"run": 3}},
    {"project": {"run": {}}},
    {"project": {"run": {"history": None}}},
    {"project": {"run": {"history": {}}}},
    {"project": {"run": {"history": [{"_step": 0}]}}},
]


@pytest.mark.parametrize("data", WRONG_DATA, ids=json.dumps)
def test_says_when_an_answer_has_another_shape(server: GraphQLServer, data: Any) -> None:
    class Fixed:
        def execute(self, document: Any, variable_values: Any) -> Any:
            return data

    server.respond = lambda request: data_answer(data)
    for client in (Fixed(), Client(server.url)):
        with pytest.raises(ResponseShapeError, match=r"run team/vision/a1b2c3d4, page \[0, 9\)"):
            next(HistoryScan(client, RUN, 0, 9))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_before_a_malformed_one_are_delivered(server: GraphQLServer, kind: str) -> None:
    backend = HistoryBackend(training_rows(range(20)), row_texts={13: '{"loss": 1.5, "_step": oops}'})
    server.respond = answer_from(backend)
    client = MemoryClient(backend) if kind == "any other" else clients_of(server)[kind]
    scan = HistoryScan(client, RUN, 0, 20, 10)
    for _ in range(2):
        delivered: list[Any] = []
        with pytest.raises(HistoryDecodeError, match=r"run team/vision/a1b2c3d4, page \[10, 20\), row 3") as failure:
            collect(scan, delivered)
        assert [row["_step"] for row in delivered] == list(range(13))
        assert isinstance(failure.value, ValueError)
        assert failure.value.byte == '{"loss": 1.5, "_step": oops}'.index("oops")


def test_goes_on_after_an_error(server: GraphQLServer) -> None:
    def fail(request: Any) -> Answer:
        return Answer(b"", status=400)

    server.respond = answer_from(BACKEND)
    scan = HistoryScan(Client(server.url), RUN, 0, 30, 10)
    assert [next(scan)["_step"] for _ in range(10)] == list(range(10))
    server.respond = fail
    for _ in range(2):
        with pytest.raises(HistoryRequestError):
            next(scan)
    server.respond = answer_from(BACKEND)
    assert next(scan)["_step"] == 10
    assert [row["_step"] for row in scan] == list(range(30))


def test_a_body_that_breaks_off_gives_its_whole_rows_first(server: GraphQLServer) -> None:
    whole = answer_from(BACKEND)

    def break_off(request: Any) -> Answer:
        body = whole(request).body
        return Answer(body[: body.index(b"step 6 ")])

    server.respond = break_off
    scan = HistoryScan(Client(server.url, retries=0), RUN, 0, 10)
    assert [next(scan)["_step"] for _ in range(6)] == list(range(6))
    with pytest.raises(HistoryDecodeError, match=r"run team/vision/a1b2c3d4, page \[0, 10\)"):
        next(scan)


def test_classes_are_exported() -> None:
    assert histscan.HistoryScan is HistoryScan
