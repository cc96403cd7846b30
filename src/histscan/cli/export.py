"""``histscan export``: writes the history of one run or many to files."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from histscan.cli.csv_writer import add_guard_formulas
from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.cli.export_many import export_folder, export_runs
from histscan.cli.export_run import describe_empty, export_run
from histscan.cli.figures import plural
from histscan.cli.json_lines import add_nonfinite
from histscan.cli.messages import warn
from histscan.cli.output_format import STDOUT, find_format
from histscan.cli.run_argument import add_keys, add_source, add_steps
from histscan.cli.runs_argument import add_choice, add_paths, add_skip_failed, open_one_or_many
from histscan.cli.stream_export import CONSOLE, TEXT_FORMATS, add_stream, check_stream
from histscan.cli.table_export import TABLE_FORMATS, add_table_options, check_table_options
from histscan.common.printable import printable
from histscan.many.runs import Runs

__all__ = ["declare", "run"]

JSON_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl"}
FORMATS = {**JSON_FORMATS, ".csv": "csv", **TABLE_FORMATS}
CONSOLE_FORMATS = {**JSON_FORMATS, **TEXT_FORMATS}
# The names of files in a folder.
SUFFIXES = {"jsonl": ".jsonl", "csv": ".csv", "parquet": ".parquet", "arrow": ".arrow", "text": ".txt"}

DESCRIPTION = """\
Write the history of a run to a file, one row for each step that was logged; or those of
many runs to one file with a column run_id, or to a folder with a file for each run.

JSON Lines (.jsonl, .ndjson) keeps every row as it was logged. CSV has a column for
each key: nested keys have dotted columns (validation.loss), lists are JSON, and
missing values are empty; keys that no row has before the 1,001st are the last columns,
even _runtime. Parquet (.parquet) and Arrow (.arrow, .feather) have a
typed column for each key, and need pyarrow. Rows are streamed: memory use does not
grow with the length of the run. The file is written to a temporary file first, and
replaces an existing file only when it is complete.

Of many runs (a folder, a pattern, a project), the rows are in the order of the runs.
If the output ends with a slash or is a folder, each run has a file, named by its id.

--stream system writes the system metrics (system.cpu, …). --stream console writes
the console output as a terminal shows it in the end: as text (.txt, .log), or as
JSON Lines with stream and time.
"""

EXAMPLES = """\
examples:
  histscan export wandb/offline-run-20260131_120000-abc -o history.jsonl
  histscan export run-abc.wandb -o history.csv -k loss -k validation.accuracy
  histscan export run-abc.wandb -o history.parquet --nested flatten --timestamps datetime
  histscan export run-abc.wandb -o late.csv --min-step 90_000
  histscan export run-abc.wandb -o - --format jsonl | jq .loss
  histscan export my-team/my-project/1a2b3c4d -o history.parquet
  histscan export my-team/my-project -k loss -k 'val/*' --config lr -o all.parquet
  histscan export my-team/my-project --filter '{"state": "finished"}' -o histories/ --format csv
  histscan export run-abc.wandb --stream system -o system.csv
  histscan export run-abc.wandb --stream console -o - | grep -i error
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_paths(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="file to write, replaced if it exists; - for standard output; a folder (dir/) for a file for each run",
    )
    parser.add_argument(
        "--format",
        choices=sorted({*FORMATS.values(), *CONSOLE_FORMATS.values()}),
        help="file format (default: from the file's suffix; Parquet in a folder)",
    )
    add_stream(parser)
    add_keys(parser)
    add_choice(parser)
    parser.add_argument(
        "--config",
        metavar="ENTRY",
        action="append",
        help="entry of the runs' configs (optimizer.lr) that becomes a column beside run_id; repeat it for more",
    )
    add_skip_failed(parser)
    add_steps(parser)
    add_source(parser)
    add_nonfinite(parser)
    add_guard_formulas(parser)
    add_table_options(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="show neither progress nor summary")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: The format is unknown, the output is an input file, or no row has one of the keys.
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    output: str = arguments.output
    is_folder = output.endswith(("/", os.sep)) or os.path.isdir(output)
    file_format = _format(arguments, is_folder)
    check_stream(arguments, file_format)
    if arguments.guard_formulas and file_format != "csv":
        raise UsageError(f"--guard-formulas applies to CSV, not to {file_format}")
    goal = None if output == STDOUT else Path(output)
    check_table_options(arguments, file_format, goal)
    opened = open_one_or_many(arguments)
    started = time.perf_counter()
    if is_folder and goal is not None:
        runs = opened if isinstance(opened, Runs) else [opened]
        suffix = SUFFIXES[file_format]
        files, rows = export_folder(runs, arguments, file_format, suffix, goal)
        summary = (
            f"{goal}{os.sep}: {plural(files, 'file')}, {plural(rows, 'row')}; {time.perf_counter() - started:.2f} s"
        )
    elif isinstance(opened, Runs):
        outcome, number = export_runs(opened, arguments, file_format, goal)
        summary = outcome.summary(goal, time.perf_counter() - started, runs=number)
    else:
        if arguments.config:
            raise UsageError("--config applies to many runs: leave it out")
        outcome = export_run(opened, arguments, file_format, goal)
        if not outcome.rows:
            warn(describe_empty(opened, arguments))
        summary = outcome.summary(goal, time.perf_counter() - started)
    if not arguments.quiet:
        print(printable(summary), file=sys.stderr if goal is None else sys.stdout)
    return SUCCEEDED


def _format(arguments: argparse.Namespace, is_folder: bool) -> str:
    """Returns the format of the output."""
    output, given, stream = arguments.output, arguments.format, arguments.stream
    if given is None and is_folder:
        return "text" if stream == CONSOLE else "parquet"
    if given is None and stream == CONSOLE and output == STDOUT:
        return "text"
    return find_format(output, given, CONSOLE_FORMATS if stream == CONSOLE else FORMATS)
