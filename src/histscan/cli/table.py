"""Formats tables of text that fit a terminal."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from histscan.common.printable import printable

__all__ = ["GAP", "clip", "column_widths", "fitting_columns", "render", "table_width", "terminal_width", "text_width"]

GAP = "  "


def terminal_width() -> int | None:
    """Returns the maximum width of the output.

    Returns:
        The terminal's columns; None if standard output is a file or a pipe, which takes any width.
    """
    if not sys.stdout.isatty():
        return None
    try:
        # Some terminals do not know their width, and report 0.
        return int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def text_width(text: str) -> int:
    """Returns the width of a text on a terminal: East Asian wide characters take two columns, combining accents none.

    Args:
        text: The text, printable.

    Returns:
        The number of columns.
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "FW" else 1 for char in text
    )


def clip(text: str, width: int) -> str:
    """Makes one printable line of a text, cut to a width.

    Args:
        text: Any text.
        width: The maximum width in columns, at least 1.

    Returns:
        The text, which ends in an ellipsis if it was cut.
    """
    # Escaping only makes a text longer, so a text of megabytes need not be escaped to its end.
    line = printable(text[: width + 1])
    if text_width(line) <= width:
        return line
    while text_width(line) > width - 1:
        line = line[:-1]
    return f"{line}…"


def fitting_columns(widths: Sequence[int], width: int | None) -> int:
    """Returns how many columns of a table fit a width.

    Args:
        widths: The width of each column.
        width: The maximum width of the table; None for any width.

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
    """Returns the width of each column of a table.

    Args:
        rows: The cells of each row.

    Returns:
        The width of each column.
    """
    return [max(map(text_width, column)) for column in zip(*rows, strict=True)]


def table_width(rows: Iterable[Sequence[str]]) -> int:
    """Returns the width of a table.

    Args:
        rows: The cells of each row.

    Returns:
        The width of its lines.
    """
    widths = column_widths(rows)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def render(rows: Sequence[Sequence[str]], aligned_right: Sequence[bool]) -> list[str]:
    """Aligns a table.

    Args:
        rows: The cells of each row, the header first.
        aligned_right: For each column, True to align its cells right, as for numbers.

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
