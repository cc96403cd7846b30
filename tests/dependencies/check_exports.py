"""Exports read back, by histscan and by every library that reads Parquet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pytest

import histscan

EXAMPLE = Path(__file__).parents[2] / "examples" / "lissajous-regression.wandb"


def without_types(value: Any) -> Any:
    """The value without the difference between 1 and 1.0, and with NaN equal to itself."""
    if isinstance(value, dict):
        return {key: without_types(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_types(member) for member in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return repr(float(value))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "history.parquet"
    histscan.open(EXAMPLE).to_parquet(path)
    return path


def numbers(value: Any) -> Any:
    """The value with the words for NaN and the infinities as floats, as the columns of files have them."""
    if isinstance(value, dict):
        return {key: numbers(member) for key, member in value.items()}
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def test_histscan_reads_it_back(export: Path) -> None:
    run = histscan.open(export)
    expected = [without_types(numbers(row)) for row in histscan.open(EXAMPLE).scan_history()]
    assert [without_types(numbers(row)) for row in run.scan_history()] == expected
    assert run.to_arrow().schema.equals(histscan.open(EXAMPLE).to_arrow().schema, check_metadata=True)
    assert run.config == histscan.open(EXAMPLE).config


def test_everybody_reads_it(export: Path) -> None:
    losses = [row["loss"] for row in histscan.open(EXAMPLE).scan_history(["loss"])]
    frame = polars.read_parquet(export)
    assert frame["loss"].drop_nulls().to_list() == losses
    assert frame.schema["gradient"] == frame.schema["validation"] == polars.String
    assert frame["gradient"].str.contains("norm").any()
    assert polars.scan_parquet(export).select(polars.col("loss").count()).collect().item() == len(losses)
    assert pandas.read_parquet(export)["loss"].dropna().tolist() == losses
    with duckdb.connect() as connection:
        found = connection.sql(f"select loss from '{export}' where loss is not null order by _step").fetchall()
    assert [value for (value,) in found] == losses


def test_many_runs_in_one_file(export: Path) -> None:
    goal = export.with_name("all.parquet")
    histscan.open_runs([EXAMPLE]).to_parquet(goal, ["loss", "validation.loss"])
    frame = polars.read_parquet(goal)
    assert frame.columns == ["run_id", "run_name", "_step", "loss", "validation.loss"]
    assert frame.height == 5_000


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "arrow", "feather"])
def test_other_files(export: Path, suffix: str) -> None:
    goal = export.with_name(f"history.{suffix}")
    command = [sys.executable, "-m", "histscan", "export", str(EXAMPLE), "--quiet", "-o", str(goal)]
    subprocess.run(command, check=True)
    if suffix == "jsonl":
        assert list(map(repr, histscan.open(goal).scan_history())) == list(
            map(repr, histscan.open(EXAMPLE).scan_history())
        )
    elif suffix == "csv":
        assert len(pandas.read_csv(goal)) == 5_000
    else:
        assert len(pandas.read_feather(goal)) == 5_000
