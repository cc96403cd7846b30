"""What no input reaches, by function and in the words of the source, and whether UNREACHED.md gives a reason for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fuzz.coverage import Coverage
from fuzz.source_functions import Functions
from fuzz.targets import FOLDER

__all__ = ["ALL", "UNREACHED", "as_quoted", "compare", "missed_items", "quoted_source", "read_reasons"]

UNREACHED = FOLDER / "UNREACHED.md"
"""Says of each line and each side of a condition that is not reached why, and what tests it."""

ALL = "all"
"""Stands for a function of which nothing is reached."""

_WITHOUT_TARGET = "_core/series/"
"""Reads no bytes of others, as the page says."""

_ENTRY = re.compile(r"^- `([^`]+)`: (.*)$", re.MULTILINE)
_ITEM = re.compile(rf"`([^`]+)`(?: \([\d, ]+ of \d+\))?(?: never \w+)?|\b{ALL}\b")


def read_reasons(text: str) -> dict[str, set[str]]:
    """Reads which functions UNREACHED.md names, and what of them.

    Args:
        text: The page.

    Returns:
        For each function, what is not reached, as in `missed_items`.
    """
    found: dict[str, set[str]] = {}
    for name, items in _ENTRY.findall(text):
        for item in _ITEM.finditer(items):
            found.setdefault(name, set()).add(item[0])
    return found


def as_quoted(source: str) -> str:
    """Returns source as items quote it: it has no backquotes."""
    return source.replace("`", "'")


def quoted_source(item: str) -> str:
    """Returns the source that an item quotes; "" for all of a function."""
    matched = _ITEM.match(item)
    assert matched is not None
    return (matched[1] or "").removesuffix(" …")


def missed_items(coverage: Coverage, root: Path) -> dict[str, set[str]]:
    """Returns what is not reached of each function for which there is a target.

    Args:
        coverage: What the inputs reach.
        root: The folder that has `_core`.

    Returns:
        By function: ``all``; the first of successive lines, in backquotes; or a condition, in backquotes, with ``never
        true``, ``never false`` or ``never evaluated``. What such a condition leads to is not named again.
    """
    functions = Functions(root)
    found: dict[str, set[str]] = {}
    by_source: dict[str, set[int]] = {}
    for source, line in coverage.missed():
        if not source.startswith(_WITHOUT_TARGET):
            by_source.setdefault(source, set()).add(line)
    for source, lines in by_source.items():
        text = (root / source).read_text().splitlines()
        unreached = _unreached_functions(coverage, source, functions)
        sides = _missed_sides(coverage, source, text)
        last = 0
        for line in sorted(lines):
            name = functions.at(source, line)
            if name is None:
                continue
            if name in unreached:
                found.setdefault(name, set()).add(ALL)
            elif line in sides:
                found.setdefault(name, set()).update(sides[line])
            elif not _follows(line, last, coverage, source):
                found.setdefault(name, set()).add(f"`{as_quoted(text[line - 1].strip())}`")
            last = line
    return found


def _unreached_functions(coverage: Coverage, source: str, functions: Functions) -> set[str | None]:
    """Returns the functions of a source of which no line behind their heads is reached."""
    heads = set() if source.endswith(".hpp") else {begin for begin, _, _ in functions.of(source)}
    reached = {
        functions.at(source, line)
        for (path, line), is_reached in coverage.lines.items()
        if path == source and is_reached and line not in heads
    }
    names: set[str | None] = {name for _, _, name in functions.of(source)}
    return names - reached


def _missed_sides(coverage: Coverage, source: str, text: list[str]) -> dict[int, list[str]]:
    """Returns the conditions of each line of which a side is not reached."""
    missed: dict[int, dict[tuple[str, str], list[int]]] = {}
    counts: dict[int, int] = {}
    for (path, line), column, condition in sorted(coverage.branches):
        if path != source:
            continue
        counts[line] = counts.get(line, 0) + 1
        was_true, was_false = coverage.branches[(source, line), column, condition]
        if coverage.lines.get((source, line), True) and not (was_true and was_false):
            never = "evaluated" if not was_true and not was_false else "true" if was_false else "false"
            # Of Cython, conditions are known by their numbers only.
            quoted = condition if source.endswith(".hpp") else text[line - 1].strip().rstrip(":{ ")
            missed.setdefault(line, {}).setdefault((quoted, never), []).append(column)
    found: dict[int, list[str]] = {}
    for line, sides in missed.items():
        for (quoted, never), columns in sides.items():
            is_part = not source.endswith(".hpp") and len(columns) < counts[line]
            which = f" ({', '.join(map(str, columns))} of {counts[line]})" if is_part else ""
            found.setdefault(line, []).append(f"`{as_quoted(quoted)}`{which} never {never}")
    return found


def _follows(line: int, last: int, coverage: Coverage, source: str) -> bool:
    """Returns True if there is no other line with code between two lines: what is missed of the first leads to it."""
    return bool(last) and not any((source, between) in coverage.lines for between in range(last + 1, line))


def compare(missed: dict[str, set[str]], reasons: dict[str, set[str]]) -> Iterator[str]:
    """Compares what is missed with what there is a reason for.

    Args:
        missed: From `missed_items`.
        reasons: From `read_reasons`.

    Yields:
        A line for each function in which they differ.
    """
    for name in sorted(missed.keys() | reasons.keys()):
        more, less = (
            missed.get(name, set()) - reasons.get(name, set()),
            reasons.get(name, set()) - missed.get(name, set()),
        )
        if more:
            yield f"- `{name}`: {'; '.join(sorted(more))} (no reason)"
        if less:
            yield f"- `{name}`: {'; '.join(sorted(less))} (is reached, or is not there)"
