"""``histscan mirror``: copies the histories of many runs to Parquet files, and keeps them up to date."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from histscan.cli.exit_codes import FAILED, SUCCEEDED, UsageError
from histscan.cli.figures import plural
from histscan.cli.run_argument import count
from histscan.cli.runs_argument import add_filter, chosen_filters
from histscan.common.printable import printable

if TYPE_CHECKING:
    from histscan.many.mirrors.update import MirrorResult

__all__ = ["declare", "run"]

DESCRIPTION = """\
Copy the histories of many runs to Parquet files; run it again to copy what is new.

The folder gets history/RUN_ID.parquet for each run, with the column run_id, and
runs.parquet with the names, states, configs and summaries of the runs. Polars,
DuckDB, Spark and Dask read history/*.parquet as one table. A run that has not
changed since the last call costs no request; of one that has grown, only later rows
are requested. Each file appears when it is complete: after an interruption, the next
call goes on.
"""

EXAMPLES = """\
examples:
  histscan mirror my-team/my-project -o mirror/
  histscan mirror my-team/my-project -o mirror/ --filter '{"state": "finished"}'
  histscan mirror my-team/my-project/sweeps/1a2b3c4d -o sweep/ -k loss -k 'val/*'
  histscan mirror wandb/ -o mirror/ --system
  duckdb -c "SELECT run_id, min(loss) FROM 'mirror/history/*.parquet' GROUP BY 1"
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument(
        "path",
        metavar="WHERE",
        help="a project (entity/project), a sweep, or the URL of its page; or a folder of runs, or a quoted pattern",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="folder to write to: a new one, or a mirror"
    )
    add_filter(parser)
    parser.add_argument(
        "-k",
        "--key",
        dest="keys",
        metavar="KEY",
        action="append",
        help="only this key and the step, or the keys that match a quoted pattern ('val/*'); repeat it for more keys",
    )
    parser.add_argument("--system", action="store_true", help="copy the system metrics, too, to system/RUN_ID.parquet")
    parser.add_argument("--threads", metavar="N", type=count, help="how many runs are read at the same time")
    parser.add_argument(
        "--keep-going", action="store_true", help="leave out runs that can't be read, with a warning; exit code 1"
    )
    parser.add_argument(
        "--skip-corrupt",
        action="store_true",
        help="skip corrupt parts of logs with a warning, instead of stopping with an error",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show neither progress nor summary")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        HistoryError: A run cannot be read.
        OSError: A file cannot be read or written.
        UsageError: An argument is invalid, or pyarrow is not installed.
    """
    from histscan.many.filters import FilterError
    from histscan.mirroring import mirror
    from histscan.opening import open_runs

    if arguments.threads == 0:
        raise UsageError("--threads must be at least 1")
    try:
        runs = open_runs(
            arguments.path,
            filters=chosen_filters(arguments),
            on_corrupt="skip" if arguments.skip_corrupt else "raise",
        )
        result = mirror(
            runs,
            arguments.output,
            keys=arguments.keys,
            system=arguments.system,
            on_error="skip" if arguments.keep_going else "raise",
            threads=arguments.threads,
            progress=not arguments.quiet,
        )
    except (ImportError, FilterError) as error:
        raise UsageError(str(error)) from error
    if not arguments.quiet:
        print(_summary(result))
    return FAILED if result.failures else SUCCEEDED


def _summary(result: MirrorResult) -> str:
    parts = [f"{result.new:,} new"]
    for number, kind in ((result.extended, "extended"), (result.unchanged, "unchanged"), (result.deleted, "deleted")):
        parts.extend([f"{number:,} {kind}"] if number else [])
    parts.extend([f"{len(result.failures):,} failed"] if result.failures else [])
    folder = printable(str(result.folder))
    return f"{folder}: {plural(result.runs, 'run')} ({', '.join(parts)}), {plural(result.rows, 'row')} read"
