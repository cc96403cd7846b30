"""``histscan export`` of many runs: to one file, or to a file for each run."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from histscan.cli.csv_writer import write_csv
from histscan.cli.exit_codes import UsageError
from histscan.cli.export_outcome import ExportOutcome
from histscan.cli.export_run import export_run, refuse_input
from histscan.cli.json_lines import write_json_lines
from histscan.cli.key_selection import KeySelection
from histscan.cli.many_rows import ManyRows
from histscan.cli.messages import warn
from histscan.cli.runs_argument import known_keys
from histscan.cli.standard_output import standard_output
from histscan.cli.stream_export import HISTORY
from histscan.cli.table_export import TABLE_FORMATS, write_batches
from histscan.common.atomic import atomic_output, is_replaceable
from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.many.options import FrameOptions, RunsProgress
from histscan.many.progress import open_progress
from histscan.many.run_columns import run_ids
from histscan.runs.run_facts import path_text

if TYPE_CHECKING:
    import pyarrow

    from histscan.many.options import FrameArguments
    from histscan.many.runs import Runs

__all__ = ["export_folder", "export_runs", "safe_names"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+")
_LONGEST_NAME = 120


def export_runs(
    runs: Runs[Any], arguments: argparse.Namespace, file_format: str, goal: Path | None
) -> tuple[ExportOutcome, int]:
    """Writes the histories of many runs to one file, with a column that names the run.

    Args:
        runs: The runs.
        arguments: The parsed command line of ``histscan export``.
        file_format: The format.
        goal: The file; None for standard output.

    Returns:
        What was written, and the number of runs.

    Raises:
        UsageError: An option does not apply to many runs, or no run has one of the keys.
        HistoryError: A run can't be read.
        OSError: A file cannot be read or written.
    """
    _refuse_options(arguments)
    selection = KeySelection(arguments.keys or [])
    count = len(runs)
    if goal is None:
        with standard_output() as terminal:
            outcome = _write(runs, selection, terminal, file_format, arguments, None)
    else:
        if runs.can_reread and goal.exists():
            for run in runs:
                refuse_input(goal, run)
        with atomic_output(goal) as output:
            outcome = _write(runs, selection, output, file_format, arguments, goal)
    if not outcome.rows:
        warn("no rows written: the runs have no rows in this range of steps" if count else "no rows written: no runs")
    return outcome, count


def _refuse_options(arguments: argparse.Namespace) -> None:
    if arguments.stream != HISTORY:
        raise UsageError(
            f"--stream {arguments.stream} of many runs needs a folder: add a slash to the output (-o dir/)"
        )


def _write(
    runs: Runs[Any],
    selection: KeySelection,
    output: BinaryIO,
    file_format: str,
    arguments: argparse.Namespace,
    goal: Path | None,
) -> ExportOutcome:
    show_progress = not arguments.quiet and not (goal is None and sys.stdout.isatty())
    config = [entry.removeprefix("config.") for entry in arguments.config or ()]

    known = partial(known_keys, runs)
    if file_format in TABLE_FORMATS.values():
        options: FrameArguments = {
            "config": config,
            "min_step": arguments.min_step,
            "max_step": arguments.max_step,
            "nested": arguments.nested or "json",
            "timestamps": arguments.timestamps or "seconds",
            "on_error": "skip" if arguments.skip_failed else "raise",
            "progress": show_progress,
        }
        keys = [STEP, *selection.expand(known)] if selection.items else None
        batches: Iterable[pyarrow.RecordBatch] = runs.batches(keys, rows=1 << 16, **options)
        if selection.items:
            batches = map(selection.choose_rows, batches)
        outcome = write_batches(batches, output, file_format=file_format, arguments=arguments)
    else:
        steps = FrameOptions(min_step=arguments.min_step, max_step=arguments.max_step)
        with open_progress(show_progress, len(runs)) as watch:
            rows = ManyRows(runs, steps, selection, config=config, skip_failed=arguments.skip_failed, watch=watch)
            columns = None
            if file_format == "csv":
                folder = None if goal is None or not is_replaceable(goal) else goal.absolute().parent
                columns = write_csv(
                    rows,
                    output,
                    keys=arguments.keys or (),
                    first=rows.first,
                    by_name=lambda: not rows.has_logged_order,
                    folder=folder,
                    guard_formulas=arguments.guard_formulas,
                )
            else:
                write_json_lines(rows, output, nonfinite=arguments.nan)
        outcome = ExportOutcome(rows.rows, len(rows.keys), columns, None, None)
    if not outcome.rows:
        # Before the file replaces another one.
        selection.check(known, "run")
    return outcome


def export_folder(
    runs: Sequence[Any] | Runs[Any], arguments: argparse.Namespace, file_format: str, suffix: str, goal: Path
) -> tuple[int, int]:
    """Writes a file for each run.

    Args:
        runs: The runs.
        arguments: The parsed command line of ``histscan export``.
        file_format: The format.
        suffix: The suffix of the files.
        goal: The folder, which is made if it does not exist.

    Returns:
        The number of files, and that of rows in them.

    Raises:
        UsageError: The output is an input file; or no run has one of the keys.
        HistoryError: A run can't be read.
        OSError: A file cannot be read or written.
    """
    goal.mkdir(parents=True, exist_ok=True)
    files = rows = 0
    missing: UsageError | None = None
    opened = list(runs)
    # A bar for all runs instead of one for each.
    quiet = argparse.Namespace(**{**vars(arguments), "quiet": True})
    with open_progress(not arguments.quiet, len(opened)) as watch:
        for place, (name, run) in enumerate(zip(safe_names(run_ids(opened)), opened, strict=True)):
            try:
                outcome = export_run(run, quiet, file_format, goal / f"{name}{suffix}")
                files += 1
                rows += outcome.rows
            except UsageError as error:
                # Another run may have the key.
                missing = error
            except (HistoryError, OSError) as error:
                if not arguments.skip_failed:
                    if isinstance(error, HistoryError):
                        error.add_location(run=path_text(run))
                    raise
                warn(f"{path_text(run) or run.location} is left out: {error}")
            if watch is not None:
                watch(RunsProgress(place + 1, len(opened), rows))
    if missing is not None and not files:
        raise missing
    return files, rows


def safe_names(names: Sequence[str]) -> list[str]:
    """Makes names of files of untrusted names: no path, no hidden file, and no two alike, also without regard to case.

    Args:
        names: The names.

    Returns:
        A name for each, without a suffix.
    """
    taken: set[str] = set()
    safe = []
    for name in names:
        base = _UNSAFE.sub("_", name).strip("._")[:_LONGEST_NAME] or "run"
        made, copies = base, 1
        while made.lower() in taken:
            copies += 1
            made = f"{base}-{copies}"
        taken.add(made.lower())
        safe.append(made)
    return safe
