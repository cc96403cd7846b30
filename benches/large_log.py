"""Write a `.wandb` log of any size, by repeating the rows of a recorded log at increasing steps.

Run it from the project's root, and measure how the log is read:

    python -m benches.large_log build/bench-data/large.wandb --size 2000
    /usr/bin/time -v histscan export build/bench-data/large.wandb -o out/large.parquet
"""

from __future__ import annotations

import argparse
import json
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any, BinaryIO

import histscan
from benches.data import Row, plain_rows, shuffled, value_text
from histscan._core.pages.log_reader import BLOCK_SIZE, checksum
from histscan.common.atomic import atomic_output
from tests.support import wire

__all__ = ["FIRST_STEP", "LogWriter", "numbered_records", "write_large_log", "write_numbered_log"]

FIRST_STEP = 1_000_000
"""The first step of `numbered_records`: all steps have seven digits, and three bytes as varints."""

# It marks the places of steps in a template, and is never reached.
_MARK = 1_999_999
_TEMPLATES = 1_000
_EXIT = 18

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "lissajous-regression.wandb"


class LogWriter:
    """Writes records in wandb's log format, in blocks of 32 KiB.

    Args:
        output: The binary file to write to.

    Attributes:
        size: Bytes written.
    """

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self.size = output.write(wire.LOG_HEADER)

    def write(self, record: bytes) -> None:
        """Writes a record, split into chunks if it does not fit the rest of a block."""
        start, is_first, is_last = 0, True, False
        while not is_last:
            left = BLOCK_SIZE - self.size % BLOCK_SIZE
            if left < wire.CHUNK_HEADER_SIZE:
                self.size += self._output.write(bytes(left))
                left = BLOCK_SIZE
            # The end of a block may only have room for a chunk's header: the first chunk is then empty.
            data = record[start : start + left - wire.CHUNK_HEADER_SIZE]
            start += len(data)
            is_last = start == len(record)
            kinds = (wire.FIRST, wire.FULL) if is_first else (wire.MIDDLE, wire.LAST)
            kind = kinds[is_last]
            self.size += self._output.write(struct.pack("<IHB", checksum(kind, data), len(data), kind) + data)
            is_first = False


def items_of(row: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[bytes]:
    """Yields the items of a row as wandb records them: one item per nested key, and one per histogram."""
    for key, value in row.items():
        if isinstance(value, dict) and value and "_type" not in value:
            yield from items_of(value, (*path, key))
        else:
            yield wire.field(1, wire.item([*path, key], json.dumps(value, separators=(",", ":"))))


@cache
def _templates(rows: Callable[[Iterable[int]], Iterable[Row]]) -> list[tuple[bytes, bytes]]:
    """Makes records without their steps: the bytes before the `_step` item, and those between it and the message."""
    templates = []
    for row in shuffled({**row, "_step": _MARK} for row in rows(range(_TEMPLATES))):
        record = wire.history_record([((key,), value_text(value)) for key, value in row.items()], _MARK)
        # The record's own step is its last field.
        before, _, after = record.removesuffix(wire.varint(_MARK)).partition(b"%d" % _MARK)
        templates.append((before, after))
    return templates


def numbered_records(rows: Callable[[Iterable[int]], Iterable[Row]], count: int) -> Iterator[bytes]:
    """Yields the records of many rows as wandb-core writes them: their keys in random order, and steps from
    `FIRST_STEP` on.

    Args:
        rows: Makes rows with the given steps. Their other values are repeated after a thousand rows.
        count: The number of rows.

    Yields:
        The records.
    """
    steps = range(FIRST_STEP, FIRST_STEP + count)
    for step, (before, after) in zip(steps, cycle(_templates(rows)), strict=False):
        yield b"%b%d%b%b" % (before, step, after, wire.varint(step))


def write_numbered_log(path: Path, count: int, run_id: str = "large") -> None:
    """Writes the log of a finished run with rows of 23 items, about 920 bytes each: a million rows take some seconds.

    Args:
        path: The log.
        count: The number of rows.
        run_id: The id of the run.
    """
    with path.open("wb") as output:
        writer = LogWriter(output)
        writer.write(wire.run_record(run_id, entity="histscan", project="benches"))
        for record in numbered_records(plain_rows, count):
            writer.write(record)
        writer.write(wire.update_record(wire.SUMMARY, [(["_step"], str(FIRST_STEP + count - 1))]))
        writer.write(wire.field(_EXIT, wire.varint_field(2, count)))


def write_large_log(path: Path, source: Path, size: int) -> int:
    """Writes a log.

    Args:
        path: The log.
        source: The log whose rows are repeated.
        size: The minimum size in bytes.

    Returns:
        The number of rows.
    """
    run = histscan.open(source)
    rows = list(run.scan_history())
    pieces = [b"".join(items_of({key: row[key] for key in row if key not in ("_step", "_runtime")})) for row in rows]
    runtimes = [row["_runtime"] for row in rows]
    number = 0
    with atomic_output(path) as output:
        writer = LogWriter(output)
        writer.write(wire.run_record("large", entity="histscan", project="benches"))
        while writer.size < size:
            turn, index = divmod(number, len(rows))
            own = [("_step", str(number)), ("_runtime", repr(turn * runtimes[-1] + runtimes[index]))]
            items = b"".join(wire.field(1, wire.item([key], text)) for key, text in own)
            step = wire.field(2, wire.varint_field(1, number))
            writer.write(wire.field(wire.HISTORY, pieces[index] + items + step))
            number += 1
    return number


def main() -> None:
    """Writes a log with the options of the command line."""
    parser = argparse.ArgumentParser(
        description="Write a large .wandb log by repeating the rows of a recorded one.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("path", type=Path, help="the log to write")
    parser.add_argument("--size", type=float, default=2000, metavar="MB", help="size of the log")
    parser.add_argument("--source", type=Path, default=EXAMPLE, help="the log whose rows are repeated")
    arguments = parser.parse_args()
    started = time.perf_counter()
    arguments.path.parent.mkdir(parents=True, exist_ok=True)
    rows = write_large_log(arguments.path, arguments.source, int(arguments.size * 1e6))
    size = arguments.path.stat().st_size / 1e6
    print(f"{arguments.path}: {rows:,} rows, {size:,.1f} MB, after {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
