"""``histscan head``: shows the first rows of the history of one run or many."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from histscan.cli.cells import cell, is_number
from histscan.cli.exit_codes import SUCCEEDED
from histscan.cli.figures import plural
from histscan.cli.flatten import Column, column_name, flatten, sort_columns
from histscan.cli.json_lines import add_nonfinite, write_json_lines
from histscan.cli.key_selection import ChosenRows, KeySelection
from histscan.cli.run_argument import add_keys, add_source, add_steps, count, scan
from histscan.cli.runs_argument import add_choice, add_paths, known_keys, open_one_or_many
from histscan.cli.standard_output import standard_output
from histscan.cli.table import clip, column_widths, fitting_columns, render, terminal_width
from histscan.common.printable import printable
from histscan.many.run_columns import RUN_ID, run_ids
from histscan.many.runs import Runs

if TYPE_CHECKING:
    from histscan.runs.contracts import Run

__all__ = ["declare", "run"]

WIDEST_CELL = 24

DESCRIPTION = """\
Show the first rows of a run's history as a table. On a terminal, columns that do
not fit are listed below the table; -k selects columns. Nested keys have dotted
columns. Numbers are rounded; --json shows them in full. Of many runs (a folder, a
pattern, a project), show the first rows of the first runs.
"""

EXAMPLES = """\
examples:
  histscan head wandb/offline-run-20260131_120000-abc
  histscan head run-abc.wandb -k loss -k validation.accuracy -n 20
  histscan head run-abc.wandb --min-step 4000 --json
  histscan head wandb/ -k 'val/*' -n 1 --runs 20
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_paths(parser)
    parser.add_argument(
        "-n", "--rows", metavar="N", type=count, default=10, help="number of rows, of each run (default: 10)"
    )
    parser.add_argument(
        "--runs", metavar="N", type=count, default=5, help="of many runs, show the first N (default: 5)"
    )
    add_keys(parser)
    add_steps(parser)
    add_choice(parser)
    add_source(parser, "pages", "which is faster for a few rows than downloading files")
    parser.add_argument("--json", action="store_true", help="print the complete rows as JSON Lines")
    add_nonfinite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: The range of steps is empty, or no row has one of the keys.
        HistoryError: The history cannot be read.
        OSError: The file cannot be read.
    """
    selection = KeySelection(arguments.keys or [])
    opened = open_one_or_many(arguments)
    if isinstance(opened, Runs):
        return _run_many(opened, arguments, selection)
    rows = _rows(opened, arguments, selection)
    if not rows:
        selection.check(opened.keys)
    if arguments.json:
        _print_json(rows, arguments)
    else:
        print(table([flatten(row, typed_whole=True) for row in rows], arguments.keys or [], terminal_width()))
    return SUCCEEDED


def _run_many(runs: Runs[Any], arguments: argparse.Namespace, selection: KeySelection) -> int:
    """Shows the first rows of each of the first runs."""
    total = len(runs)
    shown = list(islice(runs, arguments.runs))
    if not shown:
        print("no runs")
        return SUCCEEDED
    found = [
        {RUN_ID: name, **row}
        for name, run in zip(run_ids(shown), shown, strict=True)
        for row in _rows(run, arguments, selection)
    ]
    if not found:
        selection.check(lambda: known_keys(runs), "run")
    if arguments.json:
        _print_json(found, arguments)
        return SUCCEEDED
    rows = [flatten(row, typed_whole=True) for row in found]
    print(table(rows, arguments.keys or [], terminal_width(), [RUN_ID]))
    where = " ".join(map(shlex.quote, arguments.paths))
    print()
    more = f"the first {len(shown):,} of {plural(total, 'run')}" if total > len(shown) else plural(total, "run")
    print(
        f"{more}; `histscan runs {printable(where)}` lists them, and `histscan head PATH` of one run shows more of it"
    )
    return SUCCEEDED


def _rows(run: Run, arguments: argparse.Namespace, selection: KeySelection) -> list[dict[str, Any]]:
    """Reads the first rows of a run that are selected."""
    keys = None if selection.has_patterns else arguments.keys
    rows: Any = scan(run, keys, arguments.min_step, arguments.max_step, source=arguments.source or "pages")
    if selection.has_patterns:
        rows = ChosenRows(rows, selection)
    return list(islice(rows, arguments.rows))


def _print_json(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    with standard_output() as output:
        write_json_lines(rows, output, nonfinite=arguments.nan)


def table(rows: list[dict[Column, Any]], keys: Sequence[str], width: int | None, first: Sequence[str] = ()) -> str:
    """Formats rows as a table.

    Args:
        rows: The rows, flattened.
        keys: The order of columns; the step comes first, and other columns follow by name.
        width: The maximum width; None for any width.
        first: Columns that come before the step.

    Returns:
        The table, and below it the names of the columns that do not fit.
    """
    if not rows:
        return "no rows"
    columns = sort_columns({column: None for row in rows for column in row}, keys, first)
    names = [clip(column_name(column), WIDEST_CELL) for column in columns]
    cells = [names] + [[cell(row[column], WIDEST_CELL) if column in row else "" for column in columns] for row in rows]
    fitting = fitting_columns(column_widths(cells), width)
    aligned_right = [all(is_number(row[column]) for row in rows if column in row) for column in columns]
    lines = render([line[:fitting] for line in cells], aligned_right[:fitting])
    if fitting < len(columns):
        hidden = ", ".join(clip(column_name(column), 60) for column in columns[fitting:])
        lines += ["", *textwrap.wrap(f"{len(columns) - fitting} more (select with -k KEY): {hidden}", width or 80)]
    return "\n".join(lines)
