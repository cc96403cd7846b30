"""``histscan info``: describes one run or many, and the keys of their histories."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.cli.cells import cell
from histscan.cli.exit_codes import SUCCEEDED
from histscan.cli.figures import file_size, plural, short_number
from histscan.cli.flatten import column_name, unique_names
from histscan.cli.info_many import describe_many
from histscan.cli.json_lines import JsonLineEncoder, add_nonfinite
from histscan.cli.key_statistics import HistoryStatistics, KeyStatistics
from histscan.cli.run_argument import add_source, scan
from histscan.cli.run_facts import describe_run, run_facts
from histscan.cli.runs_argument import add_choice, add_paths, open_one_or_many
from histscan.cli.scan_watch import scan_bar
from histscan.cli.standard_output import standard_output
from histscan.cli.table import GAP, clip, render, table_width, terminal_width, text_width
from histscan.columns.statistics import statistics_chunks
from histscan.common.printable import printable
from histscan.many.runs import Runs
from histscan.runs.file_run import FileRun
from histscan.runs.file_scan import RereadScan

if TYPE_CHECKING:
    from histscan.runs.contracts import Run
    from histscan.sources.source_option import SourceOption

__all__ = ["declare", "run"]

WIDEST_LAST = 11
DIGITS = 4
NARROWEST_KEY = 8

DESCRIPTION = """\
Describe a run: its names, state, config and summary, and each key of its history.
For each key, show the type of its values, the number of rows that have it, their
first and last step, the minimum, the maximum and the last value. NaN values have
a count of their own, and do not affect minimum and maximum. Nested keys are dotted;
a histogram, image or other typed dict is one value. Of many runs (a folder, a pattern,
a project), show how many there are by state, when they ran, and the keys they have.
"""

EXAMPLES = """\
examples:
  histscan info wandb/offline-run-20260131_120000-abc
  histscan info run-abc.wandb --json | jq '.keys | keys'
  histscan info my-team/my-project
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_paths(parser)
    add_choice(parser)
    add_source(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, with unrounded numbers, config and summary"
    )
    add_nonfinite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        HistoryError: The history cannot be read.
        OSError: The file cannot be read.
    """
    opened = open_one_or_many(arguments)
    if isinstance(opened, Runs):
        return describe_many(opened, arguments)
    statistics = gather(opened, arguments.source)
    if arguments.json:
        with standard_output() as output:
            output.write(JsonLineEncoder(arguments.nan).encode(as_json(opened, statistics)))
    else:
        print("\n".join([*header(opened, statistics), "", *key_table(statistics, terminal_width())]))
    return SUCCEEDED


def gather(opened: Run, source: SourceOption | None) -> HistoryStatistics:
    """Reads a run's history through.

    Args:
        opened: The run.
        source: Where the rows of a run on a server come from.

    Returns:
        The statistics.
    """
    statistics = HistoryStatistics()
    opened.expect_config()
    opened.expect_facts()
    rows = scan(opened, None, source=source, show_progress=True)
    with scan_bar(rows) as bar:
        open_pages = rows.column_pages
        if isinstance(rows, RereadScan):
            open_pages = partial(rows.column_pages, lambda bytes_read: bar.update(bytes_read, statistics.rows))
        for chunk in statistics_chunks(rows, open_pages):
            statistics.add_chunk(chunk)
    return statistics


def as_json(opened: Run, statistics: HistoryStatistics) -> dict[str, Any]:
    """Describes a run for programs."""
    columns = list(statistics.items())
    names = unique_names(column for column, _ in columns)
    return {
        **({"file": str(opened.file)} if isinstance(opened, FileRun) else {"url": opened.url}),
        "entity": opened.entity,
        "project": opened.project,
        "id": opened.id,
        "name": opened.name,
        **run_facts(opened),
        "rows": statistics.rows,
        "first_step": statistics.first_step,
        "last_step": statistics.last_step,
        "config": opened.config,
        "summary": opened.summary,
        "keys": {
            name: {
                "types": dict(key.types),
                "count": key.count,
                "first_step": key.first_step,
                "last_step": key.last_step,
                "nan": key.nan,
                "min": key.lowest,
                "max": key.highest,
                "last": key.last,
            }
            for name, (_, key) in zip(names, columns, strict=True)
        },
    }


def header(opened: Run, statistics: HistoryStatistics) -> list[str]:
    """Describes a run in a few lines."""
    rows = plural(statistics.rows, "row")
    if statistics.first_step is not None and statistics.last_step is not None:
        rows += f", steps {statistics.first_step} to {statistics.last_step}"
    if isinstance(opened, FileRun):
        size = file_size(sum(file.stat().st_size for file in opened.files))
        several = f"{len(opened.files)} files, " if len(opened.files) > 1 else ""
        place = {"file": f"{opened.file} ({several}{size})"}
    else:
        place = {"url": opened.url}
    facts = {
        "run": "/".join(part for part in (opened.entity, opened.project, opened.id) if part),
        "name": opened.name,
        **place,
        **describe_run(opened),
        "history": rows,
        "config": plural(len(opened.config), "value") + _origin(getattr(opened, "config_file", None)),
        "summary": plural(len(opened.summary), "value") + _origin(getattr(opened, "summary_file", None)),
    }
    width = max(map(len, facts))
    return [f"{name:{width}}  {printable(fact)}" for name, fact in facts.items()]


def _origin(path: Path | None) -> str:
    """Names the file that values were read from because the log has none."""
    return "" if path is None else f", from {Path(path.parent.name, path.name)} (the log has none)"


def key_table(statistics: HistoryStatistics, width: int | None) -> list[str]:
    """Formats the table of keys.

    Args:
        statistics: The statistics of the keys.
        width: The maximum width; None for any width. A key that is too long gets a line of its own.

    Returns:
        The table's lines.
    """
    keys = list(statistics.items())
    if not keys:
        return ["no keys: the history is empty"]
    rows = [["type", "count", "steps", "min", "max", "last"], *(facts(key) for _, key in keys)]
    aligned_right = [False, True, True, True, True, True]
    if any(key.nan for _, key in keys):
        # Most histories have no NaN, and need no column for it.
        for row, number in zip(rows, ["NaN", *(str(key.nan or "") for _, key in keys)], strict=True):
            row.insert(2, number)
        aligned_right.insert(2, True)
    names = ["key", *(printable(column_name(column)) for column, _ in keys)]
    if width is None:
        return render([[name, *row] for name, row in zip(names, rows, strict=True)], [False, *aligned_right])
    facts_width = table_width(rows)
    room = max(width - facts_width - len(GAP), NARROWEST_KEY)
    fitting = [name if text_width(name) <= room else "" for name in names]
    lines = render([[name, *row] for name, row in zip(fitting, rows, strict=True)], [False, *aligned_right])
    return [
        part
        for name, fits, line in zip(names, fitting, lines, strict=True)
        for part in ([line] if fits or not name else [clip(name, width), line])
    ]


def facts(key: KeyStatistics) -> list[str]:
    """Formats the statistics of a key as cells of a table."""
    return [
        key.type,
        str(key.count),
        "" if key.first_step is None or key.last_step is None else f"{key.first_step}-{key.last_step}",
        "" if key.lowest is None else short_number(key.lowest, DIGITS),
        "" if key.highest is None else short_number(key.highest, DIGITS),
        cell(key.last, WIDEST_LAST, DIGITS),
    ]
