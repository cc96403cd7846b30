"""How the time of each output grows along each axis of a history: at n, 2n and 4n, with the exponent.

The time is that of this process's processors, which other work on the machine changes little; that of what a server
sends is by the clock. Names in parentheses are other libraries that read the same files.

python -m benches axes                  all axes; takes some minutes
python -m benches axes files --quick    one of them; a quarter of the size, one round
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

import histscan
from benches.data import Row, value_text
from benches.large_log import LogWriter
from benches.text_table import format_cells
from tests.support import wire
from tests.support.outputs import OUTPUTS, Output, export
from tests.support.server_process import serving

__all__ = ["AXES", "LARGEST_EXPONENT", "AxisOutcome", "format_axes", "measure_all"]

LARGEST_EXPONENT = 1.15
"""The largest exponent that is not marked in the table."""

_RUN = "a1b2c3d4"

Clock = Callable[[], float]


@dataclass(frozen=True)
class History:
    """A history to be written.

    Attributes:
        parts: The rows of each file of the run.
        runs: How many runs have these rows, in one folder.
        group_rows: Rows in a row group of a Parquet file; None for one group.
    """

    parts: Sequence[Sequence[Row]]
    runs: int = 1
    group_rows: int | None = None


@dataclass(frozen=True)
class Axis:
    """An axis along which histories grow. The size of every output is in proportion to `n`.

    Attributes:
        name: What grows.
        first: The first `n`.
        make: Makes the history for an `n`.
        sources: The sources that it is written to.
    """

    name: str
    first: int
    make: Callable[[int], History]
    sources: Sequence[str] = ("log", "parquet", "jsonl")


@dataclass(frozen=True)
class AxisOutcome:
    """The times of one output along one axis.

    Attributes:
        axis: The axis.
        source: Where the history is.
        output: What is made of it.
        sizes: The three `n`.
        seconds: The best time at each: of the processors; by the clock for ``serve``.
    """

    axis: str
    source: str
    output: str
    sizes: Sequence[int]
    seconds: Sequence[float]

    @property
    def exponent(self) -> float:
        """The exponent of the time as a power of `n`, from the first to the last size."""
        return math.log(self.seconds[-1] / self.seconds[0]) / math.log(self.sizes[-1] / self.sizes[0])


def _numbers(rows: int, keys: int, first: int = 0) -> list[Row]:
    return [
        {"_step": step, **{f"layer{place}/norm": step + place / 7 for place in range(keys)}}
        for step in range(first, first + rows)
    ]


def _new_keys(keys: int, rows: int = 50) -> list[Row]:
    """Makes rows that share no key, so that the outputs with a cell for each key and row grow with the keys."""
    share = keys // rows
    return [
        {"_step": step, **{f"row{step}/key{place}": step + place / 7 for place in range(share)}} for step in range(rows)
    ]


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"leaf": 1.5}
    for level in range(depth):
        value = {f"level{level}": value, "value": level}
    return value


def _split(rows: list[Row], files: int) -> list[list[Row]]:
    share = len(rows) // files
    return [rows[first : first + share] for first in range(0, len(rows), share)]


AXES = {
    axis.name: axis
    for axis in (
        Axis("keys-per-row", 12_500, lambda n: History([_numbers(2, n)])),
        Axis("distinct-keys", 25_000, lambda n: History([_new_keys(n)])),
        Axis("rows", 20_000, lambda n: History([_numbers(n, 10)])),
        Axis("files", 500, lambda n: History(_split(_numbers(4 * n, 5), n)), ("log", "parquet")),
        Axis("row-groups", 500, lambda n: History([_numbers(4 * n, 5)], group_rows=4), ("parquet",)),
        Axis(
            "text", 100_000, lambda n: History([[{"_step": step, "text": "größer\n" * (n // 7)} for step in range(4)]])
        ),
        Axis("nesting", 20, lambda n: History([[{"_step": step, "tree": _nested(n)} for step in range(500)]])),
        Axis("runs", 100, lambda n: History([_numbers(20, 5)], runs=n), ("log", "parquet")),
    )
}
"""The axes by name."""


def _write_log(path: Path, rows: Sequence[Row], run: str) -> None:
    with path.open("wb") as file:
        writer = LogWriter(file)
        writer.write(wire.run_record(run, entity="team", project="vision"))
        for row in rows:
            writer.write(wire.history_record([([key], value_text(value)) for key, value in row.items()], row["_step"]))


def _write_parquet(path: Path, rows: Sequence[Row], group_rows: int | None) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in names})
    pyarrow.parquet.write_table(table, path, row_group_size=group_rows)


def _write(history: History, source: str, folder: Path) -> list[Path]:
    """Writes a history; returns its files."""
    files = []
    for number in range(history.runs):
        run = _RUN if history.runs == 1 else f"run{number:05}"
        for part, rows in enumerate(history.parts):
            if source == "log":
                path = folder / f"offline-run-20260101_{part:06}-{run}" / f"run-{run}.wandb"
                path.parent.mkdir()
                _write_log(path, rows, run)
            elif source == "parquet":
                path = folder / f"team_vision_{run}_{part:05}.runhistory.parquet"
                _write_parquet(path, rows, history.group_rows)
            else:
                path = folder / f"{run}.jsonl"
                path.write_text("".join(value_text(row) + "\n" for row in rows), encoding="utf-8")
            files.append(path)
    return files


_OF_RUNS: dict[str, Output] = {
    "arrow": lambda files: histscan.open_runs(files).to_arrow(threads=1),
    "batches": lambda files: deque(histscan.open_runs(files).batches(), maxlen=0),
    "table of runs": lambda files: histscan.open_runs(files).table(),
    "parquet": lambda files: export(files, ".parquet"),
}


def _load_lines(files: Sequence[Path]) -> None:
    for file in files:
        with file.open("rb") as lines:
            deque(map(json.loads, lines), maxlen=0)


def _read_tables(files: Sequence[Path]) -> None:
    for file in files:
        pyarrow.parquet.read_table(file, use_threads=False)


# What other libraries need for the same files: larger histories leave the processor's caches, whoever reads them.
_REFERENCES: dict[str, dict[str, Output]] = {
    "jsonl": {"(json.loads)": _load_lines},
    "parquet": {"(pyarrow's read_table)": _read_tables},
}


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[Output]:
    """Serves the logs of a folder; yields the output that reads the run from the server."""
    names = ("WANDB_BASE_URL", "WANDB_API_KEY")
    before = {name: os.environ.get(name) for name in names}
    with serving(folder) as server:
        os.environ.update(zip(names, (server.url, "0" * 40), strict=True))
        try:
            yield lambda _files: deque(histscan.open(f"team/vision/{_RUN}").scan_history(), maxlen=0)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _best_time(output: Output, files: Sequence[Path], rounds: int, clock: Clock = time.process_time) -> float:
    times = []
    for _ in range(rounds):
        gc.collect()
        started = clock()
        output(files)
        times.append(clock() - started)
    return min(times)


def measure_all(names: Sequence[str], say: Callable[[str], object], *, quick: bool = False) -> list[AxisOutcome]:
    """Measures axes.

    Args:
        names: The axes.
        say: Called with what is being measured.
        quick: Use histories of a quarter of the size, and one round.

    Returns:
        The times.
    """
    outcomes = []
    for axis in (AXES[name] for name in names):
        first = axis.first // 4 if quick else axis.first
        sizes = (first, 2 * first, 4 * first)
        outputs = _OF_RUNS if axis.name == "runs" else OUTPUTS
        for source in axis.sources:
            say(f"{axis.name}: {source} …")
            with contextlib.ExitStack() as stack:
                folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in sizes]
                written = [_write(axis.make(n), source, folder) for n, folder in zip(sizes, folders, strict=True)]
                for name, output in (outputs | _REFERENCES.get(source, {})).items():
                    seconds = [_best_time(output, files, 1 if quick else 3) for files in written]
                    outcomes.append(AxisOutcome(axis.name, source, name, sizes, seconds))
                    say(f"  {name}: {outcomes[-1].exponent:.2f}")
                if source == "log" and outputs is OUTPUTS:
                    seconds = []
                    for folder, files in zip(folders, written, strict=True):
                        with _served(folder) as output:
                            seconds.append(_best_time(output, files, 1 if quick else 3, time.perf_counter))
                    outcomes.append(AxisOutcome(axis.name, source, "serve", sizes, seconds))
    return outcomes


def format_axes(outcomes: Sequence[AxisOutcome]) -> str:
    """Formats the outcomes as a table; exponents above `LARGEST_EXPONENT` are marked."""
    rows = [
        [
            outcome.axis,
            outcome.source,
            outcome.output,
            *(f"{n:,}: {seconds * 1e3:,.1f}" for n, seconds in zip(outcome.sizes, outcome.seconds, strict=True)),
            f"{outcome.exponent:.2f}{' !' if outcome.exponent > LARGEST_EXPONENT else ''}",
        ]
        for outcome in outcomes
    ]
    headings = ["axis", "source", "output", "n: ms", "2n: ms", "4n: ms", "exponent"]
    return "\n".join(format_cells(headings, rows, {3, 4, 5}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures axes, and prints the table.

    Args:
        arguments: The command line; None for that of the process.

    Returns:
        The exit code: 0, even if an exponent is too large.
    """
    parser = argparse.ArgumentParser(prog="python -m benches axes", description=__doc__.partition("\n")[0])
    parser.add_argument("axis", nargs="*", choices=[*AXES, []], metavar="axis", help=", ".join(AXES))
    parser.add_argument("--quick", action="store_true", help="smaller histories and one round")
    options = parser.parse_args(arguments)
    outcomes = measure_all(
        options.axis or list(AXES), lambda text: print(text, file=sys.stderr, flush=True), quick=options.quick
    )
    print(format_axes(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
