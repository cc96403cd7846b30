"""``histscan head``: shows the first rows of a run's history."""

from __future__ import annotations

import argparse
import sys
import textwrap
from itertools import islice
from typing import Any

from histscan.cli.cells import cell, is_number
from histscan.cli.exit_codes import SUCCEEDED
from histscan.cli.flatten import Column, column_name, flatten, sort_columns
from histscan.cli.json_lines import add_nonfinite, write_json_lines
from histscan.cli.run_argument import add_keys, add_run, add_steps, count, open_run, scan
from histscan.cli.table import clip, column_widths, fitting_columns, render, terminal_width

__all__ = ["declare", "run"]

WIDEST_CELL = 24

DESCRIPTION = """\
Show the first rows of a run's history as a table. On a terminal, columns that do
not fit are listed below the table; -k selects columns. Nested keys have dotted
columns. Numbers are rounded; --json shows them in full.
"""

EXAMPLES = """\
examples:
  histscan head wandb/offline-run-20260131_120000-abc
  histscan head run-abc.wandb -k loss -k validation.accuracy -n 20
  histscan head run-abc.wandb --min-step 4000 --json
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_run(parser)
    parser.add_argument("-n", "--rows", metavar="N", type=count, default=10, help="number of rows (default: 10)")
    add_keys(parser)
    add_steps(parser)
    parser.add_argument("--json", action="store_true", help="print the complete rows as JSON Lines")
    add_nonfinite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: The range of steps is empty.
        HistoryError: The history cannot be read.
        OSError: The file cannot be read.
    """
    # For a few rows, pages are cheaper than downloading whole exported files.
    rows = islice(
        scan(open_run(arguments), arguments.keys, arguments.min_step, arguments.max_step, source="pages"),
        arguments.rows,
    )
    if arguments.json:
        write_json_lines(rows, sys.stdout.buffer, nonfinite=arguments.nan)
        sys.stdout.buffer.flush()
    else:
        print(table([flatten(row, typed_whole=True) for row in rows], arguments.keys or [], terminal_width()))
    return SUCCEEDED


def table(rows: list[dict[Column, Any]], keys: list[str], width: int | None) -> str:
    """Formats rows as a table.

    Args:
        rows: The rows, flattened.
        keys: The order of columns; the step comes first, and other columns follow by name.
        width: The maximum width; None for any width.

    Returns:
        The table, and below it the names of the columns that do not fit.
    """
    if not rows:
        return "no rows"
    columns = sort_columns({column: None for row in rows for column in row}, keys)
    names = [clip(column_name(column), WIDEST_CELL) for column in columns]
    cells = [names] + [[cell(row[column], WIDEST_CELL) if column in row else "" for column in columns] for row in rows]
    fitting = fitting_columns(column_widths(cells), width)
    aligned_right = [all(is_number(row[column]) for row in rows if column in row) for column in columns]
    lines = render([line[:fitting] for line in cells], aligned_right[:fitting])
    if fitting < len(columns):
        hidden = ", ".join(clip(column_name(column), 60) for column in columns[fitting:])
        lines += ["", *textwrap.wrap(f"{len(columns) - fitting} more (select with -k KEY): {hidden}", width or 80)]
    return "\n".join(lines)
