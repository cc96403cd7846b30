"""``histscan serve``: serves local runs to the wandb client as a W&B server."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from histscan.cli.exit_codes import INTERRUPTED, SUCCEEDED, StoppedBySignal, UsageError
from histscan.cli.run_argument import count
from histscan.common.install_hint import install_hint
from histscan.server.limits import DEFAULT_LIMITS, limits_of

__all__ = ["declare", "run"]

DEFAULT_PORT = 8090
KEY_VARIABLE = "HISTSCAN_API_KEY"

DESCRIPTION = """\
Serve local runs to the wandb client: scripts that use wandb.Api() list, open and
scan them as on a W&B server. Set the two environment variables that are printed at
the start in the shell of the script; a browser lists the runs at /. Needs graphql-core,
starlette and uvicorn; Parquet files also need pyarrow.
"""

EXAMPLES = """\
examples:
  histscan serve wandb/
  histscan serve run-abc.wandb exports/ --port 9000
  histscan serve wandb/ --latency 50ms --rate-limit 20/s --fault 503@HistoryPage:every=10

Folders are searched recursively. A log is served with the folder files/ beside it,
which wandb writes; no other files are served. The server is read-only. Runs recorded
without an entity or project get those of --entity and --project. GET /traffic
returns counts of the requests, DELETE /traffic resets them.
"""

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        type=Path,
        help=".wandb file, exported Parquet file, or folder of them",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port",
        metavar="N",
        type=count,
        default=DEFAULT_PORT,
        help=f"port to listen on; 0 for a free one (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"API key that clients must send; the environment variable {KEY_VARIABLE} hides it from other users",
    )
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificate for https, in PEM format")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its private key, if it is in another file")
    parser.add_argument(
        "--allow-http", action="store_true", help="accept the API key over http from other machines, as behind a proxy"
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
        help="memory for cached rows, such as 500M (default: 1G)",
    )
    parser.add_argument(
        "--export",
        choices=("finished", "all", "none"),
        default="finished",
        help="runs whose history is exported to Parquet files (default: finished)",
    )
    parser.add_argument(
        "--live-rows",
        metavar="N",
        type=count,
        default=0,
        help="leave the last N rows of a run out of the exported files (default: 0)",
    )
    parser.add_argument(
        "--export-rows", metavar="N", type=count, default=1_000_000, help="rows per exported file (default: 1000000)"
    )
    shown = parser.add_argument_group("simulation, for tests and planning")
    shown.add_argument(
        "--latency", metavar="TIME", type=duration, default=0.0, help="delay before each response, such as 50ms"
    )
    shown.add_argument("--rate-limit", metavar="N/s", type=rate, help="allow N requests a second; others get HTTP 429")
    shown.add_argument(
        "--fault",
        dest="faults",
        metavar="FAULT",
        action="append",
        default=[],
        help="KIND[@OPERATION][:every=N|first=N|at=N,N|rate=P]; KIND is an HTTP status, truncate or errors",
    )
    parser.add_argument(
        "--limit",
        dest="limits",
        metavar="NAME=N",
        action="append",
        default=[],
        help=f"limit of what a client may request; repeatable (defaults: {DEFAULT_LIMITS})",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print each request")


def run(arguments: argparse.Namespace) -> int:
    """Runs the server until it is stopped.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: An argument is invalid, or a required package is not installed.
        HistoryError: A file can't be served, the certificate can't be used, or other machines could reach the server
            without an API key, or without TLS.
        OSError: A path does not exist, or the server can't listen on the address.
    """
    try:
        import graphql  # noqa: F401
        import httptools  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(f"`histscan serve` needs {error.name}: {install_hint('serve')}") from error
    from histscan.server.settings import ServerSettings
    from histscan.server.simulation import parse_fault
    from histscan.server.startup import serve

    if arguments.export_rows < 1:
        raise UsageError("--export-rows must be 1 or more")
    if arguments.port > 65_535:
        raise UsageError("--port must be 65535 or less")
    try:
        faults = tuple(parse_fault(text) for text in arguments.faults)
        limits = limits_of(arguments.limits)
    except ValueError as error:
        raise UsageError(str(error)) from error
    settings = ServerSettings(
        paths=arguments.paths,
        host=arguments.host,
        port=arguments.port,
        api_key=arguments.api_key or os.environ.get(KEY_VARIABLE) or None,
        tls_cert=arguments.tls_cert,
        tls_key=arguments.tls_key,
        allow_http=arguments.allow_http,
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
        limits=limits,
    )
    # Ctrl-C and SIGTERM are the normal ways to stop a server, so that neither is reported as an error.
    try:
        serve(settings, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        return INTERRUPTED
    except StoppedBySignal:
        pass
    return SUCCEEDED


def duration(text: str) -> float:
    """Parses a duration.

    Args:
        text: The argument, like ``50ms``, ``1.5s`` or ``0.2``.

    Returns:
        Seconds.

    Raises:
        argparse.ArgumentTypeError: The text is no duration.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 50ms or 1.5s")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def rate(text: str) -> float:
    """Parses a rate.

    Args:
        text: The argument, like ``20/s`` or ``300/m``.

    Returns:
        The rate per second.

    Raises:
        argparse.ArgumentTypeError: The text is no rate, or 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(?:/\s*(s|m|))?", text)
    per_second = float(found[1]) / (60 if found[2] == "m" else 1) if found is not None else 0.0
    if per_second <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate above 0 such as 20/s or 300/m")
    return per_second


def size(text: str) -> int:
    """Parses a size in bytes.

    Args:
        text: The argument, like ``500M`` or ``2G``.

    Returns:
        Bytes.

    Raises:
        argparse.ArgumentTypeError: The text is no size.
    """
    found = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500M or 2G")
    return int(found[1]) * _SIZES[found[2].upper()]
