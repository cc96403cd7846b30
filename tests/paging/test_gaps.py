"""Steps without rows, before the first row or between others, cost a handful of requests and no row."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from histscan.errors import GraphQLResponseError
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from tests.support.fake_service import FakeService, service_rows
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient
from tests.support.log_samples import steps_of

Sample = Callable[[list[Any], int], list[Any]]


def evenly(found: list[Any], samples: int) -> list[Any]:
    """First row and last row, and others between them."""
    return [found[index * (len(found) - 1) // max(1, samples - 1)] for index in range(samples)]


def from_the_middle(found: list[Any], samples: int) -> list[Any]:
    return found[len(found) // 2 :][:samples]


def the_last(found: list[Any], samples: int) -> list[Any]:
    return found[-samples:]


def by_chance(found: list[Any], samples: int) -> list[Any]:
    draw = random.Random(samples)
    chosen = sorted(draw.sample(range(len(found)), samples))
    return [found[place] for place in chosen]


SAMPLES = (evenly, from_the_middle, the_last, by_chance)


class SamplingClient(MemoryClient):
    """Samples rows in a way of its own.

    Args:
        steps: The steps of the run's rows.
        sample: Chooses some of too many rows.
        inclusive: Whether `sampledHistory` takes `maxStep` as inclusive.
    """

    def __init__(self, steps: list[int], sample: Sample = evenly, *, inclusive: bool = True) -> None:
        super().__init__(HistoryBackend(({"_step": step, "loss": 0.5} for step in steps), inclusive=inclusive))
        self._sample = sample

    def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
        allowed, unlimited = _without_limit(variable_values)
        run = super().execute(document, unlimited)["project"]["run"]
        ((field, found),) = run.items()
        rows = found[0] if field == "sampledHistory" else found
        rows = self._sample(rows, allowed) if len(rows) > allowed else rows
        return {"project": {"run": {field: [rows] if field == "sampledHistory" else rows}}}


def _without_limit(variables: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The rows that a request allows, and the same request without a limit."""
    if "spec" in variables:
        spec = json.loads(variables["spec"])
        return spec["samples"], {**variables, "spec": json.dumps({**spec, "samples": 10**9})}
    return variables["pageSize"], {**variables, "pageSize": 10**9}


def history_scan(client: MemoryClient, *arguments: Any, **options: Any) -> Any:
    return HistoryScan(client, RUN, *arguments, window="adaptive", **options)


def sampled_scan(client: MemoryClient, *arguments: Any, **options: Any) -> Any:
    return SampledHistoryScan(client, RUN, ["_step"], *arguments, window="adaptive", **options)


MAKES = pytest.mark.parametrize("make", [history_scan, sampled_scan])


@st.composite
def gapped_runs(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Steps with rows, in stretches far from each other; and where to begin and to stop."""
    begin = first = draw(st.sampled_from([0, 0, -700, 61_010, 10**8]))
    steps: list[int] = []
    for _ in range(draw(st.integers(0, 4))):
        first += draw(st.sampled_from([0, 7, 300, 5_000, 10**6, 10**12]))
        stretch = range(first, first + draw(st.integers(0, 250)), draw(st.sampled_from([1, 1, 3, 50])))
        steps += stretch
        first = stretch.stop
    return steps, draw(st.sampled_from([begin, 0])), first + draw(st.sampled_from([0, 1, 1_000]))


@MAKES
@pytest.mark.parametrize("sample", SAMPLES)
@settings(max_examples=40)
@given(run=gapped_runs(), page_size=st.integers(50, 300), prefetch=st.integers(0, 5), inclusive=st.booleans())
@example(run=([*range(10**8, 10**8 + 400)], 0, 10**8 + 400), page_size=50, prefetch=0, inclusive=True)
def test_no_row_is_lost_however_a_server_samples(
    make: Any, sample: Sample, run: tuple[list[int], int, int], page_size: int, prefetch: int, inclusive: bool
) -> None:
    steps, begin, stop = run
    client = SamplingClient(steps, sample, inclusive=inclusive)
    # Steps that a server can't find in a gap are asked for in ordinary windows; here there would be too many of these.
    stop = stop if sample in (evenly, by_chance) else min(stop, begin + 20_000)
    scan = make(client, begin, stop, page_size, prefetch=prefetch)
    expected = [step for step in steps if begin <= step < stop]
    assert steps_of(scan) == expected
    assert steps_of(scan) == expected


@MAKES
@pytest.mark.parametrize("first", [61_010, 10**8, 10**15])
@pytest.mark.parametrize("prefetch", [0, 1, 8])
def test_a_late_first_step_costs_a_handful_of_requests(make: Any, first: int, prefetch: int) -> None:
    steps = [*range(first, first + 900), *range(3 * first, 3 * first + 900)]
    client = SamplingClient(steps)
    assert steps_of(make(client, 0, steps[-1] + 1, 1_000, prefetch=prefetch)) == steps
    # Those that are on their way when the first comes back empty; two probes in each gap; and the pages.
    assert len(client.requests) <= 2 * prefetch + 10


def test_fixed_windows_are_asked_for_as_they_are() -> None:
    client = SamplingClient([5_000])
    assert steps_of(HistoryScan(client, RUN, 0, 5_001, 100)) == [5_000]
    assert len(client.requests) == 51


def test_a_service_that_allows_no_number_of_rows_is_not_probed() -> None:
    service = FakeService(service_rows([{"_step": step, "loss": 0.5} for step in range(10_000, 12_000)]))
    scan = BetaHistoryScan(service, RUN, 0, 12_000, None, 100, window="adaptive")
    assert steps_of(scan) == list(range(10_000, 12_000))
    assert max(stop - first for first, stop in service.windows) == 6_400


@MAKES
@pytest.mark.parametrize("prefetch", [0, 3])
def test_a_server_that_refuses_probes_is_asked_for_windows(make: Any, prefetch: int) -> None:
    class Strict(SamplingClient):
        refused = 0

        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            variables = json.loads(variable_values["spec"]) if "spec" in variable_values else variable_values
            allowed = variables.get("samples", variables.get("pageSize"))
            if allowed < variables["maxStep"] - variables["minStep"]:
                self.refused += 1
                raise GraphQLResponseError("samples must not be less than the steps")
            return super().execute(document, variable_values)

    client = Strict([*range(50_000, 50_500)])
    assert steps_of(make(client, 0, 50_500, 100, prefetch=prefetch)) == list(range(50_000, 50_500))
    assert client.refused == 1
    assert len(client.requests) < 60


@pytest.mark.parametrize("text", ["{oops", '{"loss": 1}', '{"_step": "one"}', '{"_step": NaN}', "[]"])
def test_rows_whose_step_cannot_be_read_end_the_probing(text: str) -> None:
    backend = HistoryBackend([{"_step": step} for step in (9_000, 9_001)], row_texts={9_001: text})
    client = MemoryClient(backend)
    scan = HistoryScan(client, RUN, 0, 9_100, 100, window="adaptive")
    assert next(scan) == {"_step": 9_000}
    assert len(client.requests) < 20


def test_the_row_at_a_gaps_end_comes_once_whether_maxstep_is_inclusive_or_not() -> None:
    for inclusive in (True, False):
        client = SamplingClient([3, 10_000, 10_001], inclusive=inclusive)
        scan = SampledHistoryScan(client, RUN, ["loss"], 0, 10_001, 100, window="adaptive")
        assert list(scan) == [{"loss": 0.5}] * 2
