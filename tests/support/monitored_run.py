"""A log with system metrics, its records written by wandb's own messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

from tests.support import wire

STARTED = 1_795_000_000

SYSTEM_ROWS: list[Mapping[str, Any]] = [
    {"cpu": 12.5, "memory": 40},
    {"cpu": 99.25, "gpu.0.temp": 61.0},
    {"proc.memory.rssMB": 1234.5},
]


def stats_record(second: int, metrics: Mapping[str, Any]) -> bytes:
    """A record of system metrics, taken so many seconds after the start."""
    record = wandb_internal_pb2.Record()
    record.stats.timestamp.seconds = STARTED + second
    for key, value in metrics.items():
        record.stats.item.add(key=key, value_json=json.dumps(value))
    return bytes(record.SerializeToString())


def exit_record(code: int, *, is_complete: bool = True) -> bytes:
    """A record of a run's end; of one that goes on elsewhere if it is not complete."""
    record = wandb_internal_pb2.Record()
    record.exit.exit_code = code
    record.exit.not_complete = not is_complete
    return bytes(record.SerializeToString())


def monitored_log(path: Path, *more: bytes) -> Path:
    """Write a log of three rows with `SYSTEM_ROWS` among them, and more records behind them."""
    run = wandb_internal_pb2.Record()
    run.run.run_id, run.run.entity, run.run.project = "monitored", "histscan", "machines"
    run.run.start_time.seconds = STARTED
    records = [run.SerializeToString()]
    for step, metrics in enumerate(SYSTEM_ROWS):
        records.append(wire.history_record([(["_step"], str(step)), (["loss"], "0.5")], step))
        records.append(stats_record(step + 1, metrics))
    path.write_bytes(wire.write_log([*records, *more]))
    return path
