"""Messages on standard error: one line each, without terminal escape sequences."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Literal

from histscan.common.printable import printable

__all__ = ["say", "warn"]


def warn(message: str) -> None:
    """Prints a warning.

    Args:
        message: The warning, without a prefix.
    """
    say("warning", message)


def say(kind: Literal["warning", "error"], message: str) -> None:
    """Prints one line to standard error, and overwrites a progress bar if there is one.

    Args:
        kind: The prefix of the line.
        message: The message; unprintable characters are escaped.
    """
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    with suppress(OSError):
        print(f"{start}histscan: {kind}: {printable(message)}", file=sys.stderr, flush=True)
