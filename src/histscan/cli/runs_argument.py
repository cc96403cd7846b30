"""The command-line argument for one run or many, and the options that choose and sort many runs."""

from __future__ import annotations

import argparse
import glob
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from histscan.cli.exit_codes import UsageError
from histscan.cli.run_argument import add_skip_corrupt
from histscan.common.keys import in_order
from histscan.errors import HistoryDecodeError, HistoryError, HistoryRequestError, RunNotFoundError
from histscan.many.filters import FilterError
from histscan.many.runs import RunList

if TYPE_CHECKING:
    from histscan.many.runs import Runs
    from histscan.runs.contracts import Run

__all__ = [
    "add_choice",
    "add_filter",
    "add_paths",
    "add_skip_failed",
    "chosen_filters",
    "known_keys",
    "open_many",
    "open_one_or_many",
]

_SERVER_THREADS = 8

PATHS_HELP = (
    "a run: a .wandb file or a run's folder (wandb/offline-run-…), exported .parquet files, a .jsonl file, or "
    "entity/project/run_id or the URL of its page on a W&B server; or many runs: a folder that has them, a quoted "
    "pattern, entity/project, entity/project/sweep_id or the URL of a project or sweep; or several of these"
)


class _MixedRuns(RunList[Any]):
    """Runs of which some are on a server."""

    @property
    def reading_threads(self) -> int:
        """As for the runs of a project."""
        return _SERVER_THREADS

    @property
    def can_reread(self) -> bool:
        """False: reading twice would request everything twice."""
        return False


def add_paths(parser: argparse.ArgumentParser, *, several: bool = True) -> None:
    """Adds the argument for one run or many, and the option for corrupt logs.

    Args:
        parser: The command's parser.
        several: False for a single path, if other arguments follow it.
    """
    if several:
        parser.add_argument("paths", metavar="PATH", nargs="+", help=PATHS_HELP)
    else:
        parser.add_argument("path", metavar="WHERE", help=PATHS_HELP.removesuffix("; or several of these"))
    add_skip_corrupt(parser)


def add_filter(parser: argparse.ArgumentParser) -> None:
    """Adds the option that chooses runs; `chosen_filters` returns its conditions."""
    parser.add_argument(
        "--filter",
        dest="filters",
        metavar="JSON",
        type=_filter,
        action="append",
        default=[],
        help="only the runs that meet these conditions, in MongoDB's query language as for wandb.Api().runs(): "
        '\'{"state": "finished", "config.lr": {"$gte": 0.01}}\'; repeat it for more conditions',
    )


