"""``histscan info`` of many runs: how many there are by state, when they ran, and the keys of their histories."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.cli.figures import file_size, plural
from histscan.cli.json_lines import JsonLineEncoder
from histscan.cli.list_keys import key_lines
from histscan.cli.standard_output import standard_output
from histscan.cli.table import terminal_width
from histscan.common.printable import printable
from histscan.common.steps import STEP
from histscan.runs.file_run import FileRun

if TYPE_CHECKING:
    from histscan.many.run_keys import KeyInfo
    from histscan.many.runs import Runs

__all__ = ["describe_many"]

_PROJECTS_SHOWN = 6


def describe_many(runs: Runs[Any], arguments: argparse.Namespace) -> int:
    """Prints a summary of many runs.

    Args:
        runs: The runs.
        arguments: The parsed command line of ``histscan info``.

    Returns:
        The exit code.

    Raises:
        HistoryError: A run can't be read.
        OSError: A file can't be read.
        UsageError: pyarrow is not installed.
    """
    try:
        table = runs.table().to_arrow()
        keys = runs.keys()
    except ImportError as error:
        raise UsageError(str(error)) from error
    facts = table.select(["state", "created_at", "entity", "project"]).to_pylist()
    if arguments.json:
        with standard_output() as output:
            output.write(JsonLineEncoder(arguments.nan).encode(_as_json(facts, keys)))
        return SUCCEEDED
    described = _describe(runs, facts, keys)
    width = max(map(len, described))
    print("\n".join(f"{name:{width}}  {printable(fact)}" for name, fact in described.items()))
    print()
    print("\n".join(key_lines(keys, terminal_width()) if keys else ["no keys: the histories are empty"]))
    where = printable(" ".join(map(shlex.quote, arguments.paths)))
    print(f"\n`histscan runs {where}` lists the runs; `histscan info PATH` of one run describes it")
    return SUCCEEDED


def _states(facts: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(row["state"] or "unknown" for row in facts)


def _projects(facts: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({"/".join(filter(None, (row["entity"], row["project"]))) for row in facts} - {""})


def _rows(keys: Sequence[KeyInfo]) -> int | None:
    """Returns the number of rows: all of them have a step. None if the server does not tell."""
    return next((key.count for key in keys if key.name == STEP), None)


def _as_json(facts: Sequence[dict[str, Any]], keys: Sequence[KeyInfo]) -> dict[str, Any]:
    times = [row["created_at"].isoformat().replace("+00:00", "Z") for row in facts if row["created_at"]]
    return {
        "runs": len(facts),
        "states": dict(_states(facts)),
        "projects": _projects(facts),
        "first_created_at": min(times, default=None),
        "last_created_at": max(times, default=None),
        "rows": _rows(keys),
        "keys": {key.name: {"type": key.type, "count": key.count, "runs": key.runs} for key in keys},
    }


def _describe(runs: Runs[Any], facts: Sequence[dict[str, Any]], keys: Sequence[KeyInfo]) -> dict[str, str]:
    states = ", ".join(f"{count:,} {state}" for state, count in _states(facts).most_common())
    projects = _projects(facts)
    listed = ", ".join(projects[:_PROJECTS_SHOWN])
    if len(projects) > _PROJECTS_SHOWN:
        listed += f" and {len(projects) - _PROJECTS_SHOWN} more"
    times = [row["created_at"] for row in facts if row["created_at"]]
    rows = _rows(keys)
    described = {
        "runs": f"{len(facts):,}" + (f": {states}" if states else ""),
        "project" if len(projects) == 1 else "projects": listed,
        "files": _files(runs),
        "started": f"{min(times):%Y-%m-%d %H:%M:%S} to {max(times):%Y-%m-%d %H:%M:%S}" if times else "",
        "history": "" if rows is None else plural(rows, "row"),
        "keys": f"{len(keys):,}",
    }
    return {name: fact for name, fact in described.items() if fact}


def _files(runs: Runs[Any]) -> str:
    """Describes the files of runs in files."""
    if not runs.can_reread:
        return ""
    sizes = [file.stat().st_size for run in runs if isinstance(run, FileRun) for file in run.files]
    return f"{len(sizes):,}, {file_size(sum(sizes))}" if sizes else ""
