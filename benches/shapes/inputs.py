"""The rows of a shape in every encoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from benches.data import Pages, Row, history_body, joined_rows, value_text
from benches.service import service_answer
from benches.shapes.rows import Shape
from tests.support import wire

__all__ = ["ShapeInputs", "make_inputs"]

_NAMES = ("team", "vision", "a1b2c3d4")


@dataclass(frozen=True)
class ShapeInputs:
    """Four pages of a shape, as each contestant needs them.

    Attributes:
        rows: The rows.
        texts: The JSON text of each row, by page, as wandb's client holds it.
        joined: Each page's rows as one JSON array.
        lines: All rows as JSON Lines.
        lines_file: The same in a file, for readers of files.
        bodies: Bodies of GraphQL responses.
        answers: Responses of wandb's service.
        log: A ``.wandb`` log, whose rows have the step and the items of the page's rows.
        parquet: A Parquet file with the rows; None if Parquet has no columns for them.
    """

    rows: list[Row]
    texts: list[list[bytes]]
    joined: list[bytes]
    lines: bytes
    lines_file: Path
    bodies: Pages
    answers: Pages
    log: Path
    parquet: Path | None

    @property
    def has_structs(self) -> bool:
        """True if a column of the Parquet file is a struct."""
        return self.parquet is not None and any(
            pyarrow.types.is_struct(column.type) for column in pyarrow.parquet.read_schema(self.parquet)
        )


def make_inputs(shape: Shape, folder: Path) -> ShapeInputs:
    """Encodes the rows of a shape.

    Args:
        shape: The shape.
        folder: A folder for the files; the caller removes it.

    Returns:
        The rows in all encodings.
    """
    pages = shape.pages()
    rows = [row for page in pages for row in page]
    is_ascii = shape.is_ascii
    texts = [[value_text(row, ensure_ascii=is_ascii).encode() for row in page] for page in pages]
    lines = b"\n".join(text for page in texts for text in page) + b"\n"
    lines_file = folder / f"{shape.name}.ndjson"
    lines_file.write_bytes(lines)
    log = folder / f"run-{shape.name}.wandb"
    log.write_bytes(_log_of(rows, ensure_ascii=is_ascii))
    return ShapeInputs(
        rows=rows,
        texts=texts,
        joined=[joined_rows(page, ensure_ascii=is_ascii) for page in pages],
        lines=lines,
        lines_file=lines_file,
        bodies=_encoded(pages, partial(history_body, ensure_ascii=is_ascii)),
        answers=_encoded(pages, partial(service_answer, ensure_ascii=is_ascii)),
        log=log,
        parquet=_write_parquet(rows, folder / f"{shape.name}.parquet"),
    )


def _encoded(pages: list[list[Row]], encode: Callable[[list[Row]], bytes]) -> Pages:
    return Pages([encode(page) for page in pages], len(pages[0]))


def _log_of(rows: list[Row], *, ensure_ascii: bool) -> bytes:
    """Writes a log as wandb's core does: keys of dicts become nested keys, except those of media, which have a type."""
    records = [wire.history_record(_items_of(row, ensure_ascii), step=row["_step"]) for row in rows]
    entity, project, run_id = _NAMES
    return wire.write_log([wire.run_record(run_id, entity=entity, project=project), *records])


def _items_of(row: Row, ensure_ascii: bool) -> list[wire.Item]:
    items: list[wire.Item] = []

    def add(path: tuple[str, ...], value: Any) -> None:
        if isinstance(value, dict) and value and "_type" not in value:
            for key, member in value.items():
                add((*path, key), member)
        else:
            items.append((path, value_text(value, ensure_ascii=ensure_ascii)))

    for key, value in row.items():
        add((key,), value)
    return items


def _write_parquet(rows: list[Row], path: Path) -> Path | None:
    names = dict.fromkeys(key for row in rows for key in row)
    columns = {}
    for name in names:
        cells = [row.get(name) for row in rows]
        if all(cell is None for cell in cells):
            # A column without a type has none in Parquet files of W&B either.
            continue
        columns[name] = cells
    try:
        table = pyarrow.table(columns)
    except pyarrow.ArrowInvalid:
        return None
    pyarrow.parquet.write_table(table, path)
    return path
