"""Text from logs and requests, made safe to print: names may hold what a terminal obeys."""

from __future__ import annotations

import re

__all__ = ["UNPRINTABLE", "printable"]

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line breaks, what changes the direction of text, and lone surrogates."""


def printable(text: str) -> str:
    """Escapes what must not reach a terminal or a page.

    Args:
        text: The text.

    Returns:
        One line, which can be encoded as UTF-8.
    """
    return UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
