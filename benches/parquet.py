"""Reading a history from Parquet files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

import histscan
from benches.case import Case, Contestant, Scale
from benches.data import Row, mixed_rows, plain_rows
from benches.record_log import DEFAULT_DIRECTORY

__all__ = ["PARQUET_CASES", "ParquetFiles"]

_FILES = 4


@dataclass(frozen=True)
class ParquetFiles:
    """An exported history.

    Attributes:
        paths: The files, in the order of their steps.
        row_count: Rows in all of them.
    """

    paths: list[Path]
    row_count: int


def _written(name: str, rows: Callable[[Iterable[int]], Iterator[Row]]) -> Callable[[Scale], ParquetFiles]:
    """Makes a function that returns the files of these rows, and writes missing files."""

    def inputs(scale: Scale) -> ParquetFiles:
        folder = DEFAULT_DIRECTORY / f"parquet-{name}-{scale.log_rows}"
        paths = [folder / f"history-{number}.parquet" for number in range(_FILES)]
        if not all(path.exists() for path in paths):
            table = pyarrow.Table.from_pylist(list(rows(range(scale.log_rows))))
            share = scale.log_rows // _FILES
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as workspace:
                for number, path in enumerate(paths):
                    written = Path(workspace, path.name)
                    pyarrow.parquet.write_table(table.slice(number * share, share), written)
                    written.replace(path)
        return ParquetFiles(paths, scale.log_rows)

    return inputs


def _scan(files: ParquetFiles) -> Iterator[Any]:
    return iter(histscan.open(files.paths).scan_history())


def _read_by_pyarrow(files: ParquetFiles) -> Iterator[Any]:
    for path in files.paths:
        yield from pyarrow.parquet.read_table(path).to_pylist()


def _without_nulls(rows: Iterable[Any]) -> Iterator[Any]:
    """Yields rows without empty cells, which pyarrow returns as None."""
    for row in rows:
        yield {key: value for key, value in row.items() if value is not None}


def _case(name: str, subject: str, rows: Callable[[Iterable[int]], Iterator[Row]]) -> Case[ParquetFiles]:
    return Case(
        name,
        subject,
        _written(name, rows),
        Contestant(f"pyarrow {pyarrow.__version__} to_pylist", _read_by_pyarrow, _without_nulls),
        Contestant("histscan", _scan),
        floor=2.0,
        rounds=7,
    )


def _to_arrow(files: ParquetFiles) -> Iterator[pyarrow.Table]:
    yield histscan.open(files.paths).to_arrow()


def _to_arrow_by_pyarrow(files: ParquetFiles) -> Iterator[pyarrow.Table]:
    """Reads all columns, and converts structs to JSON text."""
    table = pyarrow.concat_tables(map(pyarrow.parquet.read_table, files.paths))
    for place, field in enumerate(table.schema):
        if pyarrow.types.is_struct(field.type):
            texts = [None if cell is None else json.dumps(cell) for cell in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pyarrow.array(texts, pyarrow.string()))
    yield table


def _rows_of_tables(tables: Iterable[pyarrow.Table]) -> Iterator[Any]:
    """Yields the tables' rows with keys in alphabetical order, as histscan orders columns, and JSON text decoded."""
    for table in tables:
        for row in _without_nulls(table.select(sorted(table.column_names)).to_pylist()):
            yield {
                key: json.loads(cell) if isinstance(cell, str) and cell.startswith("{") else cell
                for key, cell in row.items()
            }


PARQUET_CASES: tuple[Case[ParquetFiles], ...] = (
    _case("parquet", "Parquet files → dict rows", plain_rows),
    _case("parquet-mixed", "Parquet files → dict rows, text, NaN, structs, nulls", mixed_rows),
    Case(
        "parquet-arrow",
        "Parquet files → Arrow, structs as JSON text",
        _written("parquet-mixed", mixed_rows),
        Contestant(f"pyarrow {pyarrow.__version__}, json", _to_arrow_by_pyarrow, _rows_of_tables),
        Contestant("histscan", _to_arrow, _rows_of_tables),
        floor=2.0,
        rounds=7,
    ),
)
"""Four files with 23 columns; both sides read from disk. The mixed rows have two text columns, a struct, and a key that
is missing in half of the rows."""
