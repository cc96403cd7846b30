"""``histscan runs``: prints or writes the table of runs."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from histscan.cli.cells import cell, is_number
from histscan.cli.csv_writer import add_guard_formulas, write_csv
from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.cli.figures import file_size, plural
from histscan.cli.json_lines import add_nonfinite, write_json_lines
from histscan.cli.output_format import STDOUT, find_format
from histscan.cli.run_argument import count
from histscan.cli.runs_argument import add_choice, add_paths, open_many
from histscan.cli.standard_output import standard_output
from histscan.cli.table import clip, column_widths, fitting_columns, render, terminal_width
from histscan.common.atomic import atomic_output
from histscan.common.json_fields import is_json
from histscan.common.near_keys import describe_missing
from histscan.common.printable import printable

if TYPE_CHECKING:
    import pyarrow

    from histscan.many.run_table import RunTable

__all__ = ["declare", "print_table", "run"]

WIDEST_CELL, WIDEST_NAME = 24, 40
FORMATS = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".csv": "csv", ".jsonl": "jsonl"}
# Shown first, and only if a run has a value.
_FACTS = ("id", "name", "state", "created_at", "duration", "last_step", "tags", "group", "job_type", "sweep")
# Long, or the same for most runs: shown last.
_LAST = ("heartbeat_at", "entity", "project", "notes")

DESCRIPTION = """\
Show a table with one row for each run: id, name, state, times, tags, config.… and
summary.…. Entries of the config that differ between the runs come before those that
all runs share. On a terminal, columns that do not fit are listed below the table;
--columns selects columns. -o writes the whole table, with all columns, to a file.
"""

EXAMPLES = """\
examples:
  histscan runs wandb/
  histscan runs my-team/my-project --filter '{"state": "finished"}' --order=-summary_metrics.accuracy
  histscan runs my-team/my-project --columns id 'config.*' summary.loss
  histscan runs my-team/my-project -o runs.parquet
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_paths(parser)
    add_choice(parser)
    parser.add_argument(
        "--columns",
        metavar="GLOB",
        nargs="+",
        help="columns to show or write, in this order: names or quoted patterns such as 'config.*'",
    )
    parser.add_argument("-n", "--rows", metavar="N", type=count, help="only the first N runs (default: all)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the table to this file, replaced if it exists: .parquet, .arrow, .csv or .jsonl; - for standard "
        "output, with --format",
    )
    parser.add_argument("--format", choices=sorted(set(FORMATS.values())), help="format of --output")
    parser.add_argument("--json", action="store_true", help="print the complete rows as JSON Lines")
    add_nonfinite(parser)
    add_guard_formulas(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: There is no such column, or pyarrow is not installed.
        HistoryError: A run can't be read.
        OSError: A file cannot be read or written.
    """
    file_format = None
    if arguments.output is not None:
        file_format = find_format(arguments.output, arguments.format, FORMATS)
    elif arguments.format is not None:
        raise UsageError("--format applies to --output: add -o FILE, or -o - for standard output")
    if arguments.guard_formulas and file_format != "csv":
        raise UsageError("--guard-formulas applies to CSV: add -o FILE.csv")
    runs = open_many(arguments)
    if arguments.rows is not None:
        runs = runs[: arguments.rows]
    try:
        described = runs.table()
    except ImportError as error:
        raise UsageError(str(error)) from error
    table = described.to_arrow()
    if arguments.columns:
        table = table.select(_select(described.columns, arguments.columns))
    if file_format is not None:
        _write(table, arguments, file_format)
    elif arguments.json:
        with standard_output() as output:
            write_json_lines(_rows(table), output, nonfinite=arguments.nan)
    elif not len(table):
        print("no runs")
    else:
        columns = table.schema.names if arguments.columns else order_columns(described)
        print_table(list(_rows(table)), columns, terminal_width())
    return SUCCEEDED


def _select(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Returns the columns that names and patterns choose."""
    chosen: dict[str, None] = {}
    for item in wanted:
        found = [item] if item in known else [name for name in known if fnmatchcase(name, item)]
        if not found:
            raise UsageError(f"--columns: {describe_missing(item, known, 'run')}")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def order_columns(described: RunTable) -> list[str]:
    """Orders the columns of a table of runs for people, and drops those that no run has.

    Args:
        described: The table.

    Returns:
        The names: facts of the runs, the config that differs, the summary, and what is long or the same for all.
    """
    table = described.to_arrow()
    used = [name for name, column in zip(table.schema.names, table.columns, strict=True) if _is_used(column)]
    config = [name for name in used if name.startswith("config.")]
    shared = [name for name in config if len(table.column(name).unique()) == 1] if len(table) > 1 else []
    facts = [name for name in _FACTS if name in used]
    if table.column("name").equals(table.column("id")):
        facts.remove("name")
    first = [*facts, *(name for name in config if name not in shared)]
    summary = [name for name in used if name.startswith("summary.") and not name.startswith("summary._")]
    hidden = [name for name in used if name.startswith("summary._")]
    return [*first, *summary, *shared, *(name for name in _LAST if name in used), *hidden]


def _is_used(column: pyarrow.ChunkedArray) -> bool:
    if column.null_count == len(column):
        return False
    return str(column.type) != "list<item: string>" or any(column.to_pylist())


def _rows(table: pyarrow.Table) -> Iterator[dict[str, Any]]:
    """Yields the rows of a table of runs as values of JSON; JSON text is parsed, and times are texts."""
    has_json = [is_json(field) for field in table.schema]
    for row in table.to_pylist():
        for name, parse in zip(table.schema.names, has_json, strict=True):
            value = row[name]
            if isinstance(value, datetime):
                row[name] = value.isoformat().replace("+00:00", "Z")
            elif parse and isinstance(value, str):
                row[name] = json.loads(value)
        yield row


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str], width: int | None) -> None:
    """Prints a table of runs.

    Args:
        rows: The rows; at least one.
        columns: The columns, in order.
        width: The maximum width; None for any width.
    """
    cells = [[clip(name, WIDEST_NAME) for name in columns]]
    cells += [[_cell(name, row.get(name)) for name in columns] for row in rows]
    aligned_right = [
        name == "duration" or all(is_number(row[name]) for row in rows if row.get(name) is not None) for name in columns
    ]
    fitting = fitting_columns(column_widths(cells), width)
    for line in render([line[:fitting] for line in cells], aligned_right[:fitting]):
        print(line)
    print()
    print(plural(len(rows), "run"))
    if fitting < len(columns):
        hidden = ", ".join(clip(name, 60) for name in columns[fitting:])
        count = plural(len(columns) - fitting, "more column")
        print("\n".join(textwrap.wrap(f"{count} (select with --columns): {hidden}", width or 80)))


