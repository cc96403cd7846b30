"""The real client, with the real wandb-core if the release uses it, returns the same rows with histscan installed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wandb.apis import public

from histscan.installing.installation import installed
from tests.matrix.conftest import Open
from tests.matrix.outcomes import METHODS, Outcome, assert_same, outcome, steps_of, with_and_without
from tests.support.matrix_runs import STEPS, row

SERVER = "complete"

CASES: list[tuple[str, dict[str, Any]]] = [
    ("mixed", {}),
    ("mixed", {"page_size": 100}),
    ("mixed", {"page_size": 7, "min_step": 3, "max_step": 40}),
    ("mixed", {"min_step": 100, "max_step": 1_101}),
    ("mixed", {"min_step": 2_499}),
    ("mixed", {"min_step": 2_500}),
    ("mixed", {"min_step": 30, "max_step": 20}),
    ("mixed", {"max_step": 1}),
    ("mixed", {"max_step": 3_000}),
    ("mixed", {"keys": ["loss", "_step"], "page_size": 5_000}),
    ("mixed", {"keys": ["_step", "note", "accuracy"], "page_size": 5_000}),
    ("mixed", {"keys": ["_step", "peak"], "page_size": 600}),
    ("mixed", {"keys": ["_step"], "page_size": 100, "min_step": 50, "max_step": 350}),
    ("mixed", {"keys": ["accuracy"], "page_size": 600}),
    ("mixed", {"keys": [], "max_step": 500}),
    ("mixed", {"keys": ["no such key"]}),
    ("mixed", {"keys": "loss"}),
    ("mixed", {"keys": [1]}),
    ("gaps", {}),
    ("gaps", {"page_size": 10}),
    ("gaps", {"keys": ["_step", "loss"], "page_size": 100}),
    ("single", {}),
    ("empty", {}),
    ("empty", {"keys": ["loss"]}),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("run", "arguments"), CASES, ids=[f"{run}-{arguments}" for run, arguments in CASES])
def test_same_rows(open_run: Open, method: str, run: str, arguments: dict[str, Any]) -> None:
    theirs, ours = with_and_without(open_run(run), method, arguments)
    if theirs.made == "SampledHistoryScan" and _takes_several_pages(run, arguments):
        # At page borders, wandb's scan returns rows twice and loses others: compare a single page, before its end.
        one_page = outcome(open_run(run), method, arguments | {"page_size": 5_000})
        assert ours == Outcome(theirs.made, [text for text in one_page.rows if _is_before(text, arguments)])
    else:
        assert_same(theirs, ours, run)
    if "keys" not in arguments:
        first, stop = arguments.get("min_step", 0), arguments.get("max_step", 10**9)
        steps = steps_of(ours.rows)
        assert steps == [step for step in STEPS[run] if first <= step < stop]


def test_rows_are_those_logged(open_run: Open) -> None:
    """The rows are not only equal, they are the logged rows."""
    with installed():
        rows = list(open_run("mixed").scan_history())
    for found, step in zip(rows, STEPS["mixed"], strict=True):
        for key in ("_step", "epoch", "note", "flag", "loss", "accuracy"):
            # A service returns whole floats as ints, and null for missing values.
            expected = row(step).get(key)
            assert found.get(key) == expected or found[key] != found[key] != expected != expected


@pytest.mark.parametrize("method", METHODS)
def test_a_scan_ends_after_the_last_row(open_run: Open, method: str) -> None:
    """One of the methods passes any `max_step` on, and wandb's class may request all steps up to it."""
    with installed():
        assert [found["_step"] for found in getattr(open_run("mixed"), method)(max_step=10**9)] == STEPS["mixed"]


def test_scans_outlive_the_installation(open_run: Open) -> None:
    run = open_run("mixed")
    their_scan = iter(run.scan_history(page_size=100))
    with installed():
        our_scan = iter(run.scan_history(page_size=100))
        assert [next(their_scan)["_step"] for _ in range(150)] == STEPS["mixed"][:150]
    assert isinstance(their_scan, public.HistoryScan)
    assert not isinstance(our_scan, public.HistoryScan)
    assert [found["_step"] for found in our_scan] == STEPS["mixed"]


def test_scans_are_instances_of_the_public_classes(open_run: Open) -> None:
    from wandb.apis.public import history

    with installed():
        scan = open_run("single").scan_history()
        assert isinstance(scan, public.HistoryScan)
        assert isinstance(scan, history.HistoryScan)
        assert type(scan).__module__.startswith("histscan.")
        assert type(scan).__name__ == "HistoryScan"


def _takes_several_pages(run: str, arguments: dict[str, Any]) -> bool:
    last = STEPS[run][-1] if STEPS[run] else -1
    return bool(
        min(arguments.get("max_step", last), last) - arguments.get("min_step", 0) >= arguments.get("page_size", 1_000)
    )


def _is_before(text: str, arguments: dict[str, Any]) -> bool:
    return "max_step" not in arguments or json.loads(text)["_step"] < arguments["max_step"]
