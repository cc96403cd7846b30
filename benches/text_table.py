"""Formats rows of cells as a text table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

__all__ = ["format_cells"]


def format_cells(
    headings: Sequence[str], rows: Iterable[Sequence[str]], right_aligned: Collection[int] = ()
) -> list[str]:
    """Formats a table: a header, a rule below it, and the rows.

    Args:
        headings: The header of each column.
        rows: The cells of each row.
        right_aligned: The indexes of right-aligned columns; others are left-aligned.

    Returns:
        The lines of the table.
    """
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [lines[0], ["─" * width for width in widths], *lines[1:]]
    return [
        "  ".join(
            cell.rjust(width) if column in right_aligned else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in ruled
    ]
