"""A scan has wandb's attributes and behaviour, also when the caller changes its attributes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from wandb.apis import public

from histscan.installing.installation import installed
from tests.matrix.conftest import Open
from tests.matrix.outcomes import METHODS, RELEASE, row_text
from tests.support.matrix_runs import STEPS
from tests.support.server_process import Server

SERVER = "complete"

State = tuple[Any, ...]


def state(scan: Any) -> State:
    """Returns the public attributes of a scan."""
    return scan.page_offset, scan.scan_offset, scan.min_step, scan.max_step, scan.page_size, len(scan.rows)


def walk(scan: Any, rows: int) -> Iterator[tuple[str, State]]:
    """Takes some more rows, without starting over."""
    for _ in range(rows):
        # In some releases, wandb-core returns keys in random order.
        yield row_text(next(scan), any_order=True), state(scan)


def both(open_run: Open, method: str, **arguments: Any) -> tuple[Any, Any]:
    """Makes a scan of wandb's, and one of histscan's."""
    run = open_run("mixed")
    theirs = getattr(run, method)(**arguments)
    with installed():
        return theirs, getattr(run, method)(**arguments)


@pytest.mark.parametrize("method", METHODS)
def test_attributes_are_the_same_after_every_row(open_run: Open, method: str) -> None:
    theirs, ours = both(open_run, method, page_size=100, min_step=30, max_step=401)
    assert [list(walk(iter(scan), 371)) for scan in (theirs, ours)] == [list(walk(iter(theirs), 371))] * 2
    for scan in (theirs, ours):
        with pytest.raises(StopIteration):
            next(scan)
    assert state(theirs) == state(ours)


@pytest.mark.parametrize("method", METHODS)
def test_iterating_again_starts_over(open_run: Open, method: str) -> None:
    theirs, ours = both(open_run, method, page_size=100, max_step=450)
    walks = [[list(walk(iter(scan), rows)) for rows in (250, 130, 450, 0, 10)] for scan in (theirs, ours)]
    assert walks[0] == walks[1]
    assert [row["_step"] for row in ours] == [row["_step"] for row in theirs] == STEPS["mixed"][:450]


@pytest.mark.parametrize("method", METHODS)
def test_the_page_of_rows_can_be_read_and_replaced(open_run: Open, method: str) -> None:
    theirs, ours = both(open_run, method, page_size=100, max_step=300)
    read = []
    for scan in (theirs, ours):
        first = row_text(next(iter(scan)), any_order=True)
        page = [row_text(row, any_order=True) for row in scan.rows]
        assert page[0] == first
        scan.rows = [{"_step": -1}, {"_step": -2}]
        # The scan has already returned the first of these rows, as the offset says.
        read.append((page, [next(scan)["_step"] for _ in range(3)], scan.page_offset))
    assert read[0] == read[1]
    assert read[0][1] == [-2, 100, 101]


@pytest.mark.parametrize("method", METHODS)
def test_a_scan_can_be_moved_on_by_hand(open_run: Open, method: str) -> None:
    theirs, ours = both(open_run, method, page_size=100)
    found = []
    for scan in (theirs, ours):
        steps = [next(iter(scan))["_step"]]
        scan.rows = []
        scan.page_offset = 1_950
        steps.append(next(scan)["_step"])
        scan.page_size = 40
        steps += [next(scan)["_step"] for _ in range(300)]
        found.append((steps, state(scan)))
    assert found[0] == found[1]
    assert found[0][0][:2] == [0, 1_950]


@pytest.mark.skipif(RELEASE >= (0, 26, 0), reason="max_step can't be set any more")
@pytest.mark.parametrize("method", METHODS)
def test_the_end_can_be_moved(open_run: Open, method: str) -> None:
    theirs, ours = both(open_run, method, page_size=100)
    for scan in (theirs, ours):
        assert next(iter(scan))["_step"] == 0
        scan.max_step = 250
        assert [next(scan)["_step"] for _ in range(249)] == STEPS["mixed"][1:250]
        with pytest.raises(StopIteration):
            next(scan)


@pytest.mark.parametrize("method", METHODS)
def test_an_early_stop_cancels_prefetched_pages(open_run: Open, method: str, server: Server) -> None:
    run = open_run("mixed")
    server.forget_traffic()
    with installed(prefetch=3):
        scan = getattr(run, method)(page_size=100)
    assert [row["_step"] for row in islice(scan, 5)] == [0, 1, 2, 3, 4]
    del scan
    deadline = time.monotonic() + 30
    while any(thread.name == "histscan-prefetch" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread outlives its scan"
        time.sleep(0.01)
    assert server.traffic()["operations"].get("HistoryPage", 0) <= 4
    # A failed prefetch of an unused page does not affect the next scan.
    assert [row["_step"] for row in getattr(run, method)()] == STEPS["mixed"]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_fetched_before_the_first_row(open_run: Open, method: str, server: Server) -> None:
    run = open_run("mixed")
    with installed():
        scan = iter(getattr(run, method)())
    server.forget_traffic()
    time.sleep(0.05)
    assert server.traffic()["operations"] == {}
    assert next(scan)["_step"] == 0


def test_overridden_methods_are_called(open_run: Open) -> None:
    """Users subclass wandb's scans, and some of these subclasses load the pages themselves."""
    run = open_run("mixed")

    def steps() -> list[int]:
        class Doubled(public.HistoryScan):  # type: ignore[misc]
            rows: list[dict[str, Any]]

            def _load_next(self) -> None:
                super()._load_next()
                self.rows = [row for row in self.rows for _ in range(2)]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(public, "HistoryScan", Doubled)
            return [row["_step"] for row in run.scan_history(page_size=100, max_step=250)]

    theirs = steps()
    with installed():
        ours = steps()
    assert ours == theirs == [step for step in range(250) for _ in range(2)]
