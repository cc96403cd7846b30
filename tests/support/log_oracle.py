"""Logs read by wandb 0.26.1's own `DataStore` and protobuf classes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2
from wandb.sdk.internal.datastore import DataStore

from tests.support.log_samples import Row, number_rows, with_steps
from tests.support.nested_values import path_of, put, take


def records_by_wandb(log: bytes) -> Iterator[Any]:
    """The records of a log that is whole; AssertionError where wandb finds it corrupt or cut short."""
    store = DataStore()
    # As `open_for_scan` does, which wants a file that it may write to.
    store._fp = io.BytesIO(log)
    store._size_bytes = len(log)
    store._opened_for_scan = True
    store._read_header()
    while (data := store.scan_data()) is not None:
        yield wandb_internal_pb2.Record.FromString(data)


def write_by_wandb(path: Path, records: Iterable[bytes]) -> bytes:
    """Writes a log of such records as wandb lays it out, and returns its bytes."""
    store = DataStore()
    store.open_for_write(str(path))
    for record in records:
        store._write_data(record)
    store.close()
    return path.read_bytes()


def row_by_wandb(history: Any) -> Row:
    """A `HistoryRecord` as a row, in the order of its items."""
    row: Row = {}
    for item in history.item:
        put(row, path_of(item), json.loads(item.value_json))
    return row


def _histories(log: bytes) -> tuple[list[Row], list[int | None]]:
    """The rows of a log as they are written, and the numbers of their `step` messages."""
    histories = [record.history for record in records_by_wandb(log) if record.HasField("history")]
    messages = [history.step.num if history.HasField("step") else None for history in histories]
    return [*map(row_by_wandb, histories)], messages


def rows_by_wandb(log: bytes) -> list[Row]:
    """The rows of a log; those that have no `_step` are given theirs."""
    return with_steps(*_histories(log))


def steps_by_wandb(log: bytes) -> list[int]:
    """The step of each row of a log."""
    return number_rows(*_histories(log))


def folded_by_wandb(log: bytes, kind: str) -> dict[str, Any]:
    """What the records of a kind, `summary` or `config`, leave behind."""
    values: dict[str, Any] = {}
    for record in records_by_wandb(log):
        changes = [getattr(record.run, kind)] if record.HasField("run") else []
        if record.HasField(kind):
            changes.append(getattr(record, kind))
        for change in changes:
            for item in change.update:
                put(values, path_of(item), json.loads(item.value_json))
            for item in change.remove:
                take(values, path_of(item))
    return values


def as_floats(value: Any) -> Any:
    """A value whose small ints are floats, and which has no negative zero: wandb writes 1.0 as 1, and -0.0 as -0."""
    if isinstance(value, dict):
        return {key: as_floats(member) for key, member in value.items()}
    if isinstance(value, list):
        return [as_floats(element) for element in value]
    return value + 0.0 if type(value) is float or (type(value) is int and abs(value) < 2**53) else value


def same_values(one: Any, two: Any) -> bool:
    """Returns True if values are equal, ignoring the order of keys and the types of numbers; NaN equals itself."""
    return json.dumps(as_floats(one), sort_keys=True) == json.dumps(as_floats(two), sort_keys=True)
