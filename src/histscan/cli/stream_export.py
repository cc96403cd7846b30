"""``histscan export --stream``: what a run has beside its history."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from histscan.cli.exit_codes import UsageError
from histscan.cli.export_outcome import ExportOutcome
from histscan.cli.json_lines import JsonLineEncoder
from histscan.cli.messages import printable

if TYPE_CHECKING:
    from histscan.cli.run_argument import AnyRun
    from histscan.runs.console import ConsoleLine

__all__ = ["CONSOLE", "HISTORY", "SYSTEM", "TEXT_FORMATS", "add_stream", "check_stream", "why_empty", "write_console"]

HISTORY, SYSTEM, CONSOLE = "history", "system", "console"

TEXT_FORMATS = {".txt": "text", ".log": "text"}

_NAMES = {SYSTEM: "system metrics", CONSOLE: "console output"}


def add_stream(parser: argparse.ArgumentParser) -> None:
    """Declares the choice of the stream.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--stream",
        choices=(HISTORY, SYSTEM, CONSOLE),
        default=HISTORY,
        help="what to write: the history (default); the system metrics, a row every few seconds (system); or what the "
        "program printed, as text or JSON Lines (console)",
    )


def check_stream(arguments: argparse.Namespace, file_format: str) -> None:
    """Refuses options that make no sense for the stream, before anything is read.

    Args:
        arguments: The parsed command line.
        file_format: The format.

    Raises:
        UsageError: They make none.
    """
    stream: str = arguments.stream
    if stream == CONSOLE and file_format not in ("jsonl", "text"):
        raise UsageError(f"console output is text or JSON Lines, not {file_format}: choose .txt, .log or .jsonl")
    if stream != CONSOLE and file_format == "text":
        raise UsageError("text is for console output: add --stream console, or choose .jsonl, .csv or .parquet")
    if stream == HISTORY:
        return
    if arguments.min_step or arguments.max_step is not None:
        raise UsageError(f"--min-step and --max-step are for the history, not for {_NAMES[stream]}: leave them out")
    if arguments.source is not None:
        raise UsageError(f"--source is for the history, not for {_NAMES[stream]}")
    if stream == CONSOLE and arguments.keys:
        raise UsageError("console output has no keys: leave out --key")


def why_empty(run: AnyRun, arguments: argparse.Namespace) -> str:
    """Says why a stream other than the history is empty.

    Args:
        run: The run.
        arguments: The parsed command line.

    Returns:
        A warning.
    """
    if hasattr(run, "schemas"):
        return f"Parquet files of a history have no {_NAMES[arguments.stream]}: read them from the run itself"
    if arguments.stream == SYSTEM and arguments.keys:
        return f"no row of system metrics has all of the keys {', '.join(arguments.keys)}; names begin with system."
    return f"the run has no {_NAMES[arguments.stream]}"


def write_console(lines: Iterable[ConsoleLine], output: BinaryIO, file_format: str, goal: object) -> ExportOutcome:
    """Writes console output.

    Args:
        lines: The lines.
        output: Where to write.
        file_format: ``"text"``, or ``"jsonl"`` for objects with ``time``, ``stream`` and ``text``.
        goal: The file; None for standard output. On a terminal, what it would obey is escaped.

    Returns:
        What was written.
    """
    encode = JsonLineEncoder().encode
    is_shown = goal is None and sys.stdout.isatty()
    count = 0
    for count, (text, stream, time) in enumerate(lines, 1):  # noqa: B007 - how many there were
        if file_format == "jsonl":
            output.write(encode({"time": time and time.isoformat(), "stream": stream, "text": text}))
        else:
            shown = "\t".join(map(printable, text.split("\t"))) if is_shown else text
            output.write(shown.encode("utf-8", "backslashreplace") + b"\n")
    return ExportOutcome(count, None, None, None, None, thing="line")
