"""Logs written by hand for the tests of reading them, and reading them in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import BLOCK_SIZE, LogReader
from histscan.errors import HistoryDecodeError
from tests.support import wire

Row = dict[str, Any]


@dataclass
class Reading:
    """What reading a whole log gave."""

    rows: list[Any]
    error: HistoryDecodeError | None
    reader: LogReader
    pages: list[LogPage]


def read_log(log: bytes, *, blocks: int = 1, skip_corrupt: bool = False) -> Reading:
    """Reads a log in windows of so many blocks, as far as it goes."""
    reader = LogReader(skip_corrupt)
    reading = Reading([], None, reader, [])
    size = blocks * BLOCK_SIZE
    try:
        while not reader.is_finished:
            window = log[reader.offset : reader.offset + size]
            page = reader.read_window(window, len(window) < size)
            reading.pages.append(page)
            for index in range(len(page)):
                reading.rows.append(page.row(index))
            page.rows()
    except HistoryDecodeError as error:
        reading.error = error
    return reading


def step_rows(steps: Iterable[int], *, size: int = 0) -> list[bytes]:
    """Records of rows that name their step, each with a text of `size` characters, the same letter over and over."""
    return [
        wire.history_record([(["_step"], str(step)), (["text"], json.dumps(chr(97 + step % 26) * size))], step)
        for step in steps
    ]


def write_run(path: Path, records: Sequence[bytes], *, run: bool = True) -> Path:
    """Writes a log of these records, by default with a run's record before them."""
    first = [wire.run_record("id", entity="e", project="p")] if run else []
    path.write_bytes(wire.write_log([*first, *records]))
    return path


def number_rows(rows: Sequence[Row], messages: Sequence[int | None] | None = None) -> list[int]:
    """The steps of a log's rows: `_step` if that is a whole number, else the `step` message, else one more than before.

    Args:
        rows: The rows as they are written, from the log's beginning.
        messages: The number of each row's `step` message, None where it has none; None if no row has one.
    """
    steps: list[int] = []
    for row, message in zip(rows, messages or [None] * len(rows), strict=True):
        value: Any = row.get("_step")
        if type(value) in (int, float) and -(2**63) < value < 2**63 and value == math.floor(value):
            steps.append(int(value))
        elif message is not None:
            steps.append(message)
        else:
            steps.append(steps[-1] + 1 if steps else 0)
    return steps


def with_steps(rows: Sequence[Row], messages: Sequence[int | None] | None = None) -> list[Row]:
    """The rows of a log as they are read: one that is written without `_step` has its step as its last key."""
    return [
        row if "_step" in row else {**row, "_step": step}
        for row, step in zip(rows, number_rows(rows, messages), strict=True)
    ]


def steps_of(rows: Iterable[dict[str, Any]]) -> list[int]:
    """The step of each row."""
    return [row["_step"] for row in rows]
