"""The options that select a part of a run's history."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from histscan.cli.exit_codes import UsageError
from histscan.common.steps import STEP
from histscan.sources.source_option import SOURCES, SourceOption

if TYPE_CHECKING:
    from histscan.columns.scan import Scan
    from histscan.runs.contracts import Run


def add_skip_corrupt(parser: argparse.ArgumentParser) -> None:
    """Adds the option for corrupt logs."""
    parser.add_argument(
        "--skip-corrupt",
        action="store_true",
        help="skip corrupt parts of the log with a warning, instead of stopping with an error",
    )


def add_source(parser: argparse.ArgumentParser, default: SourceOption = "auto", reason: str = "") -> None:
    """Adds the option for the source of rows of a run on a server.

    Args:
        parser: The command's parser.
        default: What the command does without the option, for the help.
        reason: Why it does, for the help.
    """
    parser.add_argument(
        "--source",
        choices=SOURCES,
        help="where the rows of a run on a server come from: exported Parquet files, and pages for the rest (parquet); "
        "pages of rows as logged (pages); or exported files if there are any, else pages (auto). Default: "
        + (f"{default}, {reason}" if reason else default),
    )


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Adds the option for keys."""
    parser.add_argument(
        "-k",
        "--key",
        dest="keys",
        metavar="KEY",
        action="append",
        help="only rows that have this key, and only this key and the step; repeat it for more keys: rows must have "
        "all of them. Nested keys are dotted (validation.loss). A quoted pattern such as 'val/*' chooses all keys that "
        "match it; rows must have one of them",
    )


def add_steps(parser: argparse.ArgumentParser) -> None:
    """Adds the options for steps."""
    parser.add_argument("--min-step", metavar="N", type=count, default=0, help="first step (default: 0)")
    parser.add_argument("--max-step", metavar="N", type=count, help="stop before this step (default: read all)")


def count(text: str) -> int:
    """Reads a number of steps or rows from the command line.

    Args:
        text: The argument; ``1_000`` is accepted.

    Returns:
        The number, 0 or more.

    Raises:
        argparse.ArgumentTypeError: The text is not such a number.
    """
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return number


def scan(
    run: Run,
    keys: Sequence[str] | None,
    min_step: int = 0,
    max_step: int | None = None,
    *,
    source: SourceOption | None = None,
    show_progress: bool = False,
) -> Scan:
    """Creates the scan of the command line.

    Args:
        run: The run.
        keys: The requested keys, to which the step is added in front; None for all.
        min_step: First step, inclusive.
        max_step: Step to stop at, exclusive; None for the end.
        source: Where the rows of a run on a server come from; None for ``"auto"``.
        show_progress: True to show the progress of the scan of a run on a server.

    Returns:
        The scan.

    Raises:
        UsageError: The range of steps is empty; or `source` is ``"parquet"``, and pyarrow is not installed.
    """
    if max_step is not None and max_step <= min_step:
        raise UsageError(f"--max-step must be higher than --min-step, but they are {max_step} and {min_step}")
    wanted = [STEP, *(key for key in dict.fromkeys(keys) if key != STEP)] if keys else None
    from histscan.api.run import Run as ServerRun

    if not isinstance(run, ServerRun):
        return run.scan_history(wanted, min_step=min_step, max_step=max_step)
    if source == "parquet":
        from histscan.sources.parquet_reader import import_parquet

        try:
            import_parquet()
        except ImportError as error:
            raise UsageError(str(error)) from error
    return run.scan_history(
        wanted, min_step=min_step, max_step=max_step, source=source or "auto", progress=show_progress
    )
