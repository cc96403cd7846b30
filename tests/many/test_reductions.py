"""The last rows, aligned rows and samples of many runs, and statistics over groups of them."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest

import histscan
from tests.support.many_runs import rows_of, write_log

pa = pytest.importorskip("pyarrow")
pandas = pytest.importorskip("pandas")
np = pytest.importorskip("numpy")

SEEDS = (1, 2, 3)
RATES = (0.1, 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six runs of two learning rates and three seeds; keys that are logged at different steps; types that differ."""
    for place, (rate, seed) in enumerate(itertools.product(RATES, SEEDS)):
        rows: list[dict[str, Any]] = []
        for step in range(40 + place):
            row: dict[str, Any] = {"_step": step, "loss": rate * step + seed, "wave": math.sin(step * seed)}
            if step % 5 == 0:
                rows.append({"_step": step, "val": step * seed})
            if step == 7 and place == 2:
                row["mixed"] = "text"
            elif step % 3 == 0:
                row["mixed"] = step if place != 4 else [step]
            rows.append(row)
        write_log(tmp_path, f"r{place}", rows, config={"lr": rate, "seed": seed, "opt": {"name": "adam"}}, start=place)
    return tmp_path


def split(table: Any) -> dict[str, list[dict[str, Any]]]:
    """The rows of each run."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of(table):
        rows.setdefault(row["run_id"], []).append(row)
    return rows


@pytest.fixture(params=[1, 100, 1 << 20])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are reduced in groups of any size."""
    monkeypatch.setattr("histscan.many.reduction._ROWS_AT_ONCE", request.param)
    monkeypatch.setattr("histscan.many.run_chunks._GROUP_RUNS", 1)


