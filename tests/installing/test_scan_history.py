"""With install(), `Run.scan_history` returns the scans of wandb 0.26.1's, with fewer requests."""

from __future__ import annotations

import copy
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pytest
from wandb.apis import public
from wandb.apis.public import api as public_api

from histscan.errors import HistoryDecodeError, InstallError
from histscan.installing.installation import install, installed, uninstall
from tests.support.graphql_server import Answer, GraphQLServer, Received, Respond, answer_from, data_answer, json_answer
from tests.support.history_backend import RUN, HistoryBackend, collect, row_texts, training_rows
from tests.support.install_places import SCAN_HISTORY, is_installed
from tests.support.retrying_client import retrying_client

# Every second step has a row, so that rows and steps differ in number.
ROWS = training_rows(range(1, 100, 2))
KEYS = ["loss", "accuracy"]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    uninstall()
    assert not is_installed()


@pytest.fixture
def backend(server: GraphQLServer) -> HistoryBackend:
    """The run's rows on the server. wandb's class would lose rows of keys with an inclusive `maxStep`."""
    found = HistoryBackend(ROWS, inclusive=False)
    server.respond = answer_from(found)
    return found


def run_on(
    server: GraphQLServer,
    *,
    rows: object = len(ROWS),
    run_class: Any = public.Run,
    project: str = RUN.project,
    run_id: str = RUN.id,
    client: Any = None,
) -> Any:
    """wandb's object for the run, as `Api.runs` makes it from a list."""
    attributes = {"name": run_id, "state": "finished", "historyLineCount": rows}
    return run_class(client or retrying_client(server.url), RUN.entity, project, run_id, attrs=attributes)


class Outcome(NamedTuple):
    """What a scan came to.

    Attributes:
        made: The class of what `scan_history` returned, and its steps and page size.
        rows: The rows until the end, or until the exception.
        error: The exception.
        requests: The operations that were requested.
    """

    made: tuple[Any, ...]
    rows: list[str]
    error: str
    requests: list[str]


def outcome(run: Any, server: GraphQLServer, *positional: Any, **arguments: Any) -> Outcome:
    made: tuple[Any, ...] = ()
    rows: list[Any] = []
    error = ""
    server.received.clear()
    try:
        scan = run.scan_history(*positional, **arguments)
        names = ("run", "client", "keys", "min_step", "max_step", "page_size")
        made = (type(scan).__name__, *(getattr(scan, name, None) for name in names))
        for row in scan:
            rows.append(row)
    except Exception as raised:
        error = f"{type(raised).__qualname__} {raised} {getattr(raised, 'exc', None)!r}"
    return Outcome(made, row_texts(rows), error, [request.operation for request in server.received])


def both(run: Any, server: GraphQLServer, *positional: Any, **arguments: Any) -> tuple[Outcome, Outcome]:
    """What wandb's classes and ours come to; fails unless it is the same."""
    theirs = outcome(run, server, *positional, **arguments)
    with installed():
        ours = outcome(run, server, *positional, **arguments)
    assert ours[:3] == theirs[:3]
    return theirs, ours


FITTING: list[dict[str, Any]] = [
    {},
    {"page_size": 51},
    {"min_step": 30},
    {"min_step": -5},
    {"max_step": 40},
    {"max_step": 99},
    {"max_step": 100},
    {"max_step": 5_000},
    {"min_step": 20, "max_step": 60},
    {"min_step": 98, "page_size": 51},
    {"keys": ["loss"]},
    {"keys": KEYS},
    {"keys": [*KEYS, "_step"], "page_size": 120},
    {"keys": KEYS, "min_step": 20, "max_step": 60},
    {"keys": ["loss", "absent"]},
]
OTHERS: list[dict[str, Any]] = [
    {"page_size": 49},
    {"page_size": 7},
    {"page_size": 7, "keys": KEYS},
    {"min_step": 5_000},
    {"min_step": 60, "max_step": 20},
    {"max_step": 0},
    {"keys": []},
    {"keys": ("loss",)},
    {"keys": [1]},
    {"keys": ["loss", 1]},
    {"keys": "loss"},
    {"min_step": np.int64(20), "max_step": np.int64(60)},
    {"page_size": np.int64(100)},
    {"min_step": True},
    {"max_step": "40"},
    {"page_size": 1_000.0},
]


