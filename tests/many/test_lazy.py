"""Lazy frames of runs and of many runs: the same as eager frames, and less is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import histscan
from histscan.runs.log_scan import LogScan
from tests.support.many_runs import write_log

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
from polars.testing import assert_frame_equal  # noqa: E402

STEP, RUN, LOSS = pl.col("_step"), pl.col("run_id"), pl.col("loss")

QUERIES: dict[str, Callable[[Any], Any]] = {
    "all": lambda frame: frame,
    "columns": lambda frame: frame.select("loss", "_step"),
    "later steps": lambda frame: frame.filter(STEP > 40),
    "a range": lambda frame: frame.filter(STEP.is_between(10, 12), LOSS > 0).select("loss"),
    "floats": lambda frame: frame.filter(STEP >= 10.5, STEP < 30.5),
    "mirrored": lambda frame: frame.filter((pl.lit(10) < STEP) & (pl.lit(13) >= STEP)),
    "steps in a list": lambda frame: frame.filter(STEP.is_in([3, 49, 1000])),
    "no step": lambda frame: frame.filter((STEP > 10) & (STEP < 5)),
    "either": lambda frame: frame.filter((STEP < 2) | (STEP == 45)),
    "either of columns": lambda frame: frame.filter((STEP < 2) | (LOSS > 16)),
    "not": lambda frame: frame.filter(~(STEP > 3)),
    "arithmetic": lambda frame: frame.filter(STEP * 2 > 90),
    "highest": lambda frame: frame.filter(STEP.max() == STEP),
    "beyond 64 bits": lambda frame: frame.filter(STEP < 1e300),
    "first rows": lambda frame: frame.head(7),
    "first rows, then a filter": lambda frame: frame.head(60).filter(STEP > 40),
    "a filter, then first rows": lambda frame: frame.filter(STEP > 40).head(3),
    "last rows": lambda frame: frame.tail(2),
    "number of rows": lambda frame: frame.select(pl.len()),
    "no step known": lambda frame: frame.filter(STEP.is_null()),
}

QUERIES_OF_RUNS: dict[str, Callable[[Any], Any]] = {
    "one run": lambda frame: frame.filter(RUN == "b"),
    "some runs": lambda frame: frame.filter(RUN.is_in(["a", "d", "nobody"]), STEP < 8),
    "other runs": lambda frame: frame.filter(RUN != "a"),
    "by text": lambda frame: frame.filter(RUN.cast(pl.String).str.contains("[bc]")),
    "by config": lambda frame: frame.filter(pl.col("config.lr") > 0.1),
    "by name": lambda frame: frame.filter(pl.col("run_name") == "The fourth").select("run_id", "loss"),
    "means": lambda frame: frame.group_by("run_id", maintain_order=True).agg(LOSS.mean()),
    "a run or a step": lambda frame: frame.filter((RUN == "b") | (STEP == 3)),
    "no run": lambda frame: frame.filter(RUN == "nobody"),
}


def write_runs(folder: Path) -> Path:
    write_log(folder, "a", [{"_step": step, "loss": step / 3} for step in range(50)], config={"lr": 0.1})
    rows = [{"_step": step, "epoch": step, "deep": {"x": [step]}} for step in range(20)]
    write_log(folder, "b", rows, config={"lr": 0.2}, start=1)
    write_log(folder, "c", [], config={"opt": {"name": "adam"}}, start=2)
    write_log(folder, "d", [{"_step": 7, "loss": 1.5, "note": "x"}], start=3, name="The fourth")
    write_log(folder, "e", [{"_step": 0, "note": 1}, {"_step": 3, "loss": None}, {"_step": 4, "loss": 2}], start=4)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module", params=["log", "parquet", "jsonl", "parquet files"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same history in each kind of file."""
    place = tmp_path_factory.mktemp("run")
    rows = [
        {"_step": step, "loss": step / 3, "count": step, "deep": {"x": step, "y": "z"}, "note": "ab"[step % 2]}
        for step in range(60)
    ]
    log = histscan.open(write_log(place, "a", rows))
    if request.param == "log":
        return log
    from histscan.cli.main import main

    if request.param == "parquet files":
        for number, (first, stop) in enumerate([(0, 30), (30, 60)]):
            part = write_log(place / str(number), "a", rows[first:stop])
            assert main(["export", str(part), "-o", str(place / f"p{number}.parquet")]) == 0
        return histscan.open([place / "p0.parquet", place / "p1.parquet"])
    exported = place / f"a.{request.param}"
    assert main(["export", str(log.file), "-o", str(exported)]) == 0
    return histscan.open(exported)


