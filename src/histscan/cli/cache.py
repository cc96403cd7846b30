"""``histscan cache``: shows, clears and limits the cache of exported histories."""

from __future__ import annotations

import argparse
import time

from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.cli.figures import file_size, plural
from histscan.cli.run_argument import count
from histscan.cli.serve import size
from histscan.common.printable import printable
from histscan.sources.exported_files import cache_folder
from histscan.sources.file_cache import cached_files, clear_cache, keep_within_limit, read_limit, write_limit

__all__ = ["declare", "run"]

_DAY = 86_400

DESCRIPTION = """\
Show, clear or limit the cache of Parquet files to which a server has exported
histories. They are downloaded once, and kept in HISTSCAN_CACHE_DIR, else in
~/.cache/histscan. Files are only removed if histscan downloaded them; what is removed
is downloaded again when it is needed.

`limit` removes the files that were not used for the longest time, now and after each
download, until the others are within the limit. Files that were used within the last
hour stay.
"""

EXAMPLES = """\
examples:
  histscan cache
  histscan cache clear --unused-for 30
  histscan cache limit 20G
  histscan cache limit none
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument(
        "action", choices=("show", "clear", "limit"), nargs="?", default="show", help="what to do (default: show)"
    )
    parser.add_argument("size", metavar="SIZE", nargs="?", type=_limit, help="for limit: a size such as 20G, or none")
    parser.add_argument(
        "--unused-for", metavar="DAYS", type=count, help="for clear: only files that were not used for so many days"
    )


def _limit(text: str) -> int:
    """Parses the SIZE of a limit; -1 stands for none."""
    return -1 if text == "none" else size(text)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: An argument is missing, or belongs to another action.
        OSError: The cache can't be read or written.
    """
    if arguments.unused_for is not None and arguments.action != "clear":
        raise UsageError("--unused-for applies to `histscan cache clear`")
    if (arguments.size is not None) != (arguments.action == "limit"):
        raise UsageError("`histscan cache limit` needs a size such as 20G, or none; other actions take no size")
    folder = cache_folder()
    if arguments.action == "clear":
        removed = clear_cache(folder, unused_for=(arguments.unused_for or 0) * _DAY)
        print(f"removed {plural(len(removed), 'file')}, {file_size(sum(file.size for file in removed))}")
    if arguments.action == "limit":
        write_limit(folder, None if arguments.size < 0 else arguments.size)
        removed = keep_within_limit(folder)
        if removed:
            print(f"removed {plural(len(removed), 'file')}, {file_size(sum(file.size for file in removed))}")
    files = cached_files(folder)
    limit = read_limit(folder)
    print(f"folder  {printable(str(folder))}")
    print(f"files   {len(files):,}, {file_size(sum(file.size for file in files))}")
    if files:
        print(f"used    {_day(files[0].used)} to {_day(files[-1].used)}")
    print(f"limit   {'none' if limit is None else file_size(limit)}")
    return SUCCEEDED


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))
