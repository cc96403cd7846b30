"""Logs of many small runs, and a server of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support import wire

EXIT = 18
"""Number of a field in wandb's `Record`: a run that has it is finished."""


def write_run(
    folder: Path,
    run_id: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    config: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
    is_finished: bool = True,
    place: str | None = None,
    entity: str = "team",
    project: str = "many",
) -> Path:
    """Writes the log of a run.

    Args:
        folder: The folder of all runs.
        run_id: The run's id.
        rows: The rows; each needs a ``_step``.
        config: The configuration.
        summary: The summary.
        is_finished: True for a run with an exit code.
        place: The name of the run's folder; None for one made of the id.
        entity: The run's entity.
        project: The run's project.

    Returns:
        The log.
    """
    pairs = [(key, json.dumps(value)) for key, value in (config or {}).items()]
    given = b"".join(wire.field(1, wire.item([key], text)) for key, text in pairs)
    records = [wire.run_record(run_id, entity=entity, project=project, config=given)]
    for row in rows:
        records.append(wire.history_record([([key], json.dumps(value)) for key, value in row.items()], row["_step"]))
    if summary:
        records.append(wire.update_record(wire.SUMMARY, [([key], json.dumps(value)) for key, value in summary.items()]))
    if is_finished:
        records.append(wire.field(EXIT, wire.varint_field(1, 0)))
    home = folder / (run_id if place is None else place)
    home.mkdir(parents=True, exist_ok=True)
    log = home / f"run-{place or run_id}.wandb"
    log.write_bytes(wire.write_log(records))
    return log


def rows_of(seed: int, steps: Iterable[int]) -> list[dict[str, Any]]:
    """Rows of a run, different for each seed; keys and types vary from run to run."""
    rows: list[dict[str, Any]] = []
    for step in steps:
        row: dict[str, Any] = {
            "_step": step,
            "loss": 1 / (1 + step + seed),
            "note": f"run {seed} ✓",
            "epoch": step // 3,
        }
        if seed % 2:
            row |= {"score": step if seed % 4 == 1 else step + 0.5, "deep": {"a": {"b": step}, "c": [1, None]}}
        if seed % 3 == 0:
            row["mixed"] = "text" if seed % 2 else 2**70
        if step % 3 == 1:
            row["sparse"] = float("nan") if step % 2 else None
        rows.append(row)
    return rows


def write_runs(folder: Path, count: int = 12, rows: int = 20) -> Path:
    """Writes some runs, one of them without rows, one with more rows than a page has."""
    for number in range(count):
        steps = range(0) if number == 4 else range(1_300 if number == 7 else rows)
        config = {"lr": number / 10, "nested": {"x": [number]}, **({"text": "a"} if number % 2 else {"text": number})}
        summary = {"loss": number * 0.5, "best": {"epoch": number}, "_step": len(steps) - 1}
        write_run(folder, f"run{number:03}", rows_of(number, steps), config=config, summary=summary)
    return folder
