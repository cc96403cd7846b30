"""Text from logs, servers and paths, made safe to print: names may hold terminal escape sequences."""

from __future__ import annotations

import re

__all__ = ["UNPRINTABLE", "printable"]

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line and paragraph separators, bidirectional marks and overrides, and lone surrogates."""


def printable(text: str) -> str:
    r"""Escapes the characters that a terminal or a page must not get: a line break becomes ``\n``.

    Args:
        text: Any text.

    Returns:
        The text as one line that UTF-8 can encode.
    """
    return UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
