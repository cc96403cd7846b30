"""``histscan keys``: lists the keys of one run or many."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.cli.figures import plural
from histscan.cli.json_lines import write_json_lines
from histscan.cli.runs_argument import add_choice, add_paths, open_many
from histscan.cli.standard_output import standard_output
from histscan.cli.table import GAP, clip, render, table_width, terminal_width
from histscan.common.near_keys import describe_missing
from histscan.many.runs import RunList
from histscan.runs.file_run import FileRun

if TYPE_CHECKING:
    from histscan.many.run_keys import KeyInfo
    from histscan.many.runs import Runs

__all__ = ["declare", "key_lines", "run"]

NARROWEST_KEY = 12

DESCRIPTION = """\
List the keys of the histories of one run or many: for each key the type of its values,
the number of rows that have it, and the number of runs. Nested keys are dotted. No rows
of runs on a server are read, so the number of rows is empty if the server has none.
"""

EXAMPLES = """\
examples:
  histscan keys run-abc.wandb
  histscan keys my-team/my-project 'val/*' loss
  histscan keys wandb/ --json
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_paths(parser, several=False)
    parser.add_argument("patterns", metavar="PATTERN", nargs="*", help="only these keys: names or quoted patterns")
    add_choice(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object for each key")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: No run has one of the keys, or pyarrow is not installed.
        HistoryError: A run can't be read.
        OSError: A file cannot be read.
    """
    from histscan.many.run_keys import choose_keys

    runs = open_many(arguments)
    try:
        known = _known_keys(runs)
    except ImportError as error:
        raise UsageError(str(error)) from error
    for pattern in arguments.patterns:
        if not choose_keys(known, pattern):
            raise UsageError(describe_missing(pattern, [key.name for key in known], "run"))
    chosen = choose_keys(known, arguments.patterns or None)
    if arguments.json:
        with standard_output() as output:
            write_json_lines((key.as_dict() for key in chosen), output)
    elif not known:
        print("no keys: the history is empty")
    else:
        total = f"{plural(len(chosen), 'key')} of {plural(len(runs), 'run')}"
        print("\n".join([*key_lines(chosen, terminal_width()), "", total]))
    return SUCCEEDED


def _known_keys(runs: Runs[Any]) -> list[KeyInfo]:
    """Finds all keys; of one run on a server without reading its rows."""
    if isinstance(runs, RunList) and len(runs) == 1 and not isinstance(runs[0], FileRun):
        found: list[KeyInfo] = runs[0].keys()
        return found
    return runs.keys()


def key_lines(keys: Sequence[KeyInfo], width: int | None) -> list[str]:
    """Formats a table of keys.

    Args:
        keys: The keys.
        width: The maximum width; None for any width.

    Returns:
        The table's lines.
    """
    facts = [["type", "values", "runs"]]
    facts += [[key.type, "" if key.count is None else f"{key.count:,}", f"{key.runs:,}"] for key in keys]
    room = 10**9 if width is None else max(width - table_width(facts) - len(GAP), NARROWEST_KEY)
    names = ["key", *(clip(key.name, room) for key in keys)]
    rows = [[name, *row] for name, row in zip(names, facts, strict=True)]
    return render(rows, [False, False, True, True])
