"""What the tests of the matrix are told, and the runs that every release of wandb scans in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support import wire

SERVERS = "HISTSCAN_MATRIX_SERVERS"
"""Name of the environment variable that tells the tests where their servers are."""

WORKSPACE = "HISTSCAN_MATRIX_WORKSPACE"
"""Name of the environment variable that tells them what folder they may write to."""

ENTITY, PROJECT = "team", "vision"

STEPS: dict[str, list[int]] = {
    "mixed": list(range(2_500)),
    "gaps": [*range(15), *range(1_500, 1_515), 4_000],
    "sparse": list(range(37, 60_500, 100)),
    "single": [0],
    "empty": [],
}
"""The steps of each run."""


def run_path(run: str) -> str:
    """The path that wandb knows a run by."""
    return f"{ENTITY}/{PROJECT}/{run}"


def row(step: int) -> dict[str, Any]:
    """What is logged at a step: values of all kinds, some rare, some only at some steps."""
    values: dict[str, Any] = {
        "loss": float("nan") if step % 7 == 0 else 1.0 / (step + 1),
        "_step": step,
        "_runtime": step * 0.25,
        "_timestamp": 1_795_000_000.5 + step,
        "epoch": step // 10,
        "whole": float(step),
        "note": f'step {step} ✓ "\\\n',
        "flag": step % 2 == 0,
        "peak": float("inf") if step % 11 == 0 else -1e300,
        "nested": {"x": step, "deep": {"y": step / 3}},
    }
    if step % 3 == 0:
        values["accuracy"] = step / 1000
    if step % 500 == 0:
        values["list"] = [1, step, 2.5]
    return values


def write_runs(folder: Path) -> None:
    """Write the logs of all runs.

    Args:
        folder: Where to.
    """
    for run, steps in STEPS.items():
        records = [wire.run_record(run, entity=ENTITY, project=PROJECT), *map(_record, steps)]
        (folder / f"run-{run}.wandb").write_bytes(wire.write_log(records))


def _record(step: int) -> bytes:
    return wire.history_record([(path, json.dumps(value)) for path, value in _leaves(row(step))], step)


def _leaves(values: dict[str, Any]) -> Iterable[tuple[list[str], Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from (([key, *path], leaf) for path, leaf in _leaves(value))
        else:
            yield [key], value
