"""The rows of Parquet files are those that the real wandb-core gives for the same files.

The differences are those that are promised: floats stay floats, a key without a value is absent instead of None, keys
that were asked for choose rows, and a row that another file repeats is given once.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow
import pytest

import histscan
from tests.support.arrow_samples import same
from tests.support.parquet_files import is_repeat, write_parquet
from tests.support.server_process import serving
from tests.support.wandb_client import Failure, Question, ask_wandb

ROWS = 20
NAN, INF = math.nan, math.inf

TYPES = {
    "_step": pyarrow.array(range(ROWS)),
    "double": pyarrow.array([1.0, 0.1, -0.0, 1e6, 1234567.0] * 4),
    "not finite": pyarrow.array([NAN, INF, -INF, None, 1e300] * 4),
    "single": pyarrow.array([0.1, None] * 10, pyarrow.float32()),
    "int8": pyarrow.array([-128, None] * 10, pyarrow.int8()),
    "int16": pyarrow.array([-(2**15), 7] * 10, pyarrow.int16()),
    "int64": pyarrow.array([-(2**63), 2**63 - 1] * 10),
    "uint64": pyarrow.array([2**64 - 1, 1] * 10, pyarrow.uint64()),
    "bool": pyarrow.array([True, False, None, True] * 5),
    "text": pyarrow.array(['é "quoted"\n\t\\', "", None, "<&>"] * 5),
    "binary": pyarrow.array([b"\xff\x00", None] * 10),
    "floats": pyarrow.array([[1.5, None, NAN], None, [], [INF]] * 5),
    "integers": pyarrow.array([[1, 2**53 + 1], []] * 10),
    "texts": pyarrow.array([["x"], ["y", None]] * 10),
    # Releases before 0.29.0 read the wrong columns behind a struct: it stands last.
    "struct": pyarrow.array([{"a": 1.5, "b": {"c": "x", "d": [True]}}, None] * 10),
}


def as_wandb(value: Any) -> Any:
    """The value as wandb's JSON gives it: without None, and whole numbers below 1e6 as ints."""
    if isinstance(value, dict):
        return {key: as_wandb(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [as_wandb(item) for item in value]
    # The JSON text of a float has a point or an exponent only where it needs one.
    is_short = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return int(value) if is_short else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    write_parquet(folder / "team_vision_types_0.runhistory.parquet", TYPES, row_group_size=6)
    overlap = {"_step": range(10, 30), "double": [float(step) for step in range(20)], "other": ["z", None] * 10}
    write_parquet(folder / "team_vision_several_0.runhistory.parquet", TYPES, row_group_size=7)
    write_parquet(folder / "team_vision_several_1.runhistory.parquet", overlap, row_group_size=3)
    repeated: dict[str, Any] = {
        "_step": range(25, 35),
        "double": [*(float(step) for step in range(15, 20)), *[0.5] * 5],
    }
    repeated["other"] = [None if step % 2 else "z" for step in range(25, 35)]
    write_parquet(folder / "team_vision_several_2.runhistory.parquet", repeated)
    return folder


SCANS: dict[str, dict[str, Any]] = {
    "all": {},
    "range": {"min_step": 5, "max_step": 27},
    "small pages": {"page_size": 3},
    "keys": {"keys": ["_step", "double"]},
    "keys that rows lack": {"keys": ["_step", "text", "bool"]},
}
RUNS = ["types", "several"]


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[tuple[str, str], list[Any]]:
    """What the real client says, with the real wandb-core reading the files."""
    questions = {
        (run, label): Question("beta_scan_history", f"team/vision/{run}", arguments)
        for run in RUNS
        for label, arguments in SCANS.items()
    }
    with serving(folder) as server:
        found = ask_wandb(server.url, list(questions.values()))
    for answer in found:
        assert not isinstance(answer, Failure), answer
    return dict(zip(questions, found, strict=True))


def without_repeats(rows: list[Any]) -> list[Any]:
    """The rows without those that another of the same step, which stands before, is the same as."""
    kept: list[Any] = []
    for row in rows:
        if not any(other["_step"] == row["_step"] and is_repeat(row, other) for other in kept[-3:]):
            kept.append(row)
    return kept


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("label", SCANS)
def test_same_rows(folder: Path, answers: dict[tuple[str, str], list[Any]], run: str, label: str) -> None:
    opened = histscan.open(folder / f"team_vision_{run}_*.parquet")
    assert opened.path == ["team", "vision", run]
    arguments = SCANS[label]
    rows = list(opened.scan_history(**arguments))
    keys = arguments.get("keys")
    theirs = [as_wandb(row) for row in answers[run, label]]
    if keys is not None:
        theirs = [row for row in theirs if all(key in row for key in keys)]
    ours = [as_wandb(row) for row in rows]
    expected = without_repeats(theirs)
    assert len(ours) == len(expected) > 5
    # Its order of rows of one step, and of the members of structs, is none.
    assert same(sorted(map(in_order, ours)), sorted(map(in_order, expected)))
    assert [row["_step"] for row in ours] == [row["_step"] for row in expected]
    if keys is None and run == "types":
        assert list(map(list, ours)) == list(map(list, expected))


def in_order(value: Any) -> Any:
    """The value with the members of dicts in order, as something that can be sorted; steps come first."""
    if isinstance(value, dict):
        return sorted((key, repr(in_order(item)) if key != "_step" else item) for key, item in value.items())
    return [in_order(item) for item in value] if isinstance(value, list) else value


def test_repeats_are_what_wandb_gives_twice(answers: dict[tuple[str, str], list[Any]]) -> None:
    theirs = [as_wandb(row) for row in answers["several", "all"]]
    assert len(theirs) - len(without_repeats(theirs)) == 5


def test_floats_stay_floats(folder: Path) -> None:
    row = next(histscan.open(folder / "team_vision_types_0.runhistory.parquet").scan_history())
    assert [type(row[key]) for key in ("_step", "double", "int8")] == [int, float, int]
