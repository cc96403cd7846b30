"""A log with system metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import wire
from tests.support.stream_records import stats_record

STARTED = 1_795_000_000

SYSTEM_ROWS: list[Mapping[str, Any]] = [
    {"cpu": 12.5, "memory": 40},
    {"cpu": 99.25, "gpu.0.temp": 61.0},
    {"proc.memory.rssMB": 1234.5},
]


def metrics_record(second: int, metrics: Mapping[str, Any]) -> bytes:
    """A record of system metrics, taken so many seconds after the start."""
    return stats_record({key: json.dumps(value) for key, value in metrics.items()}, STARTED + second)


def monitored_log(path: Path, *more: bytes, project: str = "machines") -> Path:
    """Write a log of three rows with `SYSTEM_ROWS` among them, and more records behind them."""
    records = [wire.run_record("monitored", entity="histscan", project=project, started=STARTED)]
    for step, metrics in enumerate(SYSTEM_ROWS):
        records.append(wire.history_record([(["_step"], str(step)), (["loss"], "0.5")], step))
        records.append(metrics_record(step + 1, metrics))
    path.write_bytes(wire.write_log([*records, *more]))
    return path
