"""Logs written by hand for the tests of reading them, and reading them in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histscan._core.log_page import LogPage
from histscan._core.log_reader import BLOCK_SIZE, LogReader
from histscan.errors import HistoryDecodeError
from tests import wire


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


def steps_of(rows: Iterable[dict[str, Any]]) -> list[int]:
    """The step of each row."""
    return [row["_step"] for row in rows]