@pytest.mark.parametrize("nested", ["json", "flatten"])
@pytest.mark.parametrize("name", QUERIES)
def test_run_gives_what_the_eager_frame_gives(run: Any, name: str, nested: str) -> None:
    eager, lazy = run.to_polars(nested=nested), run.scan_polars(nested=nested)
    assert lazy.collect_schema() == eager.schema
    assert_frame_equal(QUERIES[name](lazy).collect(), QUERIES[name](eager.lazy()).collect())


@pytest.mark.parametrize("nested", ["json", "flatten"])
@pytest.mark.parametrize("name", [*QUERIES, *QUERIES_OF_RUNS])
def test_runs_give_what_the_eager_frame_gives(folder: Path, name: str, nested: Any) -> None:
    query = {**QUERIES, **QUERIES_OF_RUNS}[name]
    runs = histscan.open_runs(folder)
    eager, lazy = runs.to_polars(nested=nested, config=["lr"]), runs.scan_polars(nested=nested, config=["lr"])
    assert lazy.collect_schema() == eager.schema
    assert_frame_equal(query(lazy).collect(), query(eager.lazy()).collect())


@pytest.mark.parametrize("keys", [["loss"], ["*e*"], ["loss", "epoch", "_step"], []])
def test_keys_are_chosen_as_by_eager_frames(folder: Path, keys: list[str]) -> None:
    runs = histscan.open_runs(folder)
    assert_frame_equal(
        runs.scan_polars(keys, min_step=3, max_step=9).collect(), runs.to_polars(keys, min_step=3, max_step=9)
    )


NUMBERS = st.integers(-3, 30) | st.floats(-3, 30, allow_nan=False)
COMPARISONS = st.tuples(st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]), NUMBERS).map(
    lambda made: getattr(STEP, made[0])(made[1])
)
OTHERS = st.sampled_from([LOSS > 3, RUN == "a", RUN.is_in(["b", "e"]), STEP.is_in([1, 5]), LOSS.is_null()])
PREDICATES = st.recursive(
    COMPARISONS | OTHERS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda both: both[0] & both[1]),
        st.tuples(inner, inner).map(lambda both: both[0] | both[1]),
        inner.map(lambda one: ~one),
    ),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(predicate=PREDICATES)
