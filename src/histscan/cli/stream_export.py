"""``histscan export --stream``: exports system metrics and console output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from histscan.cli.exit_codes import UsageError
from histscan.cli.export_outcome import ExportOutcome
from histscan.cli.json_lines import JsonLineEncoder
from histscan.common.printable import printable

if TYPE_CHECKING:
    from histscan.runs.console import ConsoleLine
    from histscan.runs.contracts import Run

__all__ = ["CONSOLE", "HISTORY", "SYSTEM", "TEXT_FORMATS", "add_stream", "check_stream", "why_empty", "write_console"]

HISTORY, SYSTEM, CONSOLE = "history", "system", "console"

TEXT_FORMATS = {".txt": "text", ".log": "text"}

_NAMES = {SYSTEM: "system metrics", CONSOLE: "console output"}


def add_stream(parser: argparse.ArgumentParser) -> None:
    """Declares --stream.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--stream",
        choices=(HISTORY, SYSTEM, CONSOLE),
        default=HISTORY,
        help="what to write: the history (default); the system metrics, a row every few seconds (system); or the "
        "console output, as text or JSON Lines (console)",
    )


def check_stream(arguments: argparse.Namespace, file_format: str) -> None:
    """Rejects options that do not apply to the stream, before anything is read.

    Args:
        arguments: The parsed command line.
        file_format: The format.

    Raises:
        UsageError: An option does not apply to the stream.
    """
    stream: str = arguments.stream
    if stream == CONSOLE and file_format not in ("jsonl", "text"):
        raise UsageError(f"console output can't be written as {file_format}: use .txt, .log or .jsonl")
    if stream != CONSOLE and file_format == "text":
        raise UsageError("only console output can be text: add --stream console, or use .jsonl, .csv or .parquet")
    if stream == HISTORY:
        return
    if arguments.min_step or arguments.max_step is not None:
        raise UsageError(f"--min-step and --max-step apply to the history, not to {_NAMES[stream]}: leave them out")
    if arguments.source is not None:
        raise UsageError(f"--source applies to the history, not to {_NAMES[stream]}: leave it out")
    if stream == CONSOLE and arguments.keys:
        raise UsageError("console output has no keys: leave out --key")


def why_empty(run: Run, arguments: argparse.Namespace) -> str:
    """Says why a stream other than the history is empty.

    Args:
        run: The run.
        arguments: The parsed command line.

    Returns:
        The text of a warning.
    """
    from histscan.runs.history_files import HistoryFileRun

    if isinstance(run, HistoryFileRun):
        return f"files of a history have no {_NAMES[arguments.stream]}: read them from the run itself"
    if arguments.stream == SYSTEM and arguments.keys:
        return f"no row of system metrics has all of the keys {', '.join(arguments.keys)}; keys begin with 'system.'"
    return f"the run has no {_NAMES[arguments.stream]}"


def write_console(lines: Iterable[ConsoleLine], output: BinaryIO, file_format: str, goal: object) -> ExportOutcome:
    """Writes console output.

    Args:
        lines: The lines.
        output: The binary file to write to.
        file_format: ``"text"``, or ``"jsonl"`` for objects with ``time``, ``stream`` and ``text``.
        goal: The file; None for standard output. If that is a terminal, control characters other than tabs are escaped.

    Returns:
        What was written.
    """
    encode = JsonLineEncoder().encode
    is_shown = goal is None and sys.stdout.isatty()
    count = 0
    for count, (text, stream, time) in enumerate(lines, 1):  # noqa: B007 - the count is used after the loop
        if file_format == "jsonl":
            output.write(encode({"time": time and time.isoformat(), "stream": stream, "text": text}))
        else:
            shown = "\t".join(map(printable, text.split("\t"))) if is_shown else text
            output.write(shown.encode("utf-8", "backslashreplace") + b"\n")
    return ExportOutcome(count, None, None, None, None, thing="line")
