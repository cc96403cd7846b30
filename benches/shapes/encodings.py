"""The encodings of the matrix: what histscan and its peers do with the rows of a shape.

Each side is called as its users call it: histscan by its public classes and functions, a library by one call on text
that is in memory, or on a file where it reads only files.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final

import duckdb
import msgspec
import orjson
import polars
import pyarrow
import pyarrow.json
import pyarrow.parquet

import histscan
from benches.clock import CLOCK
from benches.graphql import scan_history, scan_parsed
from benches.service import scan_raw_service
from benches.shapes.inputs import ShapeInputs

__all__ = ["ENCODINGS", "Encoding", "Work"]

Work = Callable[[ShapeInputs], Any]
"""Reads all rows of a shape: an iterable of dict rows, or a table."""


@dataclass(frozen=True)
class Encoding:
    """A way from bytes to results.

    Attributes:
        name: The name of its column.
        subject: What is measured.
        ours: What histscan does.
        peers: What is compared with it, by name; the fastest of those that give the same counts.
        floor: The minimum ratio of the fastest peer's time to ours.
        numeric_floor: That of numeric shapes; None for the same.
        struct_floor: That of shapes with columns of structs; None for the same.
        gives_rows: True for an iterable of dict rows, False for a table.
    """

    name: str
    subject: str
    ours: Work
    peers: Mapping[str, Work]
    floor: float
    numeric_floor: float | None = None
    struct_floor: float | None = None
    gives_rows: bool = False


def _load_joined(loads: Callable[[bytes], Any], inputs: ShapeInputs) -> Iterator[Any]:
    return chain.from_iterable(map(loads, inputs.joined))


def _load_each(loads: Callable[[bytes], Any], inputs: ShapeInputs) -> Iterator[Any]:
    return map(loads, chain.from_iterable(inputs.texts))


def _load_client_rows(loads: Callable[[str], Any], inputs: ShapeInputs) -> Iterator[Any]:
    return chain.from_iterable(map(loads, texts) for texts in _client_pages(inputs))


def _client_pages(inputs: ShapeInputs) -> Iterator[list[str]]:
    """Yields the rows of each page as wandb's client holds them, with the clock halted: a str that is used again has
    its UTF-8 already."""
    for body in inputs.bodies.pages:
        with CLOCK.halted():
            texts = json.loads(body)["data"]["project"]["run"]["history"]
        yield texts


def _load_bodies(loads: Callable[[Any], Any], inputs: ShapeInputs) -> Iterator[Any]:
    return chain.from_iterable(
        map(loads, loads(body)["data"]["project"]["run"]["history"]) for body in inputs.bodies.pages
    )


_LOADERS: Final[dict[str, Callable[[Any], Any]]] = {
    "orjson": orjson.loads,
    "msgspec": msgspec.json.decode,
    "json": json.loads,
}


def _read_ndjson(infer_schema_length: int | None, inputs: ShapeInputs) -> polars.DataFrame:
    return polars.read_ndjson(io.BytesIO(inputs.lines), infer_schema_length=infer_schema_length)


def _read_json(inputs: ShapeInputs) -> pyarrow.Table:
    options = pyarrow.json.ReadOptions(use_threads=False, block_size=len(inputs.lines) + 1)
    return pyarrow.json.read_json(io.BytesIO(inputs.lines), read_options=options)


def _read_ndjson_file(infer_schema_length: int | None, inputs: ShapeInputs) -> polars.DataFrame:
    return polars.read_ndjson(inputs.lines_file, infer_schema_length=infer_schema_length)


def _read_json_file(inputs: ShapeInputs) -> pyarrow.Table:
    options = pyarrow.json.ReadOptions(use_threads=False, block_size=len(inputs.lines) + 1)
    return pyarrow.json.read_json(inputs.lines_file, read_options=options)


def _read_by_duckdb(inputs: ShapeInputs) -> pyarrow.Table:
    # Without these options, DuckDB turns many keys into one column of maps, and reads large objects not at all.
    return (
        _DUCKDB.read_json(
            str(inputs.lines_file),
            format="newline_delimited",
            records="true",
            map_inference_threshold=-1,
            maximum_object_size=1 << 26,
        )
        .arrow()
        .read_all()
    )


_DUCKDB = duckdb.connect(config={"threads": 1})

_POLARS: Final[dict[str, Work]] = {
    "polars": partial(_read_ndjson, 100),
    # polars drops keys that the first 100 rows do not have, unless it infers the schema from all rows.
    "polars, all rows inferred": partial(_read_ndjson, None),
}
_READERS: Final[dict[str, Work]] = {**_POLARS, "pyarrow": _read_json, "duckdb": _read_by_duckdb}
_FILE_READERS: Final[dict[str, Work]] = {
    "polars": partial(_read_ndjson_file, 100),
    "polars, all rows inferred": partial(_read_ndjson_file, None),
    "pyarrow": _read_json_file,
    "duckdb": _read_by_duckdb,
}


def _service(inputs: ShapeInputs) -> Any:
    return scan_raw_service(inputs.answers)


def _to_arrow(scan: Callable[[ShapeInputs], Any], inputs: ShapeInputs) -> pyarrow.Table:
    return scan(inputs).to_arrow(threads=1)


def _parsed(inputs: ShapeInputs) -> Any:
    return scan_parsed(histscan.HistoryScan, inputs.bodies)


def _body(inputs: ShapeInputs) -> Any:
    return scan_history(inputs.bodies)


def _log(inputs: ShapeInputs) -> Any:
    return histscan.open(inputs.log).scan_history()


def _lines(inputs: ShapeInputs) -> Any:
    return histscan.open(inputs.lines_file).scan_history()


def _parquet(inputs: ShapeInputs) -> Any:
    assert inputs.parquet is not None
    return histscan.open(inputs.parquet).scan_history()


def _read_parquet(inputs: ShapeInputs) -> pyarrow.Table:
    """Reads the file with one thread, and converts structs to JSON text, as histscan does."""
    table = pyarrow.parquet.read_table(inputs.parquet, use_threads=False)
    for place, column in enumerate(table.schema):
        if pyarrow.types.is_struct(column.type):
            texts = [None if cell is None else json.dumps(cell) for cell in table.column(place).to_pylist()]
            table = table.set_column(place, column.name, pyarrow.array(texts, pyarrow.string()))
    return table


ENCODINGS = {
    encoding.name: encoding
    for encoding in (
        Encoding(
            "protobuf rows",
            "bytes of a service's page → BetaHistoryScan → dict rows",
            _service,
            {
                **{f"{name}, joined": partial(_load_joined, loads) for name, loads in _LOADERS.items()},
                **{f"{name}, each row": partial(_load_each, loads) for name, loads in _LOADERS.items()},
            },
            floor=1.1,
            numeric_floor=2.0,
            gives_rows=True,
        ),
        Encoding(
            "graphql rows",
            "body → HistoryScan, histscan.Client → dict rows",
            _body,
            {name: partial(_load_bodies, loads) for name, loads in _LOADERS.items()},
            floor=1.3,
            gives_rows=True,
        ),
        Encoding(
            "wandb client rows",
            "rows of wandb's client → HistoryScan → dict rows",
            _parsed,
            {name: partial(_load_client_rows, loads) for name, loads in _LOADERS.items()},
            floor=1.0,
            numeric_floor=1.3,
            gives_rows=True,
        ),
        Encoding(
            "protobuf columns",
            "bytes of a service's page → BetaHistoryScan.to_arrow(threads=1)",
            partial(_to_arrow, _service),
            _READERS,
            floor=3.0,
        ),
        Encoding(
            "graphql columns",
            "body → HistoryScan.to_arrow(threads=1), histscan.Client",
            partial(_to_arrow, _body),
            _READERS,
            floor=3.0,
        ),
        Encoding(
            "log columns",
            ".wandb log → to_arrow(threads=1)",
            partial(_to_arrow, _log),
            _POLARS,
            floor=3.0,
        ),
        Encoding(
            "jsonl columns",
            "JSON Lines file → to_arrow(threads=1)",
            partial(_to_arrow, _lines),
            _FILE_READERS,
            floor=3.0,
        ),
        Encoding(
            "parquet columns",
            "Parquet → to_arrow(threads=1)",
            partial(_to_arrow, _parquet),
            {"pyarrow": _read_parquet},
            floor=1 / 1.2,
            struct_floor=5.0,
        ),
    )
}
"""All encodings by their names, in the order of the columns."""