def test_any_predicate_gives_the_same_rows(folder: Path, predicate: Any) -> None:
    runs = histscan.open_runs(folder)
    eager = runs.to_polars()
    assert_frame_equal(runs.scan_polars().filter(predicate).collect(), eager.filter(predicate))


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The logs that are read, and the first steps of the scans."""
    seen: list[tuple[str, int]] = []
    open_pages = LogScan.open_pages

    def noted(scan: LogScan) -> Any:
        seen.append((scan.path.stem.removeprefix("run-"), scan.min_step))
        return open_pages(scan)

    monkeypatch.setattr(LogScan, "open_pages", noted)
    return seen


def test_runs_that_no_row_is_needed_of_are_not_read(folder: Path, scans: list[tuple[str, int]]) -> None:
    lazy = histscan.open_runs(folder).scan_polars(["_step", "loss"])
    lazy.collect_schema()
    scans.clear()
    lazy.filter(RUN.is_in(["b", "e"]), STEP >= 2).collect()
    assert sorted(set(scans)) == [("b", 2), ("e", 2)]
    scans.clear()
    assert lazy.filter(RUN == "nobody").collect().is_empty()
    assert lazy.filter(STEP < 3, STEP > 5).collect().is_empty()
    assert scans == []


def test_types_are_found_once_for_each_version_of_the_files(tmp_path: Path, scans: list[tuple[str, int]]) -> None:
    log = write_log(tmp_path, "a", [{"_step": 0, "loss": 1}])
    write_log(tmp_path, "b", [{"_step": 0, "loss": 1}], start=1)
    runs = histscan.open_runs(tmp_path)
    assert runs.scan_polars().collect_schema()["loss"] == pl.Int64
    scans.clear()
    assert histscan.open_runs(tmp_path).scan_polars().collect_schema()["loss"] == pl.Int64
    assert scans == []
    log.write_bytes(write_log(tmp_path / "other", "a", [{"_step": 0, "loss": 0.5}, {"_step": 1}]).read_bytes())
    assert histscan.open_runs(log.parent.parent).scan_polars().collect_schema()["loss"] == pl.Float64


def test_declared_types_need_no_pass_over_the_rows(folder: Path, scans: list[tuple[str, int]]) -> None:
    lazy = histscan.open_runs(folder).scan_polars(["loss", "_step"], types={"loss": "float64", "_step": "int64"})
    assert lazy.collect_schema()["loss"] == pl.Float64
    assert scans == []
    one = histscan.open(next(folder.glob("*-a"))).scan_polars(["loss"], with_step=False, types={"loss": "float64"})
    assert one.collect_schema() == {"loss": pl.Float64}
    assert scans == []
    assert one.select(LOSS.sum()).collect().item() == pytest.approx(sum(range(50)) / 3)


def test_value_of_another_type_than_declared_is_an_error(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    for lazy in (
        runs.scan_polars(["note"], types={"note": "string"}),
        runs[4].scan_polars(["note"], types={"note": "string"}),
    ):
        with pytest.raises(
            (histscan.HistoryError, pl.exceptions.ComputeError),
            match="'note' has values that do not fit its column of type string",
        ):
            lazy.collect()


def test_wrong_arguments(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    with pytest.raises(ValueError, match="must be one of bool, int64"):
        runs.scan_polars(types={"loss": "float"})
    with pytest.raises(TypeError, match="no argument tail"):
        runs.scan_polars(tail=1)  # type: ignore[call-arg]


def test_rows_that_are_added_later_need_a_new_lazy_frame(tmp_path: Path) -> None:
    log = write_log(tmp_path, "a", [{"_step": 0, "loss": 1}])
    longer = write_log(tmp_path / "more", "a", [{"_step": 0, "loss": 1}, {"_step": 1, "loss": "text"}]).read_bytes()
    run = histscan.open(log)
    lazies = [run.scan_polars(), histscan.open_runs(log).scan_polars(["_step", "loss"]).select("_step", "loss")]
    before = [lazy.collect() for lazy in lazies]
    assert longer.startswith(log.read_bytes())
    log.write_bytes(longer)
    for lazy, frame in zip(lazies, before, strict=True):
        assert_frame_equal(lazy.collect(), frame)
    assert len(run.scan_polars().collect()) == 2


def test_overlapping_files_keep_rows_that_differ_in_other_columns(tmp_path: Path) -> None:
    import pyarrow.parquet

    for name, value in (("a", 1.0), ("b", 2.0)):
        table = pa.table({"_step": [0, 1], "loss": [0.5, 0.25], "other": [value, 7.0]})
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
    run = histscan.open(tmp_path)
    query = run.scan_polars().filter(STEP >= 0).select("loss")
    assert_frame_equal(query.collect(), run.to_polars().select("loss"))


def test_duckdb_queries_a_lazy_frame(folder: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    lazy = histscan.open_runs(folder).scan_polars()
    assert duckdb.sql("SELECT run_id, max(_step) FROM lazy WHERE _step > 3 GROUP BY ALL ORDER BY ALL").fetchall() == [
        ("a", 49),
        ("b", 19),
        ("d", 7),
        ("e", 4),
    ]
    assert lazy.filter(STEP > 3).collect().height == 46 + 16 + 1 + 1


def test_streaming_engine(folder: Path) -> None:
    lazy = histscan.open_runs(folder).scan_polars()
    query = lazy.filter(STEP > 3).group_by("run_id").agg(LOSS.max()).sort("run_id")
    assert_frame_equal(query.collect(engine="streaming"), query.collect())
