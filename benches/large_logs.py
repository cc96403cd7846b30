"""How fast a log of a gigabyte is read, beside what the machine can do: copying memory, reading the file, checksums.

    python -m benches large-logs            a million rows of 23 items in one log, and in 1,000 logs; some minutes
    python -m benches large-logs --quick    a tenth of that, one round

The logs are written once, to the folder for temporary files. Every part reads from the system's cache, in turns; the
best round counts.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import histscan
from benches.data import value_text
from benches.large_log import LogWriter, write_numbered_log
from benches.text_table import format_cells
from histscan._core.pages.log_reader import LogReader, checksum
from histscan.cli.main import main as histscan_command
from histscan.sources.files import WINDOW_SIZE, read_windows
from tests.support import wire

__all__ = ["LARGE_LOGS", "main"]

LARGE_LOGS = "large-logs"

_ROWS = 1_000_000
_LOGS = 1_000
_KEYS = 50_000
_COPIED_SIZE = 128 * WINDOW_SIZE
_FULL_CHUNK = 1
# A kind of record that no log has.
_NO_FIELD = 63


@dataclass(frozen=True)
class Part:
    """Something that is timed.

    Attributes:
        name: What it is.
        work: Does it once.
        most: The name of the part that must take at least about as long, and the largest ratio; None for no limit.
        least_speed: The minimum of gigabytes of log in a second; None for none.
        most_seconds: The largest time; None for no limit.
    """

    name: str
    work: Callable[[], object]
    most: tuple[str, float] | None = None
    least_speed: float | None = None
    most_seconds: float | None = None


@dataclass(frozen=True)
class Logs:
    """The logs that are read.

    Attributes:
        large: One log.
        folder: Logs with the same rows.
        wide: A log of one row with very many keys.
    """

    large: Path
    folder: Path
    wide: Path


def _parts(logs: Logs) -> list[Part]:
    log = logs.large
    window = bytes(WINDOW_SIZE)
    windows = -(-log.stat().st_size // WINDOW_SIZE)

    # Larger than the processor's caches, and touched before anything is timed.
    memory, copied = memoryview(bytearray(b"x" * _COPIED_SIZE)), memoryview(bytearray(b"y" * _COPIED_SIZE))

    def copy() -> None:
        for number in range(windows):
            begin = number * WINDOW_SIZE % _COPIED_SIZE
            copied[begin : begin + WINDOW_SIZE] = memory[begin : begin + WINDOW_SIZE]

    def check() -> None:
        for _ in range(windows):
            checksum(_FULL_CHUNK, window)

    def read(fields: Sequence[int] | None) -> None:
        reader = LogReader(fields=fields)
        for data, is_last in read_windows(log):
            reader.read_window(data, is_last)

    def columns(threads: int) -> None:
        histscan.open(log).scan_history().to_arrow(threads=threads)

    def describe() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            histscan_command(["info", str(log)])

    return [
        Part("copying memory", copy),
        Part("CRC-32", check),
        Part("reading the file", lambda: deque(read_windows(log), maxlen=0)),
        Part("records, no rows", lambda: read([_NO_FIELD])),
        Part("records and steps", lambda: read(None)),
        Part("columns, 1 thread", lambda: columns(1)),
        Part("columns, 2 threads", lambda: columns(2), least_speed=1.0),
        Part("dict rows", lambda: deque(histscan.open(log).scan_history(), maxlen=0), least_speed=0.35),
        Part("histscan info", describe, most=("columns, 2 threads", 1.2)),
        Part("state", lambda: histscan.open(log).state),
        Part("config, summary, last step", lambda: histscan.open(log).lastHistoryStep),
        Part("one log of a list, 2 threads", lambda: histscan.open_runs([log]).to_arrow(threads=2)),
        Part(
            f"{_LOGS:,} logs, 2 threads",
            lambda: histscan.open_runs(logs.folder).to_arrow(threads=2),
            most=("one log of a list, 2 threads", 1.2),
        ),
        Part(
            f"{_KEYS:,} keys, 1 row: columns",
            lambda: histscan.open(logs.wide).to_arrow(),
            most_seconds=0.5,
        ),
        Part(
            f"{_KEYS:,} keys, 1 row: dict row", lambda: list(histscan.open(logs.wide).scan_history()), most_seconds=0.5
        ),
    ]


def _written(rows: int) -> Logs:
    """Returns the logs; writes them on first use."""
    place = Path(tempfile.gettempdir()) / f"histscan-large-logs-{rows}"
    logs = Logs(place / "run-large.wandb", place / "runs", place / "run-wide.wandb")
    if not place.is_dir():
        # Under its name, the folder is always complete.
        with tempfile.TemporaryDirectory(prefix="histscan-large-logs-") as aside:
            _write(Path(aside) / "logs", rows)
            (Path(aside) / "logs").rename(place)
    return logs


def _write(place: Path, rows: int) -> None:
    place.mkdir()
    write_numbered_log(place / "run-large.wandb", rows)
    for number in range(_LOGS):
        run_id = f"run{number:05}"
        log = place / "runs" / f"offline-run-20260101_{number:06}-{run_id}" / f"run-{run_id}.wandb"
        log.parent.mkdir(parents=True)
        write_numbered_log(log, rows // _LOGS, run_id)
    keys = (f"model.layers.{number}.self_attn.q_proj.weight/grad_norm" for number in range(_KEYS))
    items = [(["_step"], "0"), *(([key], value_text(number / 7)) for number, key in enumerate(keys))]
    with (place / "run-wide.wandb").open("wb") as output:
        writer = LogWriter(output)
        writer.write(wire.run_record("wide", entity="histscan", project="benches"))
        writer.write(wire.history_record(items, 0))


class _Times(NamedTuple):
    """The best times of a part, in seconds.

    Attributes:
        clock: By the clock.
        processor: Of all threads together: on a machine with other load, this varies less.
    """

    clock: float
    processor: float


def _measure(parts: Sequence[Part], rounds: int) -> dict[str, _Times]:
    """Returns the times of each part."""
    best: dict[str, _Times] = {}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds} …", file=sys.stderr, flush=True)
        for part in parts:
            clock, processor = time.perf_counter(), time.process_time()
            part.work()
            times = _Times(time.perf_counter() - clock, time.process_time() - processor)
            best[part.name] = _Times(*map(min, times, best.get(part.name, times)))
    return best


def _line(part: Part, best: dict[str, _Times], size: int) -> list[str]:
    times = best[part.name]
    speed = size / times.clock / 1e9
    limit, is_kept = "", True
    if part.least_speed is not None:
        limit, is_kept = f"≥ {part.least_speed:.2f} GB/s", speed >= part.least_speed
    if part.most_seconds is not None:
        limit, is_kept = f"≤ {part.most_seconds} s", times.clock <= part.most_seconds
    if part.most is not None:
        other, most = part.most
        ratio, of_processor = times.clock / best[other].clock, times.processor / best[other].processor
        limit, is_kept = f"{ratio:.2f}x of {other} ({of_processor:.2f}x of its CPU), ≤ {most}x", ratio <= most
    milliseconds = [f"{seconds * 1e3:,.1f}" for seconds in times]
    shown = "" if part.most_seconds is not None else f"{speed:,.2f}"
    return [part.name, *milliseconds, shown, limit, "" if is_kept else "← missed"]


def main(arguments: Sequence[str]) -> int:
    """Runs the bench, and prints a table.

    Args:
        arguments: The command line after ``large-logs``.

    Returns:
        The exit code: 0, even if a limit is missed.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benches {LARGE_LOGS}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each part (default: 3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows and one round, for a rough check")
    options = parser.parse_args(arguments)
    print("writing logs …", file=sys.stderr, flush=True)
    logs = _written(_ROWS // 10 if options.quick else _ROWS)
    parts = _parts(logs)
    best = _measure(parts, 1 if options.quick else options.rounds)
    lines = [_line(part, best, logs.large.stat().st_size) for part in parts]
    print("\n".join(format_cells(["what", "ms", "CPU ms", "GB/s of log", "limit", ""], lines, {1, 2, 3})))
    return 0
