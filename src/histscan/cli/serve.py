"""``histscan serve``: recorded runs as a W&B server, for the real wandb client."""

from __future__ import annotations

import argparse
import os
import re
from contextlib import suppress
from pathlib import Path

from histscan.cli.exit_codes import SUCCEEDED, StoppedBySignal, UsageError
from histscan.cli.run_argument import count

__all__ = ["declare", "run"]

DEFAULT_PORT = 8090
KEY_VARIABLE = "HISTSCAN_API_KEY"

DESCRIPTION = """\
Serve recorded runs to the real wandb client: scripts that use wandb.Api() list,
open and scan them as if W&B had them. Set the two variables that are printed at
the start in the shell that the script runs in; a browser shows the runs at /.
Needs the extra `serve`; Parquet files also need `arrow`.
"""

EXAMPLES = """\
examples:
  histscan serve wandb/
  histscan serve run-abc.wandb exports/ --port 9000
  histscan serve wandb/ --latency 50ms --rate-limit 20/s --fault 503@HistoryPage:every=10

Paths are served with all that is below them, and a log with the folder files/
beside it, as wandb writes it; nothing else is served, and nothing is changed.
Runs recorded without an entity or project get those of --entity and --project.
Requests are counted: GET /traffic returns the numbers, DELETE /traffic resets them.
"""

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", type=Path, help="a .wandb file, exported Parquet files, or a folder of many"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    parser.add_argument(
        "--port",
        metavar="N",
        type=count,
        default=DEFAULT_PORT,
        help=f"port; 0 for a free one (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"key that clients must send; {KEY_VARIABLE} gives it unseen by this machine's other users",
    )
    parser.add_argument("--entity", metavar="NAME", help="entity of runs recorded without one (default: local)")
    parser.add_argument(
        "--project",
        metavar="NAME",
        default="uncategorized",
        help="project of runs recorded without one (default: %(default)s)",
    )
    parser.add_argument("--skip-corrupt", action="store_true", help="skip corrupt parts of logs with a warning")
    parser.add_argument(
        "--cache-size",
        metavar="SIZE",
        type=size,
        default=1 << 30,
        help="memory for decoded rows, like 500M (default: 1G)",
    )
    parser.add_argument(
        "--export",
        choices=("finished", "all", "none"),
        default="finished",
        help="which runs have exported Parquet files (default: finished ones)",
    )
    parser.add_argument(
        "--live-rows",
        metavar="N",
        type=count,
        default=0,
        help="leave the last N rows of a run out of its export (default: 0)",
    )
    parser.add_argument(
        "--export-rows", metavar="N", type=count, default=1_000_000, help="rows in an exported file (default: 1000000)"
    )
    shown = parser.add_argument_group("simulation, for tests and planning")
    shown.add_argument(
        "--latency", metavar="TIME", type=duration, default=0.0, help="wait before each answer, like 50ms"
    )
    shown.add_argument("--rate-limit", metavar="N/s", type=rate, help="answer N requests a second, and 429 to more")
    shown.add_argument(
        "--fault",
        dest="faults",
        metavar="FAULT",
        action="append",
        default=[],
        help="KIND[@OPERATION][:every=N|first=N|at=N,N|rate=P]; KIND is an HTTP status, truncate or errors",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print each request")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command, until it is stopped.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: An argument makes no sense, or the extra is not installed.
        HistoryError: A file can't be served, or the server would be open to others.
        OSError: A path is not there, or the address can't be listened at.
    """
    try:
        import graphql  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(f"`histscan serve` needs {error.name}: pip install 'histscan[serve]'") from error
    from histscan.server.settings import ServerSettings
    from histscan.server.simulation import parse_fault
    from histscan.server.startup import serve

    if arguments.export_rows < 1:
        raise UsageError("--export-rows must be 1 or more")
    if arguments.port > 65_535:
        raise UsageError("--port must be 65535 or less")
    try:
        faults = tuple(parse_fault(text) for text in arguments.faults)
    except ValueError as error:
        raise UsageError(str(error)) from error
    settings = ServerSettings(
        paths=arguments.paths,
        host=arguments.host,
        port=arguments.port,
        api_key=arguments.api_key or os.environ.get(KEY_VARIABLE) or None,
        entity=arguments.entity,
        project=arguments.project,
        skip_corrupt=arguments.skip_corrupt,
        cache_size=arguments.cache_size,
        export=arguments.export,
        live_rows=arguments.live_rows,
        export_rows=arguments.export_rows,
        latency=arguments.latency,
        rate_limit=arguments.rate_limit,
        faults=faults,
        verbose=arguments.verbose,
    )
    # That is how servers are ended.
    with suppress(KeyboardInterrupt, StoppedBySignal):
        serve(settings, lambda line: print(line, flush=True))
    return SUCCEEDED


def duration(text: str) -> float:
    """Reads a time from the command line.

    Args:
        text: Like ``50ms``, ``1.5s`` or ``0.2``.

    Returns:
        Seconds.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give one like 50ms or 1.5s")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def rate(text: str) -> float:
    """Reads a rate from the command line.

    Args:
        text: Like ``20/s`` or ``300/m``.

    Returns:
        How many a second.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(?:/\s*(s|m|))?", text)
    per_second = float(found[1]) / (60 if found[2] == "m" else 1) if found is not None else 0.0
    if per_second <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: give one like 20/s or 300/m")
    return per_second


def size(text: str) -> int:
    """Reads a number of bytes from the command line.

    Args:
        text: Like ``500M`` or ``2G``.

    Returns:
        Bytes.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    found = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give one like 500M or 2G")
    return int(found[1]) * _SIZES[found[2].upper()]
