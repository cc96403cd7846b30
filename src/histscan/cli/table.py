"""Tables of text that fit a terminal."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from histscan.cli.failures import printable

__all__ = ["clip", "fitting_columns", "render", "terminal_width"]

GAP = "  "


def terminal_width() -> int | None:
    """Tells how wide the output may be.

    Returns:
        The terminal's columns; None if the output goes to a file or a program, which takes any width.
    """
    if not sys.stdout.isatty():
        return None
    try:
        # Some terminals do not know how wide they are, and say 0.
        return int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def text_width(text: str) -> int:
    """Tells how many columns a text takes on a terminal: two for most East Asian characters, none for accents."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "FW" else 1 for char in text
    )


def clip(text: str, width: int) -> str:
    """Makes one printable line of a text, and cuts it where it gets too wide.

    Args:
        text: Any text.
        width: Columns it may take, at least 1.

    Returns:
        The text, which ends in an ellipsis if it was cut.
    """
    # Escapes only make a text longer, and one of some megabytes need not be escaped to its end.
    line = printable(text[: width + 1])
    if text_width(line) <= width:
        return line
    while text_width(line) > width - 1:
        line = line[:-1]
    return f"{line}…"


def fitting_columns(widths: Sequence[int], width: int | None) -> int:
    """Tells how many columns of a table fit.

    Args:
        widths: How wide each column is.
        width: How wide the table may be; None for any width.

    Returns:
        The number of columns from the left, at least 1.
    """
    if width is None:
        return len(widths)
    used = -len(GAP)
    for number, column_width in enumerate(widths):
        used += column_width + len(GAP)
        if used > width:
            return max(number, 1)
    return len(widths)


def column_widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """Tells how wide each column of a table is."""
    return [max(map(text_width, column)) for column in zip(*rows, strict=True)]


def render(rows: Sequence[Sequence[str]], aligned_right: Sequence[bool]) -> list[str]:
    """Aligns a table.

    Args:
        rows: The cells of each row, the header first.
        aligned_right: For each column, whether its cells end at one edge, as those of numbers should.

    Returns:
        A line for each row.
    """
    widths = column_widths(rows)
    return [
        GAP.join(
            " " * (width - text_width(cell)) + cell if right else cell + " " * (width - text_width(cell))
            for cell, width, right in zip(row, widths, aligned_right, strict=True)
        ).rstrip()
        for row in rows
    ]
