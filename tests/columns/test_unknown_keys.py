"""A key that a run does not have is an error that names similar keys; patterns choose keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan import UnknownKeyError
from histscan.columns.scan import Scan
from tests.support.log_samples import Row

ROWS: list[Row] = [
    {"_step": 0, "_timestamp": 1.5, "loss": 1.5, "val/acc": 1, "nested": {"x": 1}},
    {"_step": 1, "_timestamp": 2.5, "val/loss": 2, "nothing": None},
    {"_step": 2, "_timestamp": 3.5, "loss": 0.5},
]

USES: dict[str, Callable[[Any, list[Any]], Any]] = {
    "to_arrow": lambda run, keys: run.to_arrow(keys),
    "flattened": lambda run, keys: run.to_arrow(keys, nested="flatten"),
    "to_pandas": lambda run, keys: run.to_pandas(keys),
    "to_polars": lambda run, keys: run.to_polars(keys),
    "batches": lambda run, keys: list(run.batches(keys)),
    "to_parquet": lambda run, keys: run.to_parquet("never.parquet", keys),
    "tail": lambda run, keys: run.to_arrow(keys, tail=1),
}


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture(params=["jsonl", "parquet", "scan"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    opened = histscan.open(write(tmp_path / "rows.jsonl", ROWS))
    if request.param == "parquet":
        opened.to_parquet("rows.parquet")
        return histscan.open("rows.parquet")
    return opened.scan_history() if request.param == "scan" else opened


@pytest.mark.parametrize("use", USES)
def test_unknown_keys(run: Any, use: str, tmp_path: Path) -> None:
    for keys, near in ((["losss"], "loss"), (["loss", "val.acc"], "val/acc"), (["_step", "acc"], "val/acc")):
        with pytest.raises(UnknownKeyError, match=f"did you mean .*{near}"):
            USES[use](run, keys)
    for pattern in ("train/*", re.compile("^trai")):
        with pytest.raises(UnknownKeyError, match="no row has"):
            USES[use](run, [pattern])
    assert not (tmp_path / "never.parquet").exists()


@pytest.mark.parametrize("use", USES)
def test_known_keys(run: Any, use: str) -> None:
    choices: list[Any] = [["nothing"], ["nested"], ["loss", "nested.x"], ["_step"], [], None]
    for keys in choices:
        USES[use](run, keys)


def test_lazy_frames_and_history(run: Any) -> None:
    if isinstance(run, Scan):
        return
    with pytest.raises(UnknownKeyError, match="did you mean loss"):
        run.history(keys=["losss"])
    with pytest.raises(Exception, match="did you mean loss"):
        run.scan_polars(["losss"]).collect()
    assert run.scan_polars(["loss"]).collect().columns == ["_step", "loss"]
    assert run.scan_polars(["loss"], types={"loss": "float64"}).collect().columns == ["_step", "loss"]
    assert len(run.history(keys=["val/*"], pandas=False)) == 0  # no row has both
    assert run.history(keys=["val/a*"], pandas=False) == [{"_step": 0, "val/acc": 1}]


def test_patterns(run: Any) -> None:
    assert run.to_arrow(["val/*"]).column_names == ["_step", "val/acc", "val/loss"]
    assert run.to_arrow([re.compile("acc$"), "loss"]).column_names == ["_step", "val/acc", "loss"]
    assert run.to_arrow(["loss", "_*"]).column_names == ["loss", "_step", "_timestamp"]
    with pytest.raises(ValueError, match="list of strings or patterns"):
        run.to_arrow("val/*")


def test_the_step_is_first_unless_told_otherwise(run: Any) -> None:
    assert run.to_arrow(["loss"]).column_names == ["_step", "loss"]
    assert run.to_arrow(["loss"]).column("_step").to_pylist() == [0, 1, 2]
    assert run.to_arrow(["loss", "_step"]).column_names == ["loss", "_step"]
    assert run.to_arrow(["loss"], with_step=False).column_names == ["loss"]
    assert [*run.to_pandas(["loss"], with_step=False).columns] == ["loss"]
    assert run.to_polars(["loss"], with_step=False).columns == ["loss"]
    assert next(run.batches(["loss"], with_step=False)).schema.names == ["loss"]


def test_known_keys_take_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = histscan.open(write(tmp_path / "rows.jsonl", ROWS))
    monkeypatch.setattr(Scan, "count_keys", lambda scan: pytest.fail("a pass for the keys"))
    assert run.to_arrow(["loss", "val/acc"]).num_rows == 3
    assert sum(batch.num_rows for batch in run.batches(["loss"])) == 3


def test_rows_of_a_range_may_lack_a_key(tmp_path: Path) -> None:
    run = histscan.open(write(tmp_path / "rows.jsonl", ROWS))
    assert run.scan_history(min_step=2).to_arrow(["val/acc"]).to_pydict() == {"_step": [2], "val/acc": [None]}
    assert list(run.scan_history(keys=["losss"])) == []
    assert run.scan_history(keys=["losss"]).to_arrow().to_pydict() == {"losss": []}


def test_histories_without_steps_or_rows(tmp_path: Path) -> None:
    run = histscan.open(write(tmp_path / "rows.jsonl", [{"a": 1}, {"b": 2}]))
    assert run.to_arrow(["a"]).column_names == ["a"]
    empty = histscan.open(write(tmp_path / "empty.jsonl", []))
    assert empty.to_arrow(["a"]).num_rows == 0


@pytest.mark.parametrize("use", [use for use in USES if use != "tail"])
def test_keys_of_many_runs(tmp_path: Path, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place, rows in enumerate((ROWS[:1], ROWS[1:])):
        histscan.open(write(tmp_path / "rows.jsonl", rows)).to_parquet(f"e_p_{place}_0.runhistory.parquet")
    runs = histscan.open_runs("*.parquet")
    assert len(runs) == 2
    for keys in (["losss"], ["val/*", "lss"], ["val/losss"]):
        with pytest.raises(UnknownKeyError, match=r"no run has .*did you mean"):
            USES[use](runs, keys)
    with pytest.raises(UnknownKeyError, match="no run has"):
        USES[use](runs, ["train/*"])
    assert not (tmp_path / "never.parquet").exists()
    # A key that one of the runs has is no error.
    USES[use](runs, ["val/acc", "nothing"])
    # Both runs have one name.
    assert runs.to_pandas(["loss"])["run_name"].tolist() == ["rows"] * 3
    assert runs.to_arrow(["loss"]).column_names == ["run_id", "run_name", "_step", "loss"]
    assert runs.to_arrow(["loss"], with_step=False).column_names == ["run_id", "run_name", "loss"]


def test_keys_have_types_and_counts(run: Any, tmp_path: Path) -> None:
    if isinstance(run, Scan):
        return
    keys = run.keys()
    names = ["_step", "_timestamp", "loss", "nested" if isinstance(run, histscan.ParquetRun) else "nested.x", "nothing"]
    assert keys == [*names, "val/acc", "val/loss"]
    found = {key: (key.type, key.count, key.runs) for key in keys}
    assert found["loss"] == ("number", 2, 1)
    assert found["_step"] == ("number", 3, 1)
    assert found["val/acc"] == ("number", 1, 1)
    assert found["nothing"][0] == "nil"
    assert run.keys("val/*") == run.keys(["val/acc", re.compile("l/loss")])
    assert run.keys("none") == []
    # Keys are texts, which every function takes that takes keys.
    assert run.to_arrow(run.keys("val/*")).column_names == ["_step", "val/acc", "val/loss"]
    assert list(run.scan_history(run.keys("loss"))) == [{"loss": 1.5}, {"loss": 0.5}]
    many = histscan.open_runs([run.file]).keys("loss")
    assert [key.as_dict() for key in many] == [key.as_dict() for key in run.keys("loss")]
    assert repr(many) == "[KeyInfo('loss', 'number', count=2, runs=1)]"
