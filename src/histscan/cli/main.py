"""The ``histscan`` command: its arguments, and which module each of its commands is in."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from histscan._version import __version__
from histscan.cli import export, head, info, plot, run_script, serve
from histscan.cli.exit_codes import UsageError, run_guarded

__all__ = ["build_parser", "main"]

COMMANDS = {
    "export": (export, "write a run's history to a file: JSON Lines, CSV, Parquet or Arrow"),
    "head": (head, "show the first rows of a run's history"),
    "info": (info, "show what a run is, and which keys its history has"),
    "plot": (plot, "draw curves of a run's history as a picture"),
    "run": (run_script, "run a script that uses wandb, with histscan reading its history"),
    "serve": (serve, "serve recorded runs as a W&B server, for the real wandb client"),
}

DESCRIPTION = """\
Read the history of Weights & Biases runs, fast.

A run is given as its .wandb file or the folder that holds it, or as the Parquet
files of its history; no server and no account is needed then. Or it is given as
entity/project/run_id, and read from the W&B server that the environment variables
WANDB_BASE_URL and WANDB_API_KEY name (https://api.wandb.ai, and the key in netrc,
without them).
"""

EPILOG = """\
examples:
  histscan info wandb/offline-run-20260131_120000-abc
  histscan head run-abc.wandb -k loss -k validation.accuracy
  histscan export run-abc.wandb -o history.parquet
  histscan info my-team/my-project/1a2b3c4d
  histscan plot run-abc.wandb -k loss -k validation.loss --smooth -o loss.png

`histscan COMMAND --help` tells more about a command. The exit code is 0 on
success, 1 if something went wrong, 2 if the command line makes no sense.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others of the command."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def build_parser() -> argparse.ArgumentParser:
    """Declares the whole command line.

    Returns:
        The parser. What it parses has the module of the command in ``command``.
    """
    # So that it can be given before and after the command.
    debug = _Parser(add_help=False)
    debug.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback when something goes wrong"
    )
    parser = _Parser(prog="histscan", description=DESCRIPTION, epilog=EPILOG, parents=[debug], allow_abbrev=False)
    parser.add_argument(
        "--version", action="version", version=f"histscan {__version__}", help="show the version and exit"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, parents=[debug], allow_abbrev=False)
        module.declare(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: What follows the command's name on the command line; None for what the process was given.

    Returns:
        The exit code: 0 on success, 1 if something went wrong, 2 if the command line makes no sense, 130 after Ctrl-C.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    if typed[:1] == ["run"]:
        # What follows is the script's, and so is the process: nothing of this command may stand around it.
        return run_script.run_command(typed[1:])
    _prepare_output()

    def run_command() -> int:
        parsed = build_parser().parse_args(typed)
        code: int = parsed.run(parsed)
        return code

    return run_guarded(run_command, debug="--debug" in typed)


def _prepare_output() -> None:
    """Sees to it that whatever is in a log can be printed."""
    # A process may be started with its output closed.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