@pytest.mark.parametrize("arguments", FITTING, ids=str)
def test_one_request_if_a_page_has_all_rows(
    arguments: dict[str, Any], server: GraphQLServer, backend: HistoryBackend
) -> None:
    theirs, ours = both(run_on(server), server, **arguments)
    assert ours.requests == ["FirstPageOfKeys" if "keys" in arguments else "FirstPage"]
    assert len(theirs.requests) >= 2


@pytest.mark.parametrize("arguments", OTHERS, ids=str)
def test_other_arguments(
    arguments: dict[str, Any],
    server: GraphQLServer,
    backend: HistoryBackend,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = run_on(server)
    theirs = outcome(run, server, **arguments)
    shown = capsys.readouterr()
    with installed(prefetch=0):
        ours = outcome(run, server, **arguments)
    assert ours[:3] == theirs[:3]
    assert len(ours.requests) <= len(theirs.requests)
    assert capsys.readouterr() == shown


def test_positional_arguments(server: GraphQLServer, backend: HistoryBackend) -> None:
    _, ours = both(run_on(server), server, KEYS, 200, 10, 60)
    assert ours.requests == ["FirstPageOfKeys"]
    for wrong in ((KEYS, 200, 10, 60, 1), ()):
        both(run_on(server), server, *wrong, **({} if wrong else {"pagesize": 3}))


@pytest.mark.parametrize("rows", [None, "50", 0, 1, 10, 49, 51, 10**9], ids=str)
@pytest.mark.parametrize("page_size", [20, 50, 1_000])
def test_outdated_numbers_of_rows(rows: object, page_size: int, server: GraphQLServer, backend: HistoryBackend) -> None:
    run = run_on(server, rows=rows)
    both(run, server, page_size=page_size)
    both(run, server, page_size=page_size, keys=KEYS)


def test_a_run_of_unknown_length(server: GraphQLServer, backend: HistoryBackend) -> None:
    run = run_on(server)
    del run._attrs["historyLineCount"]
    _, ours = both(run, server)
    assert ours.requests == ["RunHistoryKeys", "HistoryPage"]


def test_sparse_rows_take_one_request(server: GraphQLServer) -> None:
    backend = HistoryBackend(training_rows(range(0, 40_000, 1_000)), inclusive=False)
    server.respond = answer_from(backend)
    run = run_on(server, rows=40)
    for arguments in ({}, {"keys": ["loss"]}):
        theirs, ours = both(run, server, **arguments)
        assert len(theirs.requests) == 41
        assert len(ours.requests) == 1
    with installed(window="fixed", prefetch=0):
        fixed = outcome(run, server)
    assert len(fixed.rows) == 40
    assert fixed.requests == ["FirstPage", *["HistoryPage"] * 39]


def test_an_empty_history(server: GraphQLServer) -> None:
    server.respond = answer_from(HistoryBackend([]))
    for rows, requests in ((0, ["RunHistoryKeys"]), (3, ["FirstPage"])):
        _, ours = both(run_on(server, rows=rows), server)
        assert ours.rows == []
        assert ours.requests == requests


@pytest.mark.parametrize("names", [{"project": "other"}, {"run_id": "other"}], ids=str)
@pytest.mark.parametrize("arguments", [{}, {"keys": KEYS}], ids=str)
def test_missing_runs(
    names: dict[str, str], arguments: dict[str, Any], server: GraphQLServer, backend: HistoryBackend
) -> None:
    run: Any = run_on(server, project=names.get("project", RUN.project), run_id=names.get("run_id", RUN.id))
    install()
    assert outcome(run, server, **arguments).requests[1:] == ["RunHistoryKeys"]
    # Another run of the same client is read with one request still.
    assert outcome(run_on(server, client=run.client), server).requests == ["FirstPage"]
    uninstall()
    both(run, server, **arguments)


def respond_to(operations: tuple[str, ...], answer: Callable[[], Answer], otherwise: Respond) -> Respond:
    def respond(request: Received) -> Answer:
        return answer() if request.operation in operations else otherwise(request)

    return respond


FIRST = ("FirstPage", "FirstPageOfKeys")
PAGES = ("HistoryPage", "SampledHistoryPage")
REFUSAL = {"errors": [{"message": "the query is too complex"}]}


@pytest.mark.parametrize("arguments", [{}, {"keys": KEYS}], ids=str)
def test_a_refusal_is_remembered_for_the_client(
    arguments: dict[str, Any], server: GraphQLServer, backend: HistoryBackend
) -> None:
    server.respond = respond_to(FIRST, lambda: json_answer(REFUSAL), answer_from(backend))
    run = run_on(server)
    install()
    refused, later = outcome(run, server, **arguments), outcome(run, server)
    assert refused.requests[1:] == ["RunHistoryKeys", "SampledHistoryPage" if arguments else "HistoryPage"]
    assert refused.requests[0] in FIRST
    assert later.requests == ["RunHistoryKeys", "HistoryPage"]
    assert outcome(run_on(server), server).requests[0] in FIRST
    uninstall()
    theirs = outcome(run, server, **arguments)
    assert theirs[:3] == refused[:3]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_failures_of_both_requests_together(status: int, server: GraphQLServer, backend: HistoryBackend) -> None:
    server.respond = respond_to(FIRST, lambda: json_answer(REFUSAL, status), answer_from(backend))
    _, ours = both(run_on(server), server)
    assert ours.requests == ["FirstPage", "RunHistoryKeys", "HistoryPage"]


@pytest.mark.parametrize("failing", [("RunHistoryKeys",), PAGES, (*PAGES, "RunHistoryKeys")], ids=str)
@pytest.mark.parametrize("status", [200, 400, 403])
def test_errors_are_raised_where_wandb_raises_them(
    failing: tuple[str, ...], status: int, server: GraphQLServer, backend: HistoryBackend
) -> None:
    server.respond = respond_to((*FIRST, *failing), lambda: json_answer(REFUSAL, status), answer_from(backend))
    for arguments in ({}, {"keys": KEYS}):
        theirs, ours = both(run_on(server), server, **arguments)
        assert theirs.error
        assert ours.requests[1:] == theirs.requests


def test_an_unreachable_server_is_tried_once(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_api, "RETRY_TIMEDELTA", timedelta(0))
    run = run_on(server)
    run.client._client.transport.url = "http://127.0.0.1:1/graphql"
    posts: list[str] = []
    session = run.client._client.transport.session
    send = session.send

    def spy(*arguments: Any, **options: Any) -> Any:
        posts.append("sent")
        return send(*arguments, **options)

    monkeypatch.setattr(session, "send", spy)

    def failure() -> str:
        posts.clear()
        with pytest.raises(Exception, match="Connection refused") as caught:
            run.scan_history()
        return f"{type(caught.value)} {len(posts)}"

    theirs = failure()
    with installed():
        assert failure() == theirs


@pytest.mark.parametrize("steps", [None, "[]", "text", '{"lastStep": "9"}', '{"lastStep": null}', "{}"], ids=str)
def test_other_answers_for_the_last_step(steps: str | None, server: GraphQLServer, backend: HistoryBackend) -> None:
    keys: Any = steps if steps in (None, "text") else json.loads(str(steps))

    def respond(request: Received) -> Answer:
        data = backend.answer(request.operation, request.payload["variables"])
        if "historyKeys" in data["project"]["run"]:
            data["project"]["run"]["historyKeys"] = keys
        return data_answer(data)

    server.respond = respond
    both(run_on(server), server)
    both(run_on(server), server, max_step=10)


def test_a_malformed_row_is_reported_when_it_is_reached(server: GraphQLServer) -> None:
    for step in (41, 99):
        backend = HistoryBackend(ROWS, row_texts={step: '{"_step": nil}'})
        server.respond = answer_from(backend)
        with installed():
            scan = run_on(server).scan_history()
            rows: list[Any] = []
            with pytest.raises(HistoryDecodeError):
                collect(scan, into=rows)
        assert row_texts(rows) == row_texts(row for row in ROWS if row["_step"] < step)


# The snapshot that a scan reads


def test_rows_logged_later_are_not_read(server: GraphQLServer, backend: HistoryBackend) -> None:
    run = run_on(server)
    expected = row_texts(ROWS)
    later = HistoryBackend(training_rows(range(1, 200, 2)), inclusive=False)
    with installed():
        for arguments in ({}, {"keys": list(ROWS[1])}):
            server.respond = answer_from(backend)
            scan = run.scan_history(**arguments)
            assert scan.max_step == 99
            server.respond = answer_from(later)
            first = row_texts(scan)
            assert row_texts(scan) == first
            if not arguments:
                assert first == expected


def test_rows_logged_between_last_step_and_page(server: GraphQLServer, backend: HistoryBackend) -> None:
    """A server may read the last step first, and a row may be logged before it reads the page."""

    def respond(request: Received) -> Answer:
        data = backend.answer(request.operation, request.payload["variables"])
        if "historyKeys" in data["project"]["run"]:
            data["project"]["run"]["historyKeys"]["lastStep"] = 49
        return data_answer(data)

    server.respond = respond
    for arguments in ({}, {"keys": ["loss"]}):
        both(run_on(server), server, **arguments)


def test_scans_start_over(server: GraphQLServer, backend: HistoryBackend) -> None:
    with installed():
        scan = run_on(server).scan_history()
        assert row_texts(scan) == row_texts(scan) == row_texts(ROWS)
        assert [request.operation for request in server.received] == ["FirstPage", "HistoryPage"]
        assert row_texts(copy.copy(scan)) == row_texts(ROWS)


def test_columns_take_one_request(server: GraphQLServer, backend: HistoryBackend) -> None:
    with installed():
        table = run_on(server).scan_history().to_arrow()
    assert table.column("_step").to_pylist() == [row["_step"] for row in ROWS]
    assert [request.operation for request in server.received] == ["FirstPage"]


# Options


def test_deadlines_and_files_need_both_requests(server: GraphQLServer, backend: HistoryBackend) -> None:
    run = run_on(server)
    with installed(deadline=60):
        assert outcome(run, server).requests == ["RunHistoryKeys", "HistoryPage"]
    with installed(source="parquet"):
        scan = run.scan_history()
        assert [request.operation for request in server.received[2:]] == ["RunHistoryKeys"]
        del scan
    with installed(source="auto"):
        assert outcome(run, server).requests == ["FirstPage"]


def test_auto_needs_no_files_if_the_page_has_all_rows(server: GraphQLServer) -> None:
    rows = training_rows(range(0, 40_000, 1_000))
    server.respond = answer_from(HistoryBackend(rows))
    with installed(source="auto"):
        scan = run_on(server, rows=40).scan_history()
        assert row_texts(scan) == row_texts(scan) == row_texts(rows)
    assert [request.operation for request in server.received] == ["FirstPage", "HistoryPage"]


# Runs and clients of other kinds

_Run: Any = public.Run


class _Derived(_Run):  # type: ignore[misc]
    pass


class _OwnLastStep(_Run):  # type: ignore[misc]
    @property
    def lastHistoryStep(self) -> int:
        return 49


class _OwnMethod(_Run):  # type: ignore[misc]
    def scan_history(self, *arguments: Any, **options: Any) -> Any:
        return super().scan_history(*arguments, **options | {"max_step": 20})


class _OwnRequests(_Run):  # type: ignore[misc]
    def _exec(self, query: Any, **variables: Any) -> Any:
        return super()._exec(query, **variables)


@pytest.mark.parametrize(
    ("run_class", "requests"),
    [
        (_Derived, ["FirstPage"]),
        (_OwnMethod, ["FirstPage"]),
        (_OwnLastStep, ["HistoryPage"]),
        (_OwnRequests, ["RunHistoryKeys", "HistoryPage"]),
    ],
)
def test_subclasses(run_class: type, requests: list[str], server: GraphQLServer, backend: HistoryBackend) -> None:
    _, ours = both(run_on(server, run_class=run_class), server)
    assert ours.requests == requests


def test_modified_clients_get_wandbs_requests(
    server: GraphQLServer, backend: HistoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_on(server)
    execute = run.client.execute
    monkeypatch.setattr(run.client, "execute", lambda *given, **options: execute(*given, **options))
    theirs, ours = both(run, server)
    assert ours.requests == theirs.requests


def test_threads_share_a_client(server: GraphQLServer, backend: HistoryBackend) -> None:
    run = run_on(server)
    found: list[list[str]] = []
    with installed():
        threads = [
            threading.Thread(target=lambda: found.extend(row_texts(run.scan_history()) for _ in range(10)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == [row_texts(ROWS)] * 40
    assert [request.operation for request in server.received] == ["FirstPage"] * 40


# The method


def test_name_signature_and_docstring_are_wandbs() -> None:
    with installed():
        ours = public.Run.scan_history
        assert ours is not SCAN_HISTORY
        assert inspect.signature(ours) == inspect.signature(SCAN_HISTORY)
        for name in ("__doc__", "__name__", "__qualname__", "__module__"):
            assert getattr(ours, name) == getattr(SCAN_HISTORY, name)
    assert public.Run.scan_history is SCAN_HISTORY


def test_the_last_step_takes_a_request_each_time(server: GraphQLServer, backend: HistoryBackend) -> None:
    run = run_on(server)
    with installed():
        list(run.scan_history())
        server.received.clear()
        assert run.lastHistoryStep == run.lastHistoryStep == 99
    assert [request.operation for request in server.received] == ["RunHistoryKeys"] * 2


def test_a_method_that_was_kept_works_without_the_installation(server: GraphQLServer, backend: HistoryBackend) -> None:
    install()
    kept = run_on(server).scan_history
    uninstall()
    scan = kept()
    assert type(scan) is public.HistoryScan
    assert row_texts(scan) == row_texts(ROWS)
    assert [request.operation for request in server.received] == ["RunHistoryKeys", "HistoryPage"]


def test_another_method_is_left_in_place(
    server: GraphQLServer, backend: HistoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan_history(self: Any, keys: Any = None, page_size: Any = 1_000, min_step: Any = None) -> Any:
        return SCAN_HISTORY(self, keys, page_size, min_step)

    def clamping_otherwise(
        self: Any, keys: Any = None, page_size: Any = 1_000, min_step: Any = None, max_step: Any = None
    ) -> Any:
        if max_step is not None:
            return SCAN_HISTORY(self, keys, page_size, min_step, max_step + 1)
        return SCAN_HISTORY(self, keys, page_size, min_step)

    for other in (scan_history, clamping_otherwise):
        other.__module__ = SCAN_HISTORY.__module__
        # The method from which install() learns which classes are created.
        other.__wrapped__ = SCAN_HISTORY  # type: ignore[attr-defined]
        with monkeypatch.context() as patch:
            patch.setattr(public.Run, "scan_history", other)
            patch.delattr(other, "__signature__", raising=False)
            with installed():
                assert public.Run.scan_history is other
                assert row_texts(run_on(server).scan_history()) == row_texts(ROWS)
            assert public.Run.scan_history is other


def test_a_method_that_was_replaced_later_is_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    install()
    with monkeypatch.context() as patch:
        patch.setattr(public.Run, "scan_history", lambda _: [])
        with pytest.raises(InstallError, match=r"`wandb\.apis\.public\.runs\.Run\.scan_history` was replaced after"):
            uninstall()
    uninstall()
    assert not is_installed()
