"""Adaptive windows return the rows of fixed ones, in fewer requests where rows are sparse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wandb.errors import CommError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from histscan.errors import GraphQLResponseError, HistoryRequestError
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from histscan.paging.windows import Window, make_windows
from tests.support.fake_service import FakeService, service_rows
from tests.support.graphql_server import GraphQLServer, answer_from, json_answer
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient, row_texts, training_rows
from tests.support.prefetching import first_step
from tests.support.retrying_client import retrying_client

WIDEST = 64
GROWTH = 8


class CappedBackend(HistoryBackend):
    """Returns at most a fixed number of rows in an answer, whatever is requested."""

    cap = 10**9

    def answer(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        if "spec" in variables:
            spec = json.loads(variables["spec"])
            spec["samples"] = min(spec["samples"], self.cap)
            return super().answer(operation, {**variables, "spec": json.dumps(spec)})
        return super().answer(operation, {**variables, "pageSize": min(variables["pageSize"], self.cap)})


def history_scan(backend: HistoryBackend, stop: int, page_size: int, **options: Any) -> tuple[Any, Callable[[], int]]:
    client = MemoryClient(backend)
    return HistoryScan(client, RUN, 0, stop, page_size, **options), lambda: len(client.requests)


def sampled_scan(backend: HistoryBackend, stop: int, page_size: int, **options: Any) -> tuple[Any, Callable[[], int]]:
    client = MemoryClient(backend)
    scan = SampledHistoryScan(client, RUN, ["loss", "_step"], 0, stop, page_size, **options)
    return scan, lambda: len(client.requests)


def service_scan(backend: HistoryBackend, stop: int, page_size: int, **options: Any) -> tuple[Any, Callable[[], int]]:
    service = FakeService(service_rows(backend.rows))
    return BetaHistoryScan(service, RUN, 0, stop, None, page_size, **options), lambda: len(service.windows)


MAKES = pytest.mark.parametrize("make", [history_scan, sampled_scan, service_scan])


@st.composite
def densities(draw: st.DrawFn) -> tuple[list[int], int]:
    """Steps with rows, in stretches of different density, and the step to stop at."""
    steps: list[int] = []
    first = 0
    for _ in range(draw(st.integers(1, 5))):
        length, distance = draw(st.integers(0, 250)), draw(st.sampled_from([1, 1, 2, 3, 7, 50, 250]))
        steps += range(first, first + length, distance)
        first += length
    return steps, draw(st.integers(0, first + 100))


@MAKES
@given(
    run=densities(),
    page_size=st.integers(1, 40),
    prefetch=st.integers(0, 5),
    spare=st.one_of(st.integers(1, 40), st.just(10**6)),
)
@example(run=([*range(0, 500, 100), *range(500, 700)], 700), page_size=5, prefetch=0, spare=1)
def test_rows_are_those_of_fixed_windows(
    make: Any, run: tuple[list[int], int], page_size: int, prefetch: int, spare: int
) -> None:
    steps, stop = run
    backend = CappedBackend(training_rows(steps))
    # A server's own limit is higher than the rows of a fixed window.
    backend.cap = page_size + spare
    fixed, _ = make(backend, stop, page_size)
    adaptive, _ = make(backend, stop, page_size, window="adaptive", prefetch=prefetch)
    expected = row_texts(fixed)
    assert len(expected) == len([step for step in steps if step < stop])
    assert row_texts(adaptive) == expected
    assert row_texts(adaptive) == expected


@MAKES
@pytest.mark.parametrize("prefetch", [0, 1, 4, 6, 8])
def test_a_sparse_run_takes_few_requests(make: Any, prefetch: int) -> None:
    backend = HistoryBackend({"_step": step, "loss": 0.5} for step in range(0, 1_000_000, 1_000))
    scan, requests = make(backend, 1_000_000, 1_000, window="adaptive", prefetch=prefetch)
    assert [row["_step"] for row in scan] == list(range(0, 1_000_000, 1_000))
    assert requests() <= 40


def test_fixed_windows_are_the_default() -> None:
    backend = HistoryBackend({"_step": step, "loss": 0.5} for step in range(0, 100_000, 1_000))
    scan, requests = history_scan(backend, 100_000, 1_000)
    assert len(list(scan)) == 100
    assert requests() == 100


@MAKES
@pytest.mark.parametrize("prefetch", [0, 4])
def test_a_dense_run_takes_one_request_a_page(make: Any, prefetch: int) -> None:
    scan, requests = make(HistoryBackend(training_rows(range(2_000))), 2_000, 100, window="adaptive", prefetch=prefetch)
    for step in range(2_000):
        assert next(scan)["_step"] == step
        assert len(scan.rows) == 100
    assert requests() == 20


@pytest.mark.parametrize("prefetch", [0, 4])
def test_each_answer_may_have_a_row_for_each_step(prefetch: int) -> None:
    client = MemoryClient(HistoryBackend({"_step": step, "loss": 0.5} for step in range(0, 50_000, 500)))
    list(HistoryScan(client, RUN, 0, 50_000, 100, window="adaptive", prefetch=prefetch))
    list(SampledHistoryScan(client, RUN, ["loss"], 0, 50_000, 100, window="adaptive", prefetch=prefetch))
    widths = []
    for operation, variables in client.requests:
        if operation == "HistoryPage":
            assert variables["pageSize"] >= variables["maxStep"] - variables["minStep"]
            widths.append(variables["pageSize"])
        else:
            spec = json.loads(variables["spec"])
            assert spec["samples"] == spec["maxStep"] - spec["minStep"] + 1
    assert max(widths) == WIDEST * 100


@given(run=densities(), page_size=st.integers(1, 40), prefetch=st.integers(0, 6))
def test_what_a_scan_asks_for_is_bounded(run: tuple[list[int], int], page_size: int, prefetch: int) -> None:
    steps, stop = run
    client = MemoryClient(HistoryBackend(training_rows(steps)))
    scan = HistoryScan(client, RUN, 0, stop, page_size, window="adaptive", prefetch=prefetch)
    widest = page_size
    for _ in scan:
        # The accepted page has less than a page of rows, or is an ordinary page.
        assert len(scan.rows) <= page_size
        requests = [variables for _, variables in list(client.requests)]
        stops = [sent["maxStep"] for sent in requests if sent["maxStep"] - sent["minStep"] <= sent["pageSize"]]
        assert max(stops) - scan.page_offset <= 2 * WIDEST * page_size
    for _, variables in sorted(client.requests, key=lambda request: first_step(request[1])):
        assert variables["pageSize"] <= min(GROWTH * widest, WIDEST * page_size)
        widest = max(widest, variables["pageSize"])


def rows(number: int) -> list[Any]:
    return [{}] * number


def test_one_dense_answer_makes_windows_narrow_again() -> None:
    windows = make_windows("adaptive", 100)
    assert windows.accepts(windows.plan(0, 10**6), rows(0))
    wide = windows.plan(100, 10**6)
    assert wide == Window(100, 900, 800)
    assert not windows.accepts(wide, rows(100))
    assert windows.plan(100, 10**6) == Window(100, 200, 100)
    assert windows.accepts(windows.plan(100, 10**6), rows(100))
    assert windows.plan(200, 10**6) == Window(200, 300, 100)


def test_windows_fit_the_density() -> None:
    windows = make_windows("adaptive", 100)
    assert windows.accepts(windows.plan(0, 10**6), rows(10))
    assert windows.plan(100, 10**6).width == 500
    assert windows.accepts(windows.plan(100, 10**6), rows(50))
    assert windows.plan(600, 10**6).width == 500
    assert windows.plan(600, 700) == Window(600, 700, 500)


def test_a_burst_costs_one_answer_at_most_for_a_page_of_its_rows() -> None:
    steps = [*range(0, 100_000, 1_000), *range(100_000, 103_000), *range(103_000, 200_000, 1_000)]
    scan, requests = history_scan(HistoryBackend(training_rows(steps)), 200_000, 100, window="adaptive")
    assert [row["_step"] for row in scan] == steps
    assert requests() <= 30 + 2 * 30


def test_windows_are_never_wider_than_a_request_can_say() -> None:
    windows = make_windows("adaptive", 2**30)
    for _ in range(3):
        assert windows.accepts(windows.plan(0, 2**62), rows(0))
    assert windows.plan(0, 2**62).width == 2**31 - 1


def test_takes_steps_of_numpy() -> None:
    client = MemoryClient(HistoryBackend(training_rows(range(0, 5_000, 100))))
    scan: Any = HistoryScan(client, RUN, numpy.int64(10), numpy.int64(4_321), 15, window="adaptive", prefetch=2)
    assert [row["_step"] for row in scan] == list(range(100, 4_321, 100))
    assert {type(variables["pageSize"]) for _, variables in client.requests} == {int}


# Servers that refuse wide windows


@pytest.mark.parametrize("prefetch", [0, 3])
def test_windows_stay_narrow_where_a_server_refuses_wide_ones(prefetch: int) -> None:
    class Strict(MemoryClient):
        refused = 0

        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            if variable_values["pageSize"] > 100:
                self.refused += 1
                raise GraphQLResponseError("samples must be 100 at most")
            return super().execute(document, variable_values)

    steps = list(range(0, 10_000, 500))
    client = Strict(HistoryBackend(training_rows(steps)))
    scan = HistoryScan(client, RUN, 0, 10_000, 100, window="adaptive", prefetch=prefetch)
    assert [row["_step"] for row in scan] == steps
    assert 1 <= client.refused <= 1 + prefetch


def test_wandbs_errors_are_told_apart(server: GraphQLServer) -> None:
    whole = answer_from(HistoryBackend(training_rows(range(0, 10_000, 500))))

    def refuse_wide_ones(request: Any) -> Any:
        if request.payload["variables"]["pageSize"] > 100:
            return json_answer({"data": None, "errors": [{"message": "samples must be 100 at most"}]})
        return whole(request)

    server.respond = refuse_wide_ones
    scan = HistoryScan(retrying_client(server.url), RUN, 0, 10_000, 100, window="adaptive")
    assert len(list(scan)) == 20

    class Failing(FakeService):
        error: BaseException | None = None

        def send_api_request(self, request: Any, timeout: float | None = None) -> Any:
            window = request.read_run_history_request.scan_run_history
            if self.error is not None and window.max_step - window.min_step > 100:
                raise self.error
            return super().send_api_request(request, timeout)

    service = Failing(service_rows(training_rows(range(0, 10_000, 500))))
    service.error = WandbApiFailedError("too wide", response=None)
    assert len(list(BetaHistoryScan(service, RUN, 0, 10_000, None, 100, window="adaptive"))) == 20


@pytest.mark.parametrize("prefetch", [0, 3])
def test_a_refusal_of_an_ordinary_window_is_an_error(prefetch: int) -> None:
    class Refusing(MemoryClient):
        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            if variable_values["minStep"] <= 5_000 < variable_values["maxStep"]:
                raise GraphQLResponseError("no")
            return super().execute(document, variable_values)

    client = Refusing(HistoryBackend(training_rows(range(0, 10_000, 500))))
    scan = HistoryScan(client, RUN, 0, 10_000, 100, window="adaptive", prefetch=prefetch)
    seen: list[int] = []
    with pytest.raises(GraphQLResponseError, match=r"page \[5000, 5100\)"):
        seen.extend(row["_step"] for row in scan)
    assert [row["_step"] for _, row in zip(range(10), scan, strict=False)] == list(range(0, 5_000, 500))


@pytest.mark.parametrize("prefetch", [0, 3])
def test_a_server_that_fails_is_not_asked_again_in_narrower_windows(prefetch: int) -> None:
    class Failing(MemoryClient):
        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            answer = super().execute(document, variable_values)
            if variable_values["minStep"] > 0:
                raise HistoryRequestError("HTTP 500")
            return answer

    client = Failing(HistoryBackend(training_rows(range(0, 10_000, 500))))
    scan = HistoryScan(client, RUN, 0, 10_000, 100, window="adaptive", prefetch=prefetch)
    assert next(scan)["_step"] == 0
    with pytest.raises(HistoryRequestError, match="HTTP 500"):
        next(scan)
    asked = [variables["minStep"] for _, variables in client.requests]
    assert len(asked) == len(set(asked))


def test_a_failure_of_wandbs_client_is_not_a_refusal(server: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_TEST", "1")  # no retries
    whole = answer_from(HistoryBackend([]))
    asked: list[int] = []

    def fail_after_the_first(request: Any) -> Any:
        asked.append(request.payload["variables"]["minStep"])
        return whole(request) if len(asked) == 1 else json_answer({"errors": [{"message": "down"}]}, status=500)

    server.respond = fail_after_the_first
    with pytest.raises(CommError):
        list(HistoryScan(retrying_client(server.url), RUN, 0, 10_000, 100, window="adaptive"))
    assert asked == [0, 100]
