"""Lazy frames of runs on a server: the same values as eager frames, for fewer requests and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import histscan
from tests.support.many_runs import write_log
from tests.support.server_process import Server, serving

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
from polars.testing import assert_frame_equal  # noqa: E402

STEP, RUN = pl.col("_step"), pl.col("run_id")
LAST = 20_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two small runs, and of one that has many pages."""
    folder = tmp_path_factory.mktemp("served")
    rows: list[dict[str, Any]] = [
        {"_step": step, "note": "x", "epoch": step // 10, "ok": True, "deep": {"y": 1.5}} for step in range(30)
    ]
    write_log(folder, "small", rows, config={"lr": 0.5})
    write_log(folder, "empty", [], start=1)
    large = ({"_step": step, **{f"key{place}": step / (place + 3) for place in range(4)}} for step in range(LAST))
    write_log(folder, "large", large, start=2, exit_code=0)
    with serving(folder, "--export", "none") as started:
        yield started


@pytest.fixture
def traffic(server: Server) -> Callable[[Callable[[], Any]], tuple[Any, int, int]]:
    """Returns what a function returns, with the requests and bytes that it costs."""

    def measure(read: Callable[[], Any]) -> tuple[Any, int, int]:
        server.forget_traffic()
        found = read()
        counted = server.traffic()
        return found, counted["requests"], counted["bytes_sent"]

    return measure


def as_floats(frame: Any) -> Any:
    """The frame with the types that a server knows: integers other than the step are floats."""
    integers = [name for name, kind in frame.schema.items() if kind.is_integer() and name != "_step"]
    return frame.with_columns(pl.col(integers).cast(pl.Float64))


def test_values_are_those_of_the_eager_frame(server: Server) -> None:
    runs = histscan.Api(server.url).runs("e/p")
    eager = runs.to_polars(nested="flatten")
    lazy = runs.scan_polars(nested="flatten").collect()
    assert sorted(lazy.columns) == sorted(eager.columns)
    assert_frame_equal(lazy, as_floats(eager).select(lazy.columns))
    one = histscan.Api(server.url).run("e/p/small")
    eager = one.to_polars(nested="flatten")
    lazy = one.scan_polars(nested="flatten").collect()
    assert_frame_equal(lazy, as_floats(eager).select(lazy.columns))


def test_declared_integers_are_integers(server: Server) -> None:
    run = histscan.Api(server.url).run("e/p/small")
    keys = ["_step", "epoch", "note", "ok"]
    assert_frame_equal(run.scan_polars(keys, types={"epoch": "int64"}).collect(), run.to_polars(keys))


@pytest.mark.parametrize("path", ["e/p", "e/p/large"])
def test_last_tenth_of_the_steps_costs_a_tenth(
    server: Server, traffic: Callable[[Callable[[], Any]], tuple[Any, int, int]], path: str
) -> None:
    def opened() -> Any:
        api = histscan.Api(server.url)
        return api.run(path) if path.count("/") == 2 else api.runs(path)

    eager, all_requests, all_bytes = traffic(lambda: opened().to_polars())
    last = STEP > 0.9 * LAST
    found, requests, sent = traffic(lambda: opened().scan_polars().filter(last).select("key3").collect())
    assert_frame_equal(found, eager.filter(last).select("key3"))
    assert sent <= 0.15 * all_bytes
    if path == "e/p/large":  # each small run costs a request, however few of its steps are needed
        assert requests <= 0.15 * all_requests
    else:
        assert requests <= 0.15 * all_requests + 3


def test_a_project_of_large_runs(tmp_path: Path) -> None:
    for place in range(4):
        rows = ({"_step": step, "loss": step / (place + 1), "x": 1.5} for step in range(12_000))
        write_log(tmp_path, f"r{place}", rows, start=place)
    with serving(tmp_path) as server:
        server.forget_traffic()
        eager = histscan.Api(server.url).runs("e/p").to_polars()
        whole = server.traffic()
        server.forget_traffic()
        lazy = histscan.Api(server.url).runs("e/p").scan_polars().filter(STEP >= 11_000).select("run_id", "loss")
        found = lazy.collect()
        part = server.traffic()
    assert_frame_equal(found, eager.filter(STEP >= 11_000).select("run_id", "loss"))
    # One request lists the runs with their keys and last steps, then each run has one page.
    assert part["requests"] == 5
    assert part["requests"] <= 0.15 * whole["requests"]
    assert part["bytes_sent"] <= 0.15 * whole["bytes_sent"]


def test_keys_of_a_run_that_may_grow_are_requested_anew(tmp_path: Path) -> None:
    for name, exit_code in (("running", None), ("ended", 0)):
        write_log(tmp_path, name, [{"_step": 0, "loss": 1.5}], exit_code=exit_code)
    with serving(tmp_path) as server:
        api = histscan.Api(server.url)
        for name, requests in (("running", {"LastStep": 1}), ("ended", {})):
            run = api.run(f"e/p/{name}")
            server.forget_traffic()
            assert run.scan_polars().collect_schema().names() == ["_step", "loss"]
            assert server.traffic()["operations"] == requests
            assert "historyKeys" not in run.listed.answer


def test_runs_that_are_not_needed_are_not_requested(
    server: Server, traffic: Callable[[Callable[[], Any]], tuple[Any, int, int]]
) -> None:
    lazy = histscan.Api(server.url).runs("e/p").scan_polars()
    lazy.collect_schema()
    found, requests, _ = traffic(lambda: lazy.filter(RUN == "small").collect())
    assert (found.height, requests) == (30, 1)
    found, requests, _ = traffic(lambda: lazy.filter(RUN == "nobody").collect())
    assert (found.height, requests) == (0, 0)


def test_first_rows_cost_few_requests(
    server: Server, traffic: Callable[[Callable[[], Any]], tuple[Any, int, int]]
) -> None:
    lazy = histscan.Api(server.url).runs("e/p").scan_polars()
    lazy.collect_schema()
    found, requests, _ = traffic(lambda: lazy.head(5).collect())
    assert (found.height, requests < 25) == (5, True)


def test_exported_files_are_read_for_the_keys(tmp_path: Path) -> None:
    log = write_log(tmp_path, "r", ({"_step": step, "loss": step / 3, "count": step} for step in range(5_000)))
    with serving(tmp_path, "--export", "all") as server:
        run = histscan.Api(server.url).run("e/p/r")
        lazy = run.scan_polars(["_step", "loss"]).filter(STEP >= 100)
        assert_frame_equal(lazy.collect(), histscan.open(log).to_polars(["_step", "loss"]).filter(STEP >= 100))
        assert server.traffic()["operations"].get("HistoryPage", 0) == 0
