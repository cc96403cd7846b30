"""``histscan completion``: prints a script that completes commands, options and paths in a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from histscan.cli.exit_codes import SUCCEEDED, UsageError
from histscan.common.install_hint import install_hint

__all__ = ["declare", "run"]

SHELLS = ("bash", "zsh", "fish")
# The arguments that are paths.
_PATHS = frozenset({"paths", "path", "output"})

DESCRIPTION = """\
Print a script that completes the commands, options and paths of histscan in a shell.
Load it in the shell's start-up file, or save it where the shell looks for such scripts.
Needs shtab to print the script, but not to use it.
"""

EXAMPLES = """\
examples:
  histscan completion bash > ~/.local/share/bash-completion/completions/histscan
  histscan completion zsh > ~/.zfunc/_histscan     # a folder in $fpath, before compinit
  histscan completion fish > ~/.config/fish/completions/histscan.fish
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments.

    Args:
        parser: The command's parser.
    """
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        arguments: The parsed command line.

    Returns:
        The exit code.

    Raises:
        UsageError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise UsageError(f"`histscan completion` needs shtab: {install_hint('completion')}") from error
    from histscan.cli.main import build_parser

    parser = build_parser()
    for action in _actions(parser):
        if action.dest in _PATHS:
            # shtab's way to say that an argument is a path.
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    sys.stdout.write(shtab.complete(parser, arguments.shell))
    return SUCCEEDED


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yields the actions of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
