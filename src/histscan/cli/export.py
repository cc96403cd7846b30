"""``histscan export``: writes a run's history to a file."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from histscan.cli.csv_writer import write_csv
from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.cli.export_outcome import ExportOutcome
from histscan.cli.json_lines import add_nonfinite, write_json_lines
from histscan.cli.messages import warn
from histscan.cli.run_argument import add_keys, add_run, add_source, add_steps, open_run, scan
from histscan.cli.scan_watch import ScanWatch, scan_bar
from histscan.cli.stream_export import (
    CONSOLE,
    HISTORY,
    SYSTEM,
    TEXT_FORMATS,
    add_stream,
    check_stream,
    why_empty,
    write_console,
)
from histscan.cli.table_export import TABLE_FORMATS, add_table_options, check_table_options, write_table
from histscan.common.atomic import atomic_output, is_replaceable
from histscan.runs.contracts import FileRun

if TYPE_CHECKING:
    from histscan.runs.contracts import Run

__all__ = ["declare", "run"]

JSON_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl"}
FORMATS = {**JSON_FORMATS, ".csv": "csv", **TABLE_FORMATS}
CONSOLE_FORMATS = {**JSON_FORMATS, **TEXT_FORMATS}
STDOUT = "-"

DESCRIPTION = """\
Write a run's history to a file, one row for each step that was logged.

JSON Lines (.jsonl, .ndjson) keeps every row as it was logged. CSV has a column for
each key: nested keys have dotted columns (validation.loss), lists are JSON, and
missing values are empty. Parquet (.parquet) and Arrow (.arrow, .feather) have a
typed column for each key, and need pyarrow. Rows are streamed: memory use does not
grow with the length of the run. The file is written to a temporary file first, and
replaces an existing file only when it is complete.

--stream system writes the system metrics (system.cpu, …). --stream console writes
the console output as a terminal shows it in the end: as text (.txt, .log), or as
JSON Lines with stream and time.
"""

EXAMPLES = """\
examples:
  histscan export wandb/offline-run-20260131_120000-abc -o history.jsonl
  histscan export run-abc.wandb -o history.csv -k loss -k validation.accuracy
  histscan export run-abc.wandb -o history.parquet --nested flatten
  histscan export run-abc.wandb -o late.csv --min-step 90_000
  histscan export run-abc.wandb -o - --format jsonl | jq .loss
  histscan export my-team/my-project/1a2b3c4d -o history.parquet
  histscan export run-abc.wandb --stream system -o system.csv
  histscan export run-abc.wandb --stream console -o - | grep -i error
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
        help="file to write, replaced if it exists; - for standard output",
    )
    parser.add_argument(
        "--format",
        choices=sorted({*FORMATS.values(), *CONSOLE_FORMATS.values()}),
        help="file format (default: from the file's suffix)",
    )
    add_stream(parser)
    add_keys(parser)
    add_steps(parser)
    add_source(parser)
    add_nonfinite(parser)
    add_table_options(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="show neither progress nor summary")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: The format is unknown, or the output is an input file.
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    file_format = _format(arguments.output, arguments.format, arguments.stream)
    check_stream(arguments, file_format)
    goal = None if arguments.output == STDOUT else Path(arguments.output)
    check_table_options(arguments, file_format, goal)
    # A progress bar would mix with rows that are printed to the terminal.
    show_progress = not arguments.quiet and not (goal is None and sys.stdout.isatty())
    opened = open_run(arguments)
    rows = _rows(opened, arguments, show_progress)
    started = time.perf_counter()
    if goal is None:
        outcome = _write(opened, rows, sys.stdout.buffer, file_format, arguments, None, show_progress)
        sys.stdout.buffer.flush()
    else:
        _refuse_input(goal, opened)
        with atomic_output(goal) as output:
            outcome = _write(opened, rows, output, file_format, arguments, goal, show_progress)
    if not outcome.rows:
        warn(_why_empty(opened, arguments))
    if not arguments.quiet:
        summary = outcome.summary(goal, time.perf_counter() - started)
        print(summary, file=sys.stderr if goal is None else sys.stdout)
    return SUCCEEDED


def _rows(opened: Run, arguments: argparse.Namespace, show_progress: bool) -> Any:
    """Begins to read the stream that is asked for."""
    if arguments.stream == CONSOLE:
        return opened.console()
    if arguments.stream == SYSTEM:
        return opened.system_metrics(arguments.keys)
    return scan(
        opened,
        arguments.keys,
        arguments.min_step,
        arguments.max_step,
        source=arguments.source,
        show_progress=show_progress,
    )


def _format(output: str, asked_for: str | None, stream: str) -> str:
    if asked_for is not None:
        return asked_for
    if stream == CONSOLE and output == STDOUT:
        return "text"
    formats = CONSOLE_FORMATS if stream == CONSOLE else FORMATS
    known = formats.get(Path(output).suffix.lower())
    if known is None:
        what = "standard output" if output == STDOUT else f"{output!r}"
        raise UsageError(
            f"the format of {what} is unknown: use a file name that ends in {', '.join(formats)}, "
            f"or set --format ({', '.join(sorted(set(formats.values())))})"
        )
    return known


def _refuse_input(goal: Path, opened: Run) -> None:
    if not isinstance(opened, FileRun):
        return
    if goal.exists() and any(os.path.samefile(goal, file) for file in opened.files):
        raise UsageError(f"{goal} is an input file: write to another file")


def _write(
    opened: Run,
    rows: Any,
    output: BinaryIO,
    file_format: str,
    arguments: argparse.Namespace,
    goal: Path | None,
    show_progress: bool,
) -> ExportOutcome:
    """Writes the rows, with a progress bar if `show_progress` is set."""
    if arguments.stream == CONSOLE:
        return write_console(rows, output, file_format, goal)
    if file_format in TABLE_FORMATS.values():
        return write_table(
            opened, rows, output, file_format=file_format, arguments=arguments, show_progress=show_progress
        )
    columns: int | None = None
    with scan_bar(rows, wanted=show_progress) as bar:
        watch = ScanWatch(rows, bar)
        if file_format == "csv":
            folder = None if goal is None or not is_replaceable(goal) else goal.absolute().parent
            columns = write_csv(watch, output, keys=arguments.keys or (), folder=folder)
        else:
            write_json_lines(watch, output, nonfinite=arguments.nan)
    return ExportOutcome(watch.rows, len(watch.keys), columns, watch.first_step, watch.last_step)


def _why_empty(opened: Run, arguments: argparse.Namespace) -> str:
    if arguments.stream != HISTORY:
        return why_empty(opened, arguments)
    if opened.lastHistoryStep < 0:
        return "no rows written: the run's history is empty"
    if arguments.keys:
        return (
            f"no rows written: no row in this range of steps has all of the keys {', '.join(arguments.keys)}; "
            "`histscan info` lists the keys of a run"
        )
    return f"no rows written: no row is in this range of steps; the run's last step is {opened.lastHistoryStep}"
