"""The ``histscan`` command: parses arguments and dispatches to the module of each subcommand."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from histscan.cli import (
    cache,
    completion,
    export,
    head,
    info,
    list_keys,
    list_runs,
    mirror,
    plot,
    run_script,
    serve,
    tail,
)
from histscan.cli.exit_codes import UsageError, run_guarded
from histscan.cli.hints import add_hint

__all__ = ["build_parser", "main"]

COMMANDS = {
    "cache": (cache, "show, clear or limit the cache of exported histories"),
    "completion": (completion, "print a script that completes commands and options in a shell"),
    "export": (export, "write histories to files: JSON Lines, CSV, Parquet or Arrow"),
    "head": (head, "show the first rows of a history"),
    "info": (info, "describe one run or many, and the keys of their histories"),
    "keys": (list_keys, "list the keys of one run or many"),
    "mirror": (mirror, "copy the histories of many runs to Parquet files, and keep them up to date"),
    "plot": (plot, "plot keys of one run or many to a PNG, SVG or PDF file"),
    "run": (run_script, "run a script that uses wandb, with histscan reading the history"),
    "runs": (list_runs, "show a table of many runs"),
    "serve": (serve, "serve local runs to the wandb client as a W&B server"),
    "tail": (tail, "show the last rows of a run, and follow it while it runs"),
}

DESCRIPTION = """\
Read the history of Weights & Biases runs, fast.

A run can be a local .wandb file, the folder that holds it, or the Parquet files of
its history: these need no server and no account. A run can also be on a W&B server:
give entity/project/run_id. The environment variables WANDB_BASE_URL and
WANDB_API_KEY set the server and the API key; the defaults are https://api.wandb.ai
and the key in ~/.netrc.

Most commands take many runs, too: a folder of runs, a quoted pattern, several paths, or
entity/project or a sweep on a server.
"""

EPILOG = """\
examples:
  histscan info wandb/offline-run-20260131_120000-abc
  histscan head run-abc.wandb -k loss -k validation.accuracy
  histscan export run-abc.wandb -o history.parquet
  histscan info my-team/my-project/1a2b3c4d
  histscan plot run-abc.wandb -k loss -k validation.loss --smooth -o loss.png
  histscan runs my-team/my-project --filter '{"state": "finished"}'
  histscan export my-team/my-project -k 'val/*' -o all.parquet
  histscan tail wandb/latest-run

`histscan COMMAND --help` describes a command. The exit code is 0 on success,
1 on an error, 2 if the command line is invalid, 130 after Ctrl-C, and 128 + n after
signal n.
"""


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error as one line, as the rest of the command does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


class _ShowVersions(argparse.Action):
    """Prints the releases, and ends the command."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: Any) -> None:
        """Prints them on standard output."""
        from histscan.versions import describe_versions

        print(describe_versions())
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Builds the parser of the whole command line.

    Returns:
        The parser. Its namespaces hold the function of the subcommand in ``run``.
    """
    # --debug is accepted before and after the subcommand.
    debug = _Parser(add_help=False)
    debug.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error")
    parser = _Parser(prog="histscan", description=DESCRIPTION, epilog=EPILOG, parents=[debug], allow_abbrev=False)
    parser.add_argument(
        "--version", action=_ShowVersions, help="show the versions of histscan and of what it uses, and exit"
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
        arguments: The arguments after the command's name. None uses those of the process.

    Returns:
        The exit code: 0 on success, 1 on an error, 2 if the command line is invalid, 130 after Ctrl-C.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    if typed[:1] == ["run"]:
        # The remaining arguments and the process belong to the script: no guard of this command may wrap it.
        return run_script.run_command(typed[1:])
    _prepare_output()

    def run_command() -> int:
        try:
            parsed = build_parser().parse_args(typed)
            code: int = parsed.run(parsed)
        except (UsageError, FileNotFoundError) as error:
            add_hint(error, typed)
            raise
        return code

    return run_guarded(run_command, debug="--debug" in typed)


def _prepare_output() -> None:
    """Makes standard output and error accept any text, such as lone surrogates from a log."""
    # A process can start with its standard streams closed; Python sets them to None.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
