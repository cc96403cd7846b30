"""``histscan tail``: shows the last rows of a run, and those that are added while it runs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from histscan.cli.cells import cell, is_number
from histscan.cli.exit_codes import INTERRUPTED, SUCCEEDED, UsageError
from histscan.cli.figures import plural
from histscan.cli.flatten import Column, column_name, flatten, sort_columns
from histscan.cli.following import follow
from histscan.cli.json_lines import add_nonfinite, write_json_lines
from histscan.cli.key_selection import KeySelection
from histscan.cli.messages import warn
from histscan.cli.run_argument import add_keys, count
from histscan.cli.runs_argument import add_paths, open_one_or_many
from histscan.cli.standard_output import standard_output
from histscan.cli.table import GAP, clip, fitting_columns, terminal_width, text_width
from histscan.common.printable import printable
from histscan.many.runs import Runs

if TYPE_CHECKING:
    from histscan.runs.contracts import Run

__all__ = ["declare", "run"]

WIDEST_CELL = 24
NARROWEST_CELL = 8
_BACK_OFF = 1.5

DESCRIPTION = """\
Show the last rows of a run's history, and follow it: print the rows that are added while
the run goes on. The run can be a log that is being written, or on a server, which is
requested again after 1 to 15 seconds. Ends when the run does, or with Ctrl-C.
"""

EXAMPLES = """\
examples:
  histscan tail wandb/latest-run
  histscan tail my-team/my-project/1a2b3c4d -k loss -k 'val/*' -n 50
  histscan tail wandb/latest-run --json | jq .loss
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_paths(parser, several=False)
    parser.add_argument(
        "-n", "--rows", metavar="N", type=count, default=10, help="rows to show before the new ones (default: 10)"
    )
    add_keys(parser)
    parser.add_argument("--json", action="store_true", help="print the complete rows as JSON Lines")
    add_nonfinite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code: 0 when the run has ended, 130 after Ctrl-C.

    Raises:
        UsageError: The path has several runs; or the run has ended, and no row has one of the keys.
        HistoryError: The history cannot be read.
        OSError: The file cannot be read.
    """
    opened = open_one_or_many(arguments)
    if isinstance(opened, Runs):
        example = getattr(opened[-1], "file", "/".join(opened[-1].path))
        raise UsageError(
            f"{arguments.path!r} has {plural(len(opened), 'run')}, and tail follows one: pass its path, such as "
            f"{str(example)!r}"
        )
    selection = KeySelection(arguments.keys or [])
    follower = follow(opened, selection, skip_corrupt=arguments.skip_corrupt)
    printer = _RowPrinter(arguments)
    try:
        rows = follower.last_rows(arguments.rows)
        if not rows and arguments.rows:
            _check_keys(selection, opened, may_grow=follower.end is None)
        printer.print(rows)
        wait = follower.shortest_wait
        while follower.end is None:
            pause(wait)
            rows = follower.new_rows()
            printer.print(rows)
            wait = follower.shortest_wait if rows else min(wait * _BACK_OFF, follower.longest_wait)
        print(printable(follower.end), file=sys.stderr)
    except KeyboardInterrupt:
        # This is how the command is meant to be ended: no error.
        return INTERRUPTED
    return SUCCEEDED


def _check_keys(selection: KeySelection, opened: Run, *, may_grow: bool) -> None:
    """Checks the keys, of which no row has been found; a run that goes on may log them later."""
    try:
        selection.check(opened.keys)
    except UsageError as error:
        if not may_grow:
            raise
        text = str(error)
        warn(f"so far, {text}{'' if text.endswith('?') else '.'} Waiting for a row that has it")


def pause(seconds: float) -> None:
    """Waits before the next look at a run.

    Args:
        seconds: How long.
    """
    time.sleep(seconds)


class _RowPrinter:
    """Prints rows as they come, as a table whose columns keep their widths, or as JSON Lines.

    Args:
        arguments: The parsed command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._is_json: bool = arguments.json
        self._nonfinite: str = arguments.nan
        self._keys: Sequence[str] = arguments.keys or ()
        self._columns: list[Column] = []
        self._widths: list[int] = []

    def print(self, rows: list[dict[str, Any]]) -> None:
        """Prints rows at once.

        Args:
            rows: The rows.
        """
        if not rows:
            return
        if self._is_json:
            with standard_output() as output:
                write_json_lines(rows, output, nonfinite=self._nonfinite)
        else:
            self._print_table([flatten(row, typed_whole=True) for row in rows])
            sys.stdout.flush()

    def _print_table(self, rows: list[dict[Column, Any]]) -> None:
        found = {column for row in rows for column in row}
        has_new = not found <= set(self._columns)
        if has_new:
            is_first = not self._columns
            self._columns = sort_columns({*self._columns, *found}, self._keys)
        cells = [[cell(row[name], WIDEST_CELL) if name in row else "" for name in self._columns] for row in rows]
        names = [clip(column_name(name), WIDEST_CELL) for name in self._columns]
        if has_new:
            self._widths = [max(text_width(name), NARROWEST_CELL) for name in names]
        for line in cells:
            self._widths = [max(width, text_width(text)) for width, text in zip(self._widths, line, strict=True)]
        fitting = fitting_columns(self._widths, terminal_width())
        if has_new:
            if not is_first:
                print()
            if fitting < len(names):
                hidden = ", ".join(printable(name) for name in names[fitting:])
                print(clip(f"{len(names) - fitting} more (select with -k KEY): {hidden}", terminal_width() or 80))
            print(self._aligned(names[:fitting], [True] * fitting))
        for row, line in zip(rows, cells, strict=True):
            aligned_right = [name not in row or is_number(row[name]) for name in self._columns]
            print(self._aligned(line[:fitting], aligned_right))

    def _aligned(self, line: Sequence[str], aligned_right: Sequence[bool]) -> str:
        padded = []
        for text, width, right in zip(line, self._widths, aligned_right, strict=False):
            space = " " * (width - text_width(text))
            padded.append(space + text if right else text + space)
        return GAP.join(padded).rstrip()
