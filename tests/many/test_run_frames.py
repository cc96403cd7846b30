"""Frames of many runs: the rows of each run, as it gives them alone, one after the other."""

from __future__ import annotations

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import histscan
from histscan.common.json_fields import is_json
from histscan.many.options import RunsProgress
from tests.support import wire
from tests.support.many_runs import rows_of, write_log

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

CORRUPT = wire.chunk(wire.FULL, b"damaged", checksum=1)
"""A chunk of a log with a wrong checksum."""


def expected_rows(runs: Any) -> list[dict[str, Any]]:
    """Each run's own rows, with the columns that name the run."""
    return [{"run_id": run.id, "run_name": run.name, **row} for run in runs for row in run.scan_history()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five runs: plain, with another key, empty, of one row, and with a value of another type."""
    write_log(tmp_path, "a", [{"_step": step, "loss": step / 3} for step in range(50)], config={"lr": 0.1, "seed": 1})
    write_log(tmp_path, "b", [{"_step": step, "val/acc": step} for step in range(20)], config={"lr": 0.2}, start=1)
    write_log(tmp_path, "c", [], config={"opt": {"name": "adam"}}, start=2)
    write_log(tmp_path, "d", [{"_step": 7, "loss": 1.5, "val/acc": 0.25}], start=3, name="The fourth")
    write_log(tmp_path, "e", [{"_step": 0, "loss": "nan?"}, {"_step": 1, "loss": None}], start=4)
    return tmp_path


def test_rows_of_all_runs_in_their_order(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    table = runs.to_arrow()
    assert table.column_names == ["run_id", "run_name", "_step", "loss", "val/acc"]
    assert table.schema.field("run_id").type == pa.dictionary(pa.int32(), pa.string())
    assert table.schema.field("loss").type == pa.string()  # JSON: text in one run, numbers in others
    assert is_json(table.schema.field("loss"))
    steps = rows_of(table.select(["run_id", "run_name", "_step", "val/acc"]))
    wanted = [{key: value for key, value in row.items() if key != "loss"} for row in expected_rows(runs)]
    assert steps == wanted
    texts = table["loss"].to_pylist()
    assert texts[:2] == ["0.0", repr(1 / 3)]
    assert texts[-2:] == ['"nan?"', None]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.lists(
        st.lists(st.dictionaries(st.sampled_from("abcd"), st.floats(allow_nan=False) | st.integers(-5, 5)), max_size=4),
        max_size=5,
    ),
    st.integers(1, 5),
    st.integers(1, 7),
)
def test_any_runs(tmp_path_factory: pytest.TempPathFactory, lists: Any, threads: int, batch_rows: int) -> None:
    folder = tmp_path_factory.mktemp("runs")
    for place, rows in enumerate(lists):
        write_log(folder, f"r{place}", [{"_step": step, **row} for step, row in enumerate(rows)], start=place)
    if not lists:
        with pytest.raises(FileNotFoundError):
            histscan.open_runs(folder)
        return
    runs = histscan.open_runs(folder)
    table = runs.to_arrow(threads=threads)
    assert rows_of(table) == expected_rows(runs)
    batches = list(runs.batches(threads=threads, rows=batch_rows))
    assert all(batch.num_rows <= batch_rows for batch in batches)
    assert pa.Table.from_batches(batches).equals(table)
    assert pa.table(runs).equals(table)


def test_large_runs_are_read_page_by_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = histscan.open_runs(folder)
    together = runs.to_arrow()
    monkeypatch.setattr("histscan.many.run_chunks._LARGE_RUN", 0)
    assert runs.to_arrow().equals(together)
    monkeypatch.setattr("histscan.many.run_chunks._LARGE_RUN", 1 << 40)
    monkeypatch.setattr("histscan.many.run_chunks._GROUP_RUNS", 1)
    assert runs.to_arrow().equals(together)


def test_keys_globs_and_expressions(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    assert runs.to_arrow(["loss", "_step"]).column_names[2:] == ["loss", "_step"]
    assert runs.to_arrow(["val/*"], with_step=False).column_names[2:] == ["val/acc"]
    assert runs.to_arrow([re.compile("^l"), "val/*", "_step"]).column_names[2:] == ["loss", "val/acc", "_step"]
    for keys in (["other/*"], ["other"]):
        with pytest.raises(histscan.UnknownKeyError, match="no run has"):
            runs.to_arrow(keys)
    assert len(runs.to_arrow(["val/*"])) == 73
    with pytest.raises(ValueError, match="keys must be a list"):
        runs.to_arrow("loss")


def test_entries_of_the_config(folder: Path) -> None:
    table = histscan.open_runs(folder).to_arrow(["_step"], config=["lr", "config.opt.name"])
    assert table.column_names == ["run_id", "run_name", "config.lr", "config.opt.name", "_step"]
    by_run = {row["run_id"]: row["config.lr"] for row in table.to_pylist()}
    assert by_run == {"a": 0.1, "b": 0.2, "d": None, "e": None}


def test_windows_of_steps(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    steps = runs.to_arrow(min_step=5, max_step=9)["_step"].to_pylist()
    assert steps == [5, 6, 7, 8, 5, 6, 7, 8, 7]


def test_frames_of_other_libraries(folder: Path) -> None:
    runs = histscan.open_runs(folder)[:2]
    table = runs.to_arrow()
    frame = runs.to_polars()
    assert frame.schema["run_id"] == pl.Categorical
    assert frame.rows() == [tuple(row.values()) for row in table.to_pylist()]
    other = runs.to_pandas()
    assert other["run_id"].dtype == "category"
    assert other["loss"].isna().sum() == 20
    assert histscan.open_runs(folder).to_polars(["loss"])["loss"].dtype == pl.String


def test_a_run_that_cannot_be_read(folder: Path) -> None:
    whole = histscan.open_runs(folder).to_arrow()
    bad = write_log(folder, "bb", [{"_step": step, "loss": 1.0} for step in range(3)], start=1, tail=CORRUPT)
    runs = histscan.open_runs(folder)
    with pytest.raises(histscan.LogFormatError, match=r"bb\.wandb"):
        runs.to_arrow()
    with pytest.warns(histscan.RunSkippedWarning, match="e/p/bb is left out"):
        table = runs.to_arrow(on_error="skip")
    assert list(runs.failures) == ["e/p/bb"]
    assert isinstance(runs.failures["e/p/bb"], histscan.LogFormatError)
    assert rows_of(table) == rows_of(whole)
    # Streams give all rows before the damage, or leave the run out.
    batches = runs.batches()
    before: list[Any] = []
    with pytest.raises(histscan.LogFormatError):
        before.extend(batch for batch in batches)
    assert sum(batch.num_rows for batch in before) == 50 + 20 + 3
    stream = runs.batches(on_error="skip")
    assert stream.failures == {}
    with pytest.warns(histscan.RunSkippedWarning):
        first = next(stream)
    assert list(stream.failures) == ["e/p/bb"]
    assert rows_of(pa.Table.from_batches([first, *stream])) == rows_of(whole)
    assert list(runs.failures) == ["e/p/bb"]
    bad.write_bytes(b"")
    with pytest.raises(histscan.LogFormatError, match="empty"):
        runs.to_arrow()
    with pytest.warns(histscan.RunSkippedWarning, match=r"bb\.wandb is left out"):
        assert rows_of(histscan.open_runs(folder).to_arrow(on_error="skip")) == rows_of(whole)


def test_truncated_logs_warn_once_in_a_stream(folder: Path) -> None:
    log = write_log(folder, "z", [{"_step": 0, "loss": 2.0}], start=9)
    log.write_bytes(log.read_bytes() + wire.chunk(wire.FULL, b"x" * 100)[:50])
    with pytest.warns(histscan.LogTruncatedWarning) as caught:
        rows = sum(batch.num_rows for batch in histscan.open_runs(folder).batches())
    assert rows == 74
    assert len([one for one in caught if one.category is histscan.LogTruncatedWarning]) == 1


def test_logs_that_grow_between_the_passes(folder: Path) -> None:
    log = write_log(folder, "g", [{"_step": 0, "loss": 2.0}], start=9)
    grown = log.read_bytes() + b""
    runs = histscan.open_runs(folder)[-1:]
    stream = iter(runs.batches())
    first = next(stream)
    log.write_bytes(grown + write_log(folder / "x", "g", [{"_step": 1, "new": "text"}], start=9).read_bytes()[7:])
    assert first.num_rows == 1
    assert list(stream) == []


def test_the_progress(folder: Path) -> None:
    seen: list[RunsProgress] = []
    runs = histscan.open_runs(folder)
    size = sum(run.history_bytes for run in runs)
    runs.to_arrow(progress=seen.append)
    assert seen[-1] == RunsProgress(5, 5, 73, size)
    assert [step.runs for step in seen] == sorted(step.runs for step in seen)
    list(runs.batches(progress=seen.append))
    assert seen[-1] == RunsProgress(5, 5, 73, size)
    runs[1:3].to_arrow(progress=seen.append)
    assert seen[-1] == RunsProgress(2, 2, 20, runs[1].history_bytes + runs[2].history_bytes)


@pytest.mark.parametrize(
    "options", [{"samples": 1}, {"on_error": "ignore"}, {"nested": "x"}, {"align": "left"}, {"threads": 0}]
)
def test_wrong_arguments(folder: Path, options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        histscan.open_runs(folder).to_arrow(**options)


def test_an_unknown_argument(folder: Path) -> None:
    with pytest.raises(TypeError, match="there is no argument steps"):
        histscan.open_runs(folder).to_arrow(steps=3)  # type: ignore[call-arg]


def test_runs_can_be_pickled(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    assert pickle.loads(pickle.dumps(runs)).to_arrow().equals(runs.to_arrow())


def test_nested_values(tmp_path: Path) -> None:
    write_log(tmp_path, "a", [{"_step": 0, "v": {"x": 1, "y": [1, 2]}}])
    runs = histscan.open_runs(tmp_path)
    assert runs.to_arrow(["v"])["v"].to_pylist() == ['{"x": 1, "y": [1, 2]}']
    assert rows_of(runs.to_arrow(nested="flatten").drop_columns(["run_id", "run_name"])) == [
        {"_step": 0, "v.x": 1, "v.y": [1, 2]}
    ]


def test_keys_with_types_and_counts(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    keys = runs.keys()
    found = {key.name: (key.type, key.count, key.runs) for key in keys}
    assert found == {"_step": ("number", 73, 4), "loss": ("other", 52, 3), "val/acc": ("number", 21, 2)}
    assert [key.name for key in keys] == ["_step", "loss", "val/acc"]
    assert [key.name for key in runs.keys("val/*")] == ["val/acc"]
    assert [key.name for key in runs.keys(re.compile("s"))] == ["_step", "loss"]
    assert math.isclose(sum(key.count or 0 for key in keys), 146)


def test_a_run_of_very_many_keys(tmp_path: Path) -> None:
    write_log(tmp_path, "a", [{"_step": 0, "x": 1.5}])
    write_log(tmp_path, "wide", [{"_step": 0, **{f"layer/{place}": place for place in range(50_000)}}], start=1)
    write_log(tmp_path, "z", [{"_step": 0, "x": 2.5}], start=2)
    runs = histscan.open_runs(tmp_path)
    table = runs.to_arrow()
    assert (table.num_rows, table.num_columns) == (3, 50_004)
    assert table["layer/49999"].to_pylist() == [None, 49_999, None]
    assert runs.to_arrow(["layer/49999", "x"])["x"].to_pylist() == [1.5, None, 2.5]
    assert len(runs.keys("layer/*")) == 50_000


def test_very_many_runs_of_one_row(tmp_path: Path) -> None:
    count = 10_000
    for place in range(count):
        (tmp_path / f"run-{place}.wandb").write_bytes(
            wire.write_log([wire.run_record(f"{place}"), wire.history_record([(["x"], str(place))], 0)])
        )
    runs = histscan.open_runs(tmp_path)
    assert len(runs) == count
    table = runs.to_arrow()
    assert table["run_id"].to_pylist() == [run.id for run in runs]
    assert table["x"].to_pylist() == [int(run.id) for run in runs]
    assert table["x"].num_chunks < 100


def test_keys_named_as_the_columns_of_runs(tmp_path: Path) -> None:
    write_log(tmp_path, "a", [{"_step": 0, "run_id": 7, "run_name": "x", "config.lr": 1}], config={"lr": 0.5})
    runs = histscan.open_runs(tmp_path)
    wanted = {"run_id": "a", "run_name": "a", "config.lr": 0.5, "_step": 0}
    logged = {"history.run_id": 7, "history.run_name": "x", "history.config.lr": 1}
    assert rows_of(runs.to_arrow(config=["lr"])) == [wanted | logged]
    assert rows_of(pa.Table.from_batches(list(runs.batches(config=["lr"])))) == [wanted | logged]
    assert runs.to_arrow(["run_id"], with_step=False).column_names == ["run_id", "run_name", "history.run_id"]


def test_columns_of_other_runs_share_their_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histscan.many.run_chunks._GROUP_RUNS", 1)
    write_log(tmp_path, "a", [{"_step": step, "x": 1.5} for step in range(2_000)])
    wide = {f"layer/{place}": place if place % 2 else str(place) for place in range(3_000)}
    write_log(tmp_path, "wide", [{"_step": 0, **wide, "deep": {"y": 1}, "list": [1, 2]}], start=1)
    first, last = histscan.open_runs(tmp_path).batches(["layer/*", "deep", "list", "_step"])
    assert first.schema.equals(last.schema)
    assert (len(first), first.schema.names[-3:]) == (2_000, ["deep", "list", "_step"])
    columns = first.columns[2:-1]
    assert all(column.null_count == 2_000 for column in columns)
    addresses = {buffer.address for column in columns for buffer in column.buffers() if buffer is not None}
    assert len(addresses) < 20  # of 3,002 columns
    (row,) = rows_of(pa.Table.from_batches([last]))
    assert {key: row[key] for key in wide} == wide
    assert (json.loads(row["deep"]), row["list"]) == ({"y": 1}, [1, 2])
