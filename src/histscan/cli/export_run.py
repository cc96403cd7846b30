"""``histscan export`` of one run: reads the rows that the command line selects, and writes them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from histscan.cli.csv_writer import write_csv
from histscan.cli.exit_codes import UsageError
from histscan.cli.export_outcome import ExportOutcome
from histscan.cli.flatten import column_name, flatten
from histscan.cli.json_lines import write_json_lines
from histscan.cli.key_selection import ChosenRows, KeySelection
from histscan.cli.run_argument import scan
from histscan.cli.scan_watch import ScanWatch, scan_bar
from histscan.cli.standard_output import standard_output
from histscan.cli.stream_export import CONSOLE, HISTORY, SYSTEM, why_empty, write_console
from histscan.cli.table_export import TABLE_FORMATS, write_chosen, write_table
from histscan.common.atomic import atomic_output, is_replaceable
from histscan.runs.file_run import FileRun

if TYPE_CHECKING:
    from histscan.runs.contracts import Run

__all__ = ["describe_empty", "export_run", "refuse_input"]


def export_run(opened: Run, arguments: argparse.Namespace, file_format: str, goal: Path | None) -> ExportOutcome:
    """Writes a stream of one run.

    Args:
        opened: The run.
        arguments: The parsed command line of ``histscan export``.
        file_format: The format.
        goal: The file; None for standard output.

    Returns:
        What was written.

    Raises:
        UsageError: The output is an input file, or the run has none of the keys.
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    # A progress bar would mix with rows that are printed to the terminal.
    show_progress = not arguments.quiet and not (goal is None and sys.stdout.isatty())
    selection = KeySelection(arguments.keys or [])
    rows = _rows(opened, arguments, selection, show_progress)

    def write(output: BinaryIO) -> ExportOutcome:
        outcome = _write(opened, rows, selection, output, file_format, arguments, goal, show_progress)
        if not outcome.rows and arguments.stream != CONSOLE:
            # Before the file replaces another one.
            selection.check(lambda: _known_keys(opened, arguments.stream))
        return outcome

    if goal is None:
        with standard_output() as terminal:
            outcome = write(terminal)
    else:
        refuse_input(goal, opened)
        with atomic_output(goal) as output:
            outcome = write(output)
    return outcome


def refuse_input(goal: Path, opened: Run) -> None:
    """Refuses to overwrite a file of the run.

    Args:
        goal: The file to write.
        opened: The run.

    Raises:
        UsageError: It is one of the run's files.
    """
    if isinstance(opened, FileRun) and goal.exists() and any(os.path.samefile(goal, file) for file in opened.files):
        raise UsageError(f"{goal} is an input file: write to another file")


def _rows(opened: Run, arguments: argparse.Namespace, selection: KeySelection, show_progress: bool) -> Any:
    """Begins to read the stream that is asked for; with patterns of keys, whole rows."""
    keys = None if selection.has_patterns else arguments.keys
    if arguments.stream == CONSOLE:
        return opened.console()
    if arguments.stream == SYSTEM:
        return opened.system_metrics(keys)
    return scan(
        opened,
        keys,
        arguments.min_step,
        arguments.max_step,
        source=arguments.source,
        show_progress=show_progress,
    )


def _write(
    opened: Run,
    rows: Any,
    selection: KeySelection,
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
        if selection.has_patterns:
            keys = selection.expand(lambda: _known_keys(opened, arguments.stream))
            return write_chosen(opened, rows, keys, selection, output, file_format=file_format, arguments=arguments)
        return write_table(
            opened, rows, output, file_format=file_format, arguments=arguments, show_progress=show_progress
        )
    chosen = ChosenRows(rows, selection) if selection.has_patterns else rows
    columns: int | None = None
    with scan_bar(chosen, wanted=show_progress) as bar:
        watch = ScanWatch(chosen, bar)
        if file_format == "csv":
            folder = None if goal is None or not is_replaceable(goal) else goal.absolute().parent
            columns = write_csv(
                watch,
                output,
                keys=arguments.keys or (),
                by_name=lambda: not getattr(rows, "has_logged_order", True),
                folder=folder,
                guard_formulas=arguments.guard_formulas,
            )
        else:
            write_json_lines(watch, output, nonfinite=arguments.nan)
    return ExportOutcome(watch.rows, len(watch.keys), columns, watch.first_step, watch.last_step)


def _known_keys(opened: Run, stream: str) -> Sequence[str]:
    """Finds all keys of a stream, nested ones dotted."""
    if stream == HISTORY:
        return opened.keys()
    return sorted({column_name(column) for row in opened.system_metrics() for column in flatten(row)})


def describe_empty(opened: Run, arguments: argparse.Namespace) -> str:
    """Says why nothing was written.

    Args:
        opened: The run.
        arguments: The parsed command line.

    Returns:
        The text of a warning.
    """
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
