"""Failed requests raise the same errors at the same rows as wandb's classes."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
import requests
from wandb.apis import public

from histscan.installing.installation import installed
from tests.matrix.conftest import Open
from tests.matrix.outcomes import ASKS_SERVICE, METHODS, Outcome, outcome, steps_of
from tests.support.matrix_runs import SERVERS, STEPS
from tests.support.server_process import Server

SERVER = "failing"

_PAGE = "query HistoryPage { viewer { id } }"
_SAMPLED_PAGE = "query SampledHistoryPage { viewer { id } }"


def next_page_succeeds() -> None:
    """Sends requests until one fails: every second request fails."""
    url = json.loads(os.environ[SERVERS])[SERVER]
    # Cancelled requests of an earlier scan may still arrive.
    asked = None
    while asked != (asked := Server(url).traffic()["operations"]):
        time.sleep(0.1)
    for query in (_PAGE, _SAMPLED_PAGE):
        for _ in range(2):
            answer = requests.post(f"{url}/graphql", json={"query": query}, timeout=30)
            if answer.status_code != 200 or "errors" in answer.json():
                break
        else:
            raise AssertionError("the server does not fail")


def failing_outcome(open_run: Open, method: str, arguments: dict[str, Any]) -> Outcome:
    run = open_run("mixed")
    next_page_succeeds()
    return outcome(run, method, arguments, any_order=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("keys", [None, ["_step", "loss"]])
def test_fails_as_wandb_fails(open_run: Open, method: str, keys: list[str] | None) -> None:
    # Even wandb-core requests the last steps from the server; with 999 steps per page, wandb's sampling loses no row.
    arguments = {"keys": keys, "page_size": 400, "min_step": 1_200, "max_step": 2_400}
    theirs = failing_outcome(open_run, method, arguments)
    with installed(prefetch=0):
        ours = failing_outcome(open_run, method, arguments)
    assert theirs.error != ""
    assert theirs.error == ours.error
    if theirs.made != "SampledHistoryScan":
        # wandb's scan has lost one of these rows, and has a row of the next page.
        assert theirs == ours
    assert 0 < len(ours.rows) < 1_200


@pytest.mark.parametrize("method", METHODS)
def test_resumes_after_an_error(open_run: Open, method: str) -> None:
    run = open_run("mixed")
    next_page_succeeds()
    with installed(prefetch=0):
        scan = iter(getattr(run, method)(page_size=500, min_step=1_000))
    steps: list[int] = []
    failures = 0
    while True:
        try:
            steps.append(next(scan)["_step"])
        except StopIteration:
            break
        except Exception:
            failures += 1
    assert failures > 0
    # wandb-core returns rows twice that are both exported and live.
    assert sorted(set(steps)) == STEPS["mixed"][1_000:]


@pytest.mark.parametrize("method", METHODS)
def test_an_error_is_raised_at_its_row_despite_prefetch(open_run: Open, method: str) -> None:
    """Which of several concurrent requests fails is random; all rows before it must be returned in any case."""
    arguments = {"page_size": 250}
    with installed():
        found = failing_outcome(open_run, method, arguments)
    assert found.error == failing_outcome(open_run, method, arguments).error
    steps = steps_of(found.rows)
    if ASKS_SERVICE and method == METHODS[-1]:
        # wandb-core returns rows twice at the end of the exported files.
        steps = sorted(set(steps))
    assert steps == STEPS["mixed"][: len(steps)]
    assert len(steps) % 250 == 0
    assert len(steps) < 2_500


@pytest.mark.parametrize("keys", ["loss", [1]])
def test_rejects_keys_as_wandb_does(open_run: Open, keys: Any) -> None:
    theirs = outcome(open_run("mixed"), "scan_history", {"keys": keys})
    with installed():
        assert outcome(open_run("mixed"), "scan_history", {"keys": keys}) == theirs


def test_a_missing_argument_is_a_type_error() -> None:
    with installed(), pytest.raises(TypeError, match="run"):
        public.HistoryScan()
