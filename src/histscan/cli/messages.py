"""Messages to people on standard error: one line each, and nothing in them that a terminal would obey."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from typing import Literal

__all__ = ["printable", "say", "warn"]

# Control characters, breaks of lines and paragraphs, lone surrogates, and marks that turn the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Escapes what a terminal would obey instead of show: a line break becomes ``\n``.

    Args:
        text: What a log or a path holds, which may be anything.

    Returns:
        The text as one line, with control characters, line breaks, lone surrogates and such escaped.
    """
    return _UNPRINTABLE.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def warn(message: str) -> None:
    """Prints a warning.

    Args:
        message: The warning, without a prefix.
    """
    say("warning", message)


def say(kind: Literal["warning", "error"], message: str) -> None:
    """Prints one line to standard error, over a progress bar that may be there.

    Args:
        kind: What kind of message it is, which stands before it.
        message: The message.
    """
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    with suppress(OSError):
        print(f"{start}histscan: {kind}: {printable(message)}", file=sys.stderr, flush=True)
