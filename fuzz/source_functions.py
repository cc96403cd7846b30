"""Finds the functions of the core's sources: which one a line belongs to, and which ones there are."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["Functions"]

_CYTHON = re.compile(
    r" *(?:cdef +class|class) +(?P<type>\w+)|(?: *)(?:cpdef|cdef|def) (?P<head>[^=(]*?)(?P<name>\w+)\("
)
_CPLUSPLUS = re.compile(
    r"^( *)(?!return\b|else\b|if\b|for\b|while\b|switch\b|case\b|//|using\b|static_assert)"
    r"[\w:<>,&*~ ]*?\b(operator\S+|~?\w+)\("
)
_CLASS = re.compile(r"^( *)(?:template .*)?(?:class|struct) (\w+)[^;]*\{")


class Functions:
    """The functions of the core.

    Args:
        root: The folder that has `_core`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def at(self, source: str, line: int) -> str | None:
        """Returns the name of the function that a line belongs to, with its class; None for a line between functions.

        Args:
            source: The source, below the root.
            line: The line, from 1.
        """
        found = None
        for begin, end, name in functions_of(self._root / source):
            if begin <= line <= end:
                found = name
        return found

    def of(self, source: str) -> list[tuple[int, int, str]]:
        """Returns the first and the last line of each function of a source, and its name.

        Args:
            source: The source, below the root.
        """
        return functions_of(self._root / source)

    def texts(self) -> dict[str, str]:
        """Returns the lines of each function by its name; of several with the same name, of all."""
        found: dict[str, str] = {}
        for path in self._paths():
            lines = path.read_text().splitlines()
            for begin, end, name in functions_of(path):
                found[name] = "\n".join([found.get(name, ""), *lines[begin - 1 : end]])
        return found

    def _paths(self) -> list[Path]:
        return [path for pattern in ("*.pyx", "*.pxd", "*.hpp") for path in (self._root / "_core").rglob(pattern)]


@cache
def functions_of(path: Path) -> list[tuple[int, int, str]]:
    """Returns the first and the last line of each function, and its name; inner ones after outer ones."""
    lines = path.read_text().splitlines()
    is_cython = path.suffix in (".pyx", ".pxd")
    found: list[tuple[int, int, str]] = []
    classes: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        indent = len(line) - len(line.lstrip())
        if line.strip() and not line.lstrip().startswith(("}", ")", "#", "//", "public:", "private:")):
            classes = [known for known in classes if known[0] < indent]
        if is_cython:
            matched = _CYTHON.match(line)
            if matched is None:
                continue
            if matched["type"]:
                classes.append((indent, matched["type"]))
                continue
            head = _last_of_head(lines, number)
            if head is None:
                continue
            own, end = matched["name"], _end_by_indent(lines, head, indent)
        else:
            if opened := _CLASS.match(line):
                classes.append((indent, opened[2]))
                continue
            matched = _CPLUSPLUS.match(line)
            if not matched or len(matched[1]) > (4 if classes else 0):
                continue
            last = _end_by_braces(lines, number)
            if last is None:
                continue
            own, end = matched[2], last
        found.append((number, end, ".".join([*(known for _, known in classes), own])))
    return found


def _last_of_head(lines: list[str], begin: int) -> int | None:
    """Returns the last line of the head of a function of Cython; None if it is only declared."""
    depth = 0
    for number in range(begin - 1, len(lines)):
        depth += lines[number].count("(") - lines[number].count(")")
        if depth == 0:
            return number + 1 if lines[number].partition("#")[0].rstrip().endswith(":") else None
    return None


def _end_by_indent(lines: list[str], head: int, indent: int) -> int:
    """Returns the last line of a function of Cython, whose head ends in a line."""
    end = head
    for number in range(head, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        if line.strip():
            end = number + 1
    return end


def _end_by_braces(lines: list[str], begin: int) -> int | None:
    """Returns the last line of a function of C++; None if it is only declared."""
    depth = 0
    for number in range(begin - 1, min(len(lines), begin + 400)):
        text = re.sub(r'"(?:\\.|[^"])*"|\'(?:\\.|[^\'])+\'|//.*', "", lines[number])
        for letter in text:
            if letter == "{":
                depth += 1
            elif letter == "}":
                depth -= 1
                if depth == 0:
                    return number + 1
            elif letter == ";" and depth == 0:
                return None
    return None
