"""Reading a `.wandb` log that the real wandb client recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2
from wandb.sdk.internal.datastore import DataStore

import histscan
from benches.case import Case, Contestant, Scale
from benches.record_log import DEFAULT_DIRECTORY, recorded_log

__all__ = ["LOG_CASES", "RecordedLog", "read_by_wandb", "recorded"]


@dataclass(frozen=True)
class RecordedLog:
    """A recorded log.

    Attributes:
        path: The file.
        row_count: Rows of history in it.
    """

    path: Path
    row_count: int


def recorded(scale: Scale) -> RecordedLog:
    """Returns a log with the rows of a scale; records it on first use."""
    return RecordedLog(recorded_log(DEFAULT_DIRECTORY, scale.log_rows), scale.log_rows)


def _scan(log: RecordedLog) -> Iterator[Any]:
    return iter(histscan.open(log.path).scan_history())


def read_by_wandb(log: RecordedLog) -> Iterator[Any]:
    """Reads the rows of a log with wandb's reader, its messages and ``json.loads``."""
    store = DataStore()
    store.open_for_scan(str(log.path))
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record.FromString(data)
        if record.HasField("history"):
            row: dict[str, Any] = {}
            for item in record.history.item:
                names = item.nested_key
                if len(names) > 1:
                    _put(row, names, json.loads(item.value_json))
                else:
                    row[names[0] if names else item.key] = json.loads(item.value_json)
            yield row
    store.close()


def _put(row: dict[str, Any], names: Sequence[str], value: Any) -> None:
    for name in names[:-1]:
        row = row.setdefault(name, {})
    row[names[-1]] = value


LOG_CASES: tuple[Case[RecordedLog], ...] = (
    Case(
        "log",
        "rows of a .wandb log",
        recorded,
        Contestant(f"wandb {wandb.__version__}, json", read_by_wandb),
        Contestant("histscan", _scan),
        floor=12.0,
        rounds=3,
    ),
)
"""A log's history, with checksums verified, against wandb's reader with its protobuf messages and ``json.loads``."""