def _cell(name: str, value: Any) -> str:
    """Formats a value of the table."""
    if value is None:
        return ""
    if name == "duration":
        try:
            return str(timedelta(seconds=round(value)))
        except (OverflowError, ValueError):
            return ""
    if name in ("created_at", "heartbeat_at"):
        return clip(value[:19].replace("T", " "), WIDEST_CELL)
    if name == "tags":
        return clip(", ".join(value), WIDEST_CELL)
    return cell(value, WIDEST_CELL)


def _write(table: pyarrow.Table, arguments: argparse.Namespace, file_format: str) -> None:
    """Writes the table to a file or to standard output."""
    if arguments.output == STDOUT:
        with standard_output() as terminal:
            _write_to(table, terminal, file_format, arguments)
        return
    goal = Path(arguments.output)
    with atomic_output(goal) as output:
        _write_to(table, output, file_format, arguments)
    size = f", {file_size(goal.stat().st_size)}" if goal.is_file() else ""
    print(f"{printable(str(goal))}: {plural(len(table), 'run')}, {plural(table.num_columns, 'column')}{size}")


def _write_to(table: pyarrow.Table, output: BinaryIO, file_format: str, arguments: argparse.Namespace) -> None:
    if file_format == "parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, output, compression="zstd")
    elif file_format == "arrow":
        import pyarrow.ipc

        with pyarrow.ipc.new_file(output, table.schema) as writer:
            writer.write_table(table)
    elif file_format == "csv":
        write_csv(_rows(table), output, first=table.schema.names, guard_formulas=arguments.guard_formulas)
    else:
        write_json_lines(_rows(table), output, nonfinite=arguments.nan)