def chosen_filters(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Returns the conditions of all ``--filter`` options together; None without any.

    Args:
        arguments: The parsed command line, with the argument of `add_filter` or without it.
    """
    filters = getattr(arguments, "filters", [])
    return {"$and": filters} if len(filters) > 1 else filters[0] if filters else None


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose and sort many runs."""
    add_filter(parser)
    parser.add_argument(
        "--order",
        metavar="FIELDS",
        help="sort the runs by these fields, separated by commas, each with - before it to sort descending: "
        "-created_at, config.lr, summary_metrics.loss (default: by path, or on a server by creation)",
    )


def add_skip_failed(parser: argparse.ArgumentParser) -> None:
    """Adds the option for runs that can't be read."""
    parser.add_argument(
        "--skip-failed",
        action="store_true",
        help="leave out runs that can't be read, with a warning, instead of stopping with an error",
    )


def _filter(text: str) -> dict[str, Any]:
    """Parses the argument of --filter.

    Args:
        text: The argument.

    Returns:
        The conditions.

    Raises:
        argparse.ArgumentTypeError: The text is not a JSON object.
    """
    try:
        conditions = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None
    if not isinstance(conditions, dict):
        raise argparse.ArgumentTypeError('not a JSON object such as {"state": "finished"}')
    return conditions


def open_many(arguments: argparse.Namespace) -> Runs[Any]:
    """Opens the runs of the command line, also if it is only one.

    Args:
        arguments: The parsed command line, with the arguments of `add_paths` and `add_choice`.

    Returns:
        The runs.

    Raises:
        OSError: There is no such file.
        HistoryError: A file can't be read; or the server has no such project, or does not answer.
        UsageError: A condition is invalid, or there is no such field to sort by.
    """
    opened = _open(_paths(arguments), arguments)
    runs = opened if not isinstance(opened, list) else RunList(opened, opened[0].location, _like(opened))
    return _choose(runs, arguments)


def open_one_or_many(arguments: argparse.Namespace) -> Run | Runs[Any]:
    """Opens what the command line names.

    Args:
        arguments: The parsed command line, with the arguments of `add_paths`, and maybe those of `add_choice`.

    Returns:
        The run; or the runs, if there are several, or if they were filtered.

    Raises:
        OSError: There is no such file.
        HistoryError: A file can't be read; or the server has no such run, or does not answer.
        UsageError: A condition is invalid, or there is no such field to sort by; or pyarrow is not installed.
    """
    from histscan.runs.file_run import FileRun

    opened = _open(_paths(arguments), arguments)
    has_source = getattr(arguments, "source", None) is not None
    if isinstance(opened, list):
        if has_source and isinstance(opened[0], FileRun):
            path = _paths(arguments)[0]
            raise UsageError(f"--source applies to runs on a server, and {path!r} is a local file: leave it out")
        if chosen_filters(arguments) is None:
            return opened[0]
        opened = RunList(opened, opened[0].location, _like(opened))
    if has_source:
        raise UsageError("--source applies to one run: leave it out")
    return _choose(opened, arguments)


def known_keys(runs: Runs[Any]) -> list[str]:
    """Finds all keys of runs, for messages; also without pyarrow, then run by run.

    Args:
        runs: The runs.

    Returns:
        The keys, nested ones dotted.

    Raises:
        HistoryError: A run can't be read.
    """
    try:
        return [key.name for key in runs.keys()]  # noqa: SIM118 - not a dict
    except ImportError:
        return in_order({key for run in runs for key in run.keys()})  # noqa: SIM118


def _paths(arguments: argparse.Namespace) -> list[str]:
    """Returns the paths without repeats."""
    given = [arguments.path] if hasattr(arguments, "path") else arguments.paths
    return list(dict.fromkeys(given))


def _like(opened: Sequence[Run]) -> Runs[Any] | None:
    """Returns a collection that is read as these runs must be."""
    from histscan.runs.file_run import FileRun

    return None if all(isinstance(run, FileRun) for run in opened) else _MixedRuns(opened)


def _choose(runs: Runs[Any], arguments: argparse.Namespace) -> Runs[Any]:
    """Filters and sorts runs."""
    try:
        filters = chosen_filters(arguments)
        if filters is not None:
            runs = runs.filter(filters)
        if getattr(arguments, "order", None) is not None:
            runs = runs.sort(arguments.order)
    except FilterError as error:
        raise UsageError(str(error)) from error
    return runs


def _open(paths: Sequence[str], arguments: argparse.Namespace) -> list[Run] | Runs[Any]:
    """Opens paths: returns a list of a single run, or a collection."""
    on_corrupt = "skip" if arguments.skip_corrupt else "raise"
    if len(paths) == 1:
        return _open_path(paths[0], on_corrupt)
    from histscan.opening import open_runs

    if all(map(_is_local, paths)):
        return open_runs(paths, on_corrupt=on_corrupt)
    runs = [run for path in paths for run in _open_path(path, on_corrupt)]
    return RunList(runs, f"{len(paths)} paths", _like(runs))


def _is_local(path: str) -> bool:
    return os.path.lexists(path) or (glob.has_magic(path) and bool(glob.glob(path, recursive=True)))


def _open_path(path: str, on_corrupt: str) -> list[Run] | Runs[Any]:
    """Opens a path: as one run if it is one, else as a collection."""
    from histscan.opening import open_run, open_runs

    try:
        return [open_run(path, on_corrupt=on_corrupt)]
    except ImportError as error:
        raise UsageError(str(error)) from error
    except (HistoryError, OSError, ValueError) as error:
        if isinstance(error, HistoryRequestError) and not isinstance(error, RunNotFoundError):
            raise
        if isinstance(error, HistoryDecodeError):
            error.add_location(run=path)
        try:
            runs = open_runs(path, on_corrupt=on_corrupt)
            is_name = isinstance(error, FileNotFoundError | ValueError) and not _is_local(path)
            # The names of projects are not checked yet: reading their runs raises an error that names the project.
            count = 2 if is_name else len(runs)
        except (HistoryError, OSError, ValueError):
            count = 0
        if not count:
            if isinstance(error, ValueError) and not isinstance(error, HistoryError):
                raise UsageError(str(error)) from error
            raise
        if count == 1 and not isinstance(error, FileNotFoundError | RunNotFoundError):
            # The same run, which can't be opened.
            raise
        return runs if count > 1 else [runs[0]]
