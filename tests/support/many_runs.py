"""Folders of many small logs, for tests of many runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support import wire

Row = Mapping[str, Any]

_EXIT = 18
"""The field number of exit records in wandb's `Record`."""


def write_log(
    folder: Path,
    run_id: str,
    rows: Iterable[Row],
    *,
    config: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
    entity: str = "e",
    project: str = "p",
    start: int = 1_700_000_000,
    name: str = "",
    tags: Iterable[str] = (),
    exit_code: int | None = None,
    tail: bytes = b"",
) -> Path:
    """Writes a log as wandb does, `wandb/run-<time>-<id>/run-<id>.wandb`, and appends `tail` to its bytes.

    A run without an exit code has not ended.
    """
    items = b"".join(wire.field(1, wire.item(key, json.dumps(value))) for key, value in (config or {}).items())
    run = b"".join(
        [
            wire.field(1, run_id),
            wire.field(2, entity),
            wire.field(3, project),
            wire.field(4, items),
            *([wire.field(8, name)] if name else []),
            *(wire.field(10, tag) for tag in tags),
            wire.field(17, wire.varint_field(1, start)),
        ]
    )
    records = [wire.field(wire.RUN, run)]
    for place, row in enumerate(rows):
        step = row.get("_step", place)
        records.append(wire.history_record([(key, json.dumps(value)) for key, value in row.items()], step))
    if summary:
        records.append(wire.update_record(wire.SUMMARY, [(key, json.dumps(value)) for key, value in summary.items()]))
    if exit_code is not None:
        records.append(wire.field(_EXIT, wire.varint_field(1, exit_code)))
    safe = run_id.replace("/", "_")
    place_of_run = folder / f"run-20260131_{start % 1_000_000:06}-{safe}"
    place_of_run.mkdir(parents=True, exist_ok=True)
    log = place_of_run / f"run-{safe}.wandb"
    log.write_bytes(wire.write_log(records) + tail)
    return log


def rows_of(table: Any) -> list[dict[str, Any]]:
    """The rows of a table without nulls."""
    return [{key: value for key, value in row.items() if value is not None} for row in table.to_pylist()]