@pytest.mark.usefixtures("at_once")
def test_last_rows(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    for count in (1, 3, 1_000):
        table = runs.to_arrow(tail=count)
        assert split(table) == {run: rows[-count:] for run, rows in split(runs.to_arrow()).items()}
        assert table.schema.equals(runs.to_arrow().schema)


@pytest.mark.usefixtures("at_once")
def test_aligned_rows(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    table = runs.to_arrow(["_step", "loss", "val"], align="outer")
    whole = runs.to_arrow(["_step", "loss", "val"]).to_pandas()
    wanted = whole.groupby(["run_id", "_step"], observed=True)[["loss", "val"]].last()
    found = table.to_pandas().set_index(["run_id", "_step"])[["loss", "val"]]
    assert len(found) == len(wanted) == sum(40 + place for place in range(6))
    pandas.testing.assert_frame_equal(found, wanted, check_index_type=False, check_dtype=False)
    filled = runs.to_arrow(["_step", "val"], align="ffill").to_pandas()
    carried = wanted["val"].groupby(level=0, observed=True).ffill()
    assert filled["val"].to_list() == pytest.approx(carried.to_list(), nan_ok=True)
    between = runs.to_arrow(["_step", "val"], align="interpolate").to_pandas()
    assert between[between["run_id"] == "r0"]["val"].iloc[1] == 1.0
    assert runs.to_arrow(align="interpolate").schema.field("val").type == pa.float64()


@pytest.mark.usefixtures("at_once")
def test_samples(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    whole = split(runs.to_arrow(["_step", "wave"]))
    for sampling in ("minmax", "lttb"):
        options: dict[str, Any] = {"samples": 12, "sampling": sampling}
        found = split(runs.to_arrow(["_step", "wave"], **options))
        for run, rows in found.items():
            assert len(rows) <= 12
            assert rows[0] == whole[run][0]
            assert rows[-1] == whole[run][-1]
            assert [row for row in whole[run] if row in rows] == rows
        if sampling == "minmax":
            highest = {run: max(row.get("wave", -9) for row in rows) for run, rows in whole.items()}
            assert {run: max(row.get("wave", -9) for row in rows) for run, rows in found.items()} == highest
        assert split(runs.to_arrow(["_step", "wave"], **options)) == found
    # The x-axis is there even if it was not asked for.
    assert runs.to_arrow(["wave"], samples=5).column_names == ["run_id", "run_name", "_step", "wave"]


@pytest.mark.usefixtures("at_once")
def test_types_are_those_of_all_rows(folder: Path) -> None:
    """A column is JSON text in all runs if it has text in one of them, whether or not that row is kept."""
    runs = histscan.open_runs(folder)
    whole = runs.to_arrow()
    table = runs.to_arrow(tail=5)
    assert table.schema.equals(whole.schema)
    kept = {run: rows[-5:] for run, rows in split(whole).items()}
    assert split(table) == kept
    texts = [row["mixed"] for rows in kept.values() for row in rows if "mixed" in row]
    assert any(isinstance(json.loads(text) if isinstance(text, str) else text, list) for text in texts)


@pytest.mark.parametrize("at_once", [1, 1 << 20])
@pytest.mark.parametrize("options", [{"samples": 8}, {"samples": 8, "sampling": "lttb"}, {"align": "interpolate"}])
def test_rows_of_a_run_do_not_depend_on_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, options: Any
) -> None:
    """Text in one run makes JSON text of a column of numbers in another, which is reduced as numbers all the same."""
    monkeypatch.setattr("histscan.many.reduction._ROWS_AT_ONCE", at_once)
    monkeypatch.setattr("histscan.many.run_chunks._GROUP_RUNS", 1 if at_once == 1 else 256)
    rows: list[dict[str, Any]] = [
        {"_step": step, **({"mixed": (step * 37) % 101 / 4} if step % 3 else {})} for step in range(100)
    ]
    write_log(tmp_path, "numbers", rows)
    write_log(tmp_path, "texts", [{"_step": 0, "mixed": "text"}, {"_step": 1, "mixed": {"deep": 1}}], start=1)
    runs = histscan.open_runs(tmp_path)
    alone = rows_of(runs[:1].to_arrow(**options))
    together = rows_of(runs.to_arrow(**options))
    assert len(alone) >= 8
    of_numbers = [row for row in together if row["run_id"] == "numbers"]
    assert [{**row, **({"mixed": json.loads(row["mixed"])} if "mixed" in row else {})} for row in of_numbers] == alone


def test_streams_of_reduced_rows(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    assert pa.Table.from_batches(list(runs.batches(tail=2))).equals(runs.to_arrow(tail=2))


def test_runs_that_fail_are_left_out(folder: Path) -> None:
    write_log(folder, "bad", [{"_step": 0, "loss": 1.0}], start=99, tail=b"\0\0\0\1\5\0\1wrong")
    runs = histscan.open_runs(folder)
    with pytest.raises(histscan.LogFormatError):
        runs.to_arrow(tail=1)
    with pytest.warns(histscan.RunSkippedWarning):
        table = runs.to_arrow(tail=1, on_error="skip")
    assert sorted(set(table["run_id"].to_pylist())) == [f"r{place}" for place in range(6)]


def test_the_mean_over_seeds(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    table = runs.aggregate(["loss"], by="config.lr", over="seed")
    assert table.column_names == [
        "config.lr", "runs", "_step", "loss.mean", "loss.std", "loss.min", "loss.max", "loss.count",
    ]  # fmt: skip
    frame = runs.to_pandas(["_step", "loss"], config=["lr"]).dropna(subset=["loss"])
    wanted = frame.groupby(["config.lr", "_step"], sort=False)["loss"].agg(["mean", "std", "min", "max", "count"])
    found = table.to_pandas().set_index(["config.lr", "_step"]).sort_index()
    for statistic in ("mean", "std", "min", "max", "count"):
        ours, theirs = found[f"loss.{statistic}"], wanted[statistic].sort_index()
        np.testing.assert_allclose(ours.to_numpy(float), theirs.to_numpy(float), rtol=1e-12)
    assert set(table["runs"].to_pylist()) == {3}


def test_groups_of_what_differs(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    assert runs.aggregate(["loss"], over="seed").equals(runs.aggregate(["loss"], by=["lr"], over="seed"))
    one = runs.aggregate(["loss"], statistics=["count"])
    assert one.column_names == ["runs", "_step", "loss.count"]
    assert set(one["runs"].to_pylist()) == {6}


def test_a_seed_that_was_run_twice_counts_once(folder: Path) -> None:
    write_log(folder, "again", [{"_step": 0, "loss": 100.0}], config={"lr": 0.1, "seed": 1}, start=50)
    runs = histscan.open_runs(folder)
    table = runs.aggregate(["loss"], by="lr", over="seed", statistics=["count", "max"])
    first = table.to_pylist()[0]
    assert (first["config.lr"], first["runs"], first["loss.count"]) == (0.1, 4, 3)
    assert first["loss.max"] == (1 + 100) / 2
    alone = runs.aggregate(["loss"], by="lr", statistics=["count", "max"]).to_pylist()[0]
    assert (alone["loss.count"], alone["loss.max"]) == (4, 100.0)


def test_buckets_and_interpolation(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    table = runs.aggregate(["loss", "wave"], by="lr", buckets=4, statistics=["mean", "ci95"])
    assert len(table) == 8
    assert table.schema.field("_step").type == pa.float64()
    points = runs.aggregate(["val"], by="lr", method="interpolate", buckets=5, statistics=["mean"])
    assert points["_step"].to_pylist()[:2] == [0.0, 11.0]
    assert points["val.mean"].to_pylist()[1] == pytest.approx(11 * 2)


def test_wrong_arguments_of_aggregate(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    with pytest.raises(ValueError, match="mixed"):
        runs.aggregate(["mixed"], by="lr")
    with pytest.raises(ValueError, match="mode"):
        runs.aggregate(["loss"], statistics=["mode"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="nothing"):
        runs.aggregate(["nothing"])


def test_frames_of_one_run(folder: Path) -> None:
    """A run alone is reduced as it is among others."""
    runs = histscan.open_runs(folder)
    run = runs[0]
    cases: list[dict[str, Any]] = [
        {"tail": 3},
        {"samples": 9},
        {"samples": 9, "sampling": "lttb", "x": "loss"},
        {"align": "outer"},
        {"align": "ffill"},
        {"align": "interpolate", "samples": 5},
    ]
    for options in cases:
        alone = run.to_arrow(["loss", "val"], **options)
        among = runs[:1].to_arrow(["loss", "val"], **options).drop_columns(["run_id", "run_name"])
        assert alone.equals(among), options
        frame = run.scan_history().to_pandas(["loss", "val"], **options)
        assert pa.Table.from_pandas(frame, alone.schema, preserve_index=False).equals(alone), options
        assert run.to_polars(["loss", "val"], **options).rows() == [tuple(row.values()) for row in alone.to_pylist()]
    with pytest.raises(ValueError, match="samples must be at least 2"):
        run.to_arrow(samples=1)
    with pytest.raises(TypeError, match="there is no argument samplez"):
        run.to_pandas(samplez=3)
