"""HTML that is readable in light and dark themes: colours are the notebook's own, and everything is escaped.

Styles are in the elements themselves, because notebooks and their viewers remove style sheets.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from histscan.common.printable import printable

__all__ = ["Markup", "block", "note", "pairs", "show", "table"]

_LINE = "rgba(128,128,128,.35)"
_BORDERS = f"padding:2px 12px 2px 0;border:0;border-bottom:1px solid {_LINE}"
_CELL = f"{_BORDERS};text-align:left;vertical-align:middle;white-space:nowrap"
_LONGEST = 80


class Markup(str):
    """Text that is HTML already. Anything else is escaped."""

    __slots__ = ()


def show(value: object, longest: int = _LONGEST) -> Markup:
    """Escapes a value.

    Args:
        value: Any text, from a log or a server; or `Markup`, which is kept.
        longest: The largest number of characters.

    Returns:
        One line, which ends in an ellipsis if it was cut.
    """
    if isinstance(value, Markup):
        return value
    # Cut before characters are replaced, because a value may have megabytes.
    line = printable(str(value)[: longest + 1])
    return Markup(html.escape(line if len(line) <= longest else f"{line[: longest - 1]}…"))


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Markup:
    """Makes a table.

    Args:
        header: The names of the columns; empty for none.
        rows: The cells.
    """
    head = "".join(f'<th style="{_CELL};font-weight:600;background:none">{show(name)}</th>' for name in header)
    body = "".join(
        f'<tr style="background:none">{"".join(f"""<td style="{_CELL}">{show(cell)}</td>""" for cell in row)}</tr>'
        for row in rows
    )
    top = f"<thead><tr>{head}</tr></thead>" if header else ""
    return Markup(f'<table style="border-collapse:collapse;margin:4px 0 8px">{top}<tbody>{body}</tbody></table>')


def pairs(entries: Iterable[tuple[str, object]]) -> Markup:
    """Makes a table of names and values.

    Args:
        entries: The names and values.
    """
    return table((), ((Markup(f"<b>{show(name)}</b>"), value) for name, value in entries))


def note(text: str) -> Markup:
    """Makes a line in small print.

    Args:
        text: The text.
    """
    return Markup(f'<div style="opacity:.7;font-size:90%">{show(text, 400)}</div>')


def block(title: object, *parts: Markup) -> str:
    """Joins parts to what a notebook shows of an object.

    Args:
        title: The heading.
        *parts: What follows.
    """
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;overflow-x:auto">'
        f'<div style="font-weight:600;font-size:110%">{show(title, 200)}</div>{"".join(parts)}</div>'
    )
