"""Parquet files for tests, and the rows that several of them have together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from tests.support.arrow_samples import expected_rows, same

Row = dict[str, Any]


def write_parquet(path: Path, columns: Any, **options: Any) -> Path:
    """Writes columns as a Parquet file. Options of pyarrow can make it hard to read."""
    table = columns if isinstance(columns, pyarrow.Table) else pyarrow.table(columns)
    pyarrow.parquet.write_table(table, path, **options)
    return path


def merged_rows(tables: Sequence[Any], low: int = 0, stop: float = math.inf) -> list[Row]:
    """The expected rows of several files: sorted by step, then by file, without repeats from other files."""
    entries = []
    for origin, table in enumerate(tables):
        steps = [None if step is None or step != step else int(step) for step in table.column("_step").to_pylist()]
        for place, (step, row) in enumerate(zip(steps, expected_rows(table.drop_columns("_step")), strict=True)):
            if step is not None and low <= step < stop:
                names = [name for name in table.schema.names if name == "_step" or name in row]
                whole = {name: step if name == "_step" else row[name] for name in names}
                entries.append((step, origin, place, whole))
    entries.sort(key=lambda entry: entry[:3])
    kept: list[tuple[int, int, Row]] = []
    for step, origin, _, row in entries:
        if not any(other == step and where != origin and is_repeat(row, given) for other, where, given in kept):
            kept.append((step, origin, row))
    return [row for *_, row in kept]


def is_repeat(row: Any, other: Any) -> bool:
    """Returns True if values are equal in any order of keys; bools are not numbers, and NaN equals itself."""
    return same(_canonical(row), _canonical(other))


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Python's comparison does not distinguish 0.0 and -0.0.
    return float(value) + 0.0 if is_number else value


def with_keys(rows: Iterable[Row], keys: Sequence[str]) -> list[Row]:
    """The rows that have all of some plain keys, with only these."""
    return [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]


def chunk_bounds(path: Path, group: int, column: str) -> tuple[int, int]:
    """The position in a file of a column of a row group."""
    metadata = pyarrow.parquet.read_metadata(path).row_group(group)
    (chunk,) = (
        metadata.column(place)
        for place in range(metadata.num_columns)
        if metadata.column(place).path_in_schema == column
    )
    offsets = [offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset is not None]
    return min(offsets), min(offsets) + chunk.total_compressed_size


def spoil(path: Path, group: int, column: str) -> None:
    """Overwrites a column of a row group with invalid bytes."""
    begin, end = chunk_bounds(path, group, column)
    content = bytearray(path.read_bytes())
    content[begin:end] = b"\xff" * (end - begin)
    path.write_bytes(content)
