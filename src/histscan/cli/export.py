"""``histscan export``: a run's history as a file."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from histscan.atomic import atomic_output, is_replaceable
from histscan.cli.comma_separated import write_csv
from histscan.cli.failures import SUCCEEDED, UsageError, warn
from histscan.cli.figures import file_size, plural
from histscan.cli.json_lines import add_nonfinite, write_json_lines
from histscan.cli.run_argument import add_keys, add_run, add_steps, open_run, scan
from histscan.cli.scan_watch import ScanWatch
from histscan.progress_bar import ProgressBar

if TYPE_CHECKING:
    from histscan.run import LogRun

__all__ = ["declare", "run"]

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
STDOUT = "-"

DESCRIPTION = """\
Write a run's history to a file, one row for each step that was logged.

JSON Lines (.jsonl, .ndjson) has every row as it was logged. CSV has a column
for each key: nested keys have dotted columns (validation.loss), lists are JSON,
and what a row lacks is empty. The history streams: memory stays the same however
long the run is. The file appears when it is complete; until then, one that was
there before stays as it is.
"""

EXAMPLES = """\
examples:
  histscan export wandb/offline-run-20260131_120000-abc -o history.jsonl
  histscan export run-abc.wandb -o history.csv -k loss -k validation.accuracy
  histscan export run-abc.wandb -o late.csv --min-step 90_000
  histscan export run-abc.wandb -o - --format jsonl | jq .loss
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_run(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="the file to write, which is replaced if it exists; - for standard output",
    )
    parser.add_argument(
        "--format", choices=sorted(set(FORMATS.values())), help="the format, if the file's name does not tell it"
    )
    add_keys(parser)
    add_steps(parser)
    add_nonfinite(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="show neither progress nor summary")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: The format is unknown, or the output is the log itself.
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    file_format = _format(arguments.output, arguments.format)
    opened = open_run(arguments)
    rows = scan(opened, arguments.keys, arguments.min_step, arguments.max_step)
    goal = None if arguments.output == STDOUT else Path(arguments.output)
    started = time.perf_counter()
    with ProgressBar(rows.size, wanted=not arguments.quiet and not _shows_rows(goal)) as bar:
        watch = ScanWatch(rows, bar)
        if goal is None:
            columns = _write(watch, sys.stdout.buffer, file_format, arguments, None)
            sys.stdout.buffer.flush()
        else:
            _refuse_log(goal, opened)
            with atomic_output(goal) as output:
                folder = goal.absolute().parent if is_replaceable(goal) else None
                columns = _write(watch, output, file_format, arguments, folder)
    if not watch.rows:
        warn(_why_empty(opened, arguments))
    if not arguments.quiet:
        summary = _summary(watch, columns, goal, time.perf_counter() - started)
        print(summary, file=sys.stderr if _shows_rows(goal) or goal is None else sys.stdout)
    return SUCCEEDED


def _format(output: str, asked_for: str | None) -> str:
    if asked_for is not None:
        return asked_for
    known = FORMATS.get(Path(output).suffix.lower())
    if known is None:
        what = "standard output" if output == STDOUT else f"{output!r}"
        raise UsageError(
            f"the name of {what} does not tell the format: let it end in {', '.join(FORMATS)}, "
            f"or choose one with --format ({', '.join(sorted(set(FORMATS.values())))})"
        )
    return known


def _refuse_log(goal: Path, opened: LogRun) -> None:
    if goal.exists() and os.path.samefile(goal, opened.file):
        raise UsageError(f"{goal} is the log itself: write to another file")


def _shows_rows(goal: Path | None) -> bool:
    """Tells whether the rows go to a terminal, where a progress bar would end up among them."""
    return goal is None and sys.stdout.isatty()


def _write(
    watch: ScanWatch, output: BinaryIO, file_format: str, arguments: argparse.Namespace, folder: Path | None
) -> int | None:
    """Writes the rows; returns the number of columns, if there are any."""
    if file_format == "csv":
        return write_csv(watch, output, keys=arguments.keys or (), folder=folder)
    write_json_lines(watch, output, nonfinite=arguments.nan)
    return None


def _summary(watch: ScanWatch, columns: int | None, goal: Path | None, seconds: float) -> str:
    facts = [plural(watch.rows, "row"), plural(len(watch.keys), "key")]
    if columns is not None:
        facts.append(plural(columns, "column"))
    if watch.last_step is not None:
        facts.append(f"steps {watch.first_step} to {watch.last_step}")
    if goal is not None and goal.is_file():
        facts.append(file_size(goal.stat().st_size))
    speed = f"{watch.rows / seconds:,.0f} rows/s" if seconds > 0 else "at once"
    return f"{goal or 'standard output'}: {', '.join(facts)}; {seconds:.2f} s, {speed}"


def _why_empty(opened: LogRun, arguments: argparse.Namespace) -> str:
    if opened.lastHistoryStep < 0:
        return "the run has no history: there are no rows"
    if arguments.keys:
        return (
            f"no row in this range of steps has all of the keys {', '.join(arguments.keys)}; "
            "`histscan info` lists the keys that there are"
        )
    return f"no row is in this range of steps; the run's last step is {opened.lastHistoryStep}"
