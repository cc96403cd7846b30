"""Hints for mistakes on the command line that an error alone does not explain."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from histscan.cli.exit_codes import UsageError

__all__ = ["add_hint"]


def add_hint(error: UsageError | FileNotFoundError, typed: Sequence[str]) -> None:
    """Adds to an error about a word that it was meant as another key: ``-k a b`` for ``-k a -k b``.

    Args:
        error: The error: words that no command takes, or a file that does not exist.
        typed: The arguments of the command.
    """
    for place in range(1, len(typed) - 1):
        if typed[place - 1] not in ("-k", "--key") or typed[place + 1].startswith("-"):
            continue
        others = []
        for word in typed[place + 1 :]:
            if word.startswith("-") or os.path.lexists(word):
                break
            others.append(word)
        if not any(_names(error, word) for word in others):
            continue
        keys = " ".join(f"-k {shlex.quote(key)}" for key in typed[place : place + 1 + len(others)])
        hint = f"-k takes one key; for more keys, repeat it: {keys}"
        if isinstance(error, FileNotFoundError) and error.strerror is not None:
            error.strerror = f"{error.strerror}; {hint}"
        else:
            error.args = (f"{error}; {hint}",)
        return


def _names(error: UsageError | FileNotFoundError, word: str) -> bool:
    """Returns True if an error is about a word."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return os.fsdecode(error.filename) == word
    text = str(error)
    return (text.startswith("unrecognized arguments") and word in text) or repr(word) in text
