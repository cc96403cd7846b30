"""Tables of several runs, as hypothesis makes them: keys with gaps, several chunks, buffers that begin elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow
from hypothesis import strategies as st

__all__ = ["SeriesTable", "all_floats", "as_table", "plain_floats", "series_tables"]

plain_floats = st.floats(-1e6, 1e6, allow_subnormal=False) | st.integers(-3, 3).map(float)
"""Finite numbers, with repetitions."""

all_floats = plain_floats | st.floats()
"""Every float, NaN and infinities among them."""

TYPES = {
    "_step": pyarrow.int64(),
    "time": pyarrow.float64(),
    "loss": pyarrow.float64(),
    "epoch": pyarrow.int64(),
    "note": pyarrow.string(),
    "best": pyarrow.bool_(),
}


@dataclass(frozen=True)
class SeriesTable:
    """A table of several runs.

    Attributes:
        runs: Each run's rows, with None for null.
        table: All rows.
        offsets: The first row of each run, and the number of all rows.
    """

    runs: list[list[dict[str, Any]]]
    table: Any
    offsets: list[int]


def as_table(runs: list[list[dict[str, Any]]], chunk_rows: int = 1_000, skipped: int = 0) -> SeriesTable:
    """Makes a table of the columns in `TYPES` that the rows have.

    Args:
        runs: Each run's rows; a key that a row lacks is null.
        chunk_rows: Rows in a chunk.
        skipped: How many values each chunk's buffers have before the first one.
    """
    runs = [[{name: row.get(name) for name in TYPES} for row in run] for run in runs]
    rows = [row for run in runs for row in run]
    offsets = [sum(map(len, runs[:index])) for index in range(len(runs) + 1)]
    columns = {name: _column([row[name] for row in rows], name, chunk_rows, skipped) for name in TYPES}
    return SeriesTable(runs, pyarrow.table(columns), offsets)


def _column(values: list[Any], name: str, chunk_rows: int, skipped: int) -> Any:
    chunks = [
        pyarrow.array([None] * skipped + values[first : first + chunk_rows], TYPES[name])[skipped:]
        for first in range(0, len(values), chunk_rows)
    ]
    return pyarrow.chunked_array(chunks, TYPES[name])


def _in_order(run: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(run, key=lambda row: row["_step"] or 0)


def series_tables(
    numbers: st.SearchStrategy[float] = all_floats, *, most_runs: int = 4, most_rows: int = 25
) -> st.SearchStrategy[SeriesTable]:
    """Tables of runs whose steps repeat, go back, and are null now and then.

    Args:
        numbers: The floats.
        most_runs: The maximum number of runs.
        most_rows: The maximum number of rows of a run.
    """
    row = st.fixed_dictionaries(
        {
            "_step": st.none() | st.integers(0, 30),
            "time": st.none() | numbers,
            "loss": st.none() | numbers,
            "epoch": st.none() | st.integers(-5, 5),
            "note": st.none() | st.sampled_from(["", "a", "é"]),
            "best": st.none() | st.booleans(),
        }
    )
    rows = st.lists(row, max_size=most_rows)
    runs = st.lists(rows | rows.map(_in_order), max_size=most_runs)
    return st.builds(as_table, runs, chunk_rows=st.sampled_from([1, 7, 1_000]), skipped=st.sampled_from([0, 3, 9]))
