"""The argument that names a run, and the options that say which part of its history is wanted."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from histscan.cli.exit_codes import UsageError
from histscan.common.steps import STEP
from histscan.errors import HistoryDecodeError
from histscan.sources.source_option import SOURCES, SourceOption

if TYPE_CHECKING:
    from histscan.columns.scan import Scan
    from histscan.runs.contracts import Run


def add_run(parser: argparse.ArgumentParser) -> None:
    """Declares the run, and what to do where its log is corrupt."""
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a .wandb file, or the folder of a run (wandb/offline-run-…); or a history's .parquet file, or a "
        "folder or a quoted pattern of several; or a history's .jsonl file, also with .gz or .zst; or a run on a W&B "
        "server, by its name (entity/project/run_id) or the address of its page",
    )
    parser.add_argument(
        "--skip-corrupt",
        action="store_true",
        help="pass over corrupt parts of the log with a warning, instead of ending there with an error",
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """Declares where the rows of a run on a server come from."""
    parser.add_argument(
        "--source",
        choices=SOURCES,
        help="where the rows of a run on a server come from: the Parquet files that it has exported the history to, "
        "and pages of the rest (parquet); pages of rows as they were logged (pages); or files if they can be had "
        "(auto, the default)",
    )


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Declares the choice of keys."""
    parser.add_argument(
        "-k",
        "--key",
        dest="keys",
        metavar="KEY",
        action="append",
        help="only rows that have this key, and only this key with the step; repeat it for more: rows must then have "
        "all of them. Nested keys are dotted (validation.loss)",
    )


def add_steps(parser: argparse.ArgumentParser) -> None:
    """Declares the choice of steps."""
    parser.add_argument("--min-step", metavar="N", type=count, default=0, help="first step (default: 0)")
    parser.add_argument("--max-step", metavar="N", type=count, help="stop before this step (default: read all)")


def count(text: str) -> int:
    """Reads a number of steps or rows from the command line.

    Args:
        text: What was typed; ``1_000`` is fine.

    Returns:
        The number, which is not negative.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return number


def open_run(arguments: argparse.Namespace) -> Run:
    """Opens the run that the command line names.

    Args:
        arguments: The parsed command line, with what `add_run` declares, and `add_source`.

    Returns:
        The run.

    Raises:
        OSError: There is no such file.
        HistoryError: The file is no log; or the server has no such run, or gives no answer.
        UsageError: The files are Parquet, and pyarrow is not installed; or a source is chosen for a file; or an address
            is not that of a run.
    """
    from histscan.opening import open_run as open_path
    from histscan.runs.contracts import FileRun

    path: str = arguments.path
    try:
        opened = open_path(path, on_corrupt="skip" if arguments.skip_corrupt else "raise")
        if getattr(arguments, "source", None) is not None and isinstance(opened, FileRun):
            raise UsageError(f"--source is for runs on a server, and {path!r} is a file here")
        return opened
    except HistoryDecodeError as error:
        error.add_location(run=path)
        raise
    except (ImportError, ValueError) as error:
        # An address that is not that of a run.
        raise UsageError(str(error)) from error


def scan(
    run: Run,
    keys: Sequence[str] | None,
    min_step: int = 0,
    max_step: int | None = None,
    *,
    source: SourceOption | None = None,
    show_progress: bool = False,
) -> Scan:
    """Scans what the command line asks for.

    Args:
        run: The run.
        keys: The keys asked for; the step is read along with them, first. None for all.
        min_step: First step, inclusive.
        max_step: Step to stop at, exclusive; None for the end.
        source: Where the rows of a run on a server come from; None for ``"auto"``.
        show_progress: Whether the scan of a run on a server shows how far it is, as nobody else can tell.

    Returns:
        The scan.

    Raises:
        UsageError: No step can be in the range; or files are to be read, and pyarrow is not installed.
    """
    if max_step is not None and max_step <= min_step:
        raise UsageError(
            f"there is no step from {min_step} to before {max_step}: --max-step must be higher than --min-step"
        )
    wanted = [STEP, *(key for key in dict.fromkeys(keys) if key != STEP)] if keys else None
    from histscan.api.run import Run as ServerRun

    if not isinstance(run, ServerRun):
        return run.scan_history(wanted, min_step=min_step, max_step=max_step)
    if source == "parquet":
        from histscan.sources.parquet import import_parquet

        try:
            import_parquet()
        except ImportError as error:
            raise UsageError(str(error)) from error
    return run.scan_history(
        wanted, min_step=min_step, max_step=max_step, source=source or "auto", progress=show_progress
    )
