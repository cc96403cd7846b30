"""Converts console output to the lines that a terminal finally shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

__all__ = ["ConsoleLine", "TerminalScreen", "terminal_lines"]


class ConsoleLine(NamedTuple):
    """A line of console output.

    Attributes:
        text: The line, without its line break.
        stream: ``"stdout"`` or ``"stderr"``.
        time: When it was last written to, in UTC; None if unknown.
    """

    text: str
    stream: str
    time: datetime | None


# Escape sequences (ECMA-48: CSI with parameters, strings such as window titles, and short ones), and control characters
# except the tab.
_CONTROL = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<command>[@-~])"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*[0-Z\\`-~]"
    r"|(?P<character>[\x00-\x08\x0a-\x1f\x7f-\x9f])"
)
# A sequence that the next piece of output may complete.
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)\Z")
_LONGEST_SEQUENCE = 4_096

_LIVE_LINES = 64
"""Lines that can still change after the cursor has moved up: about as many as a terminal shows."""

_WIDEST = 4_096
"""The last column that the cursor can be moved to; text may be longer."""

_LONGEST_LINE = 1 << 20
"""Longer lines are broken, so that output without line breaks cannot fill the memory. In characters."""


class _Line:
    """A line that can still change."""

    __slots__ = ("cells", "time")

    def __init__(self) -> None:
        self.cells: list[str] = []
        self.time: datetime | None = None


class TerminalScreen:
    """The part of a terminal's screen that a program can still change.

    Text after a carriage return or a backspace overwrites existing text, as progress bars do. Escape sequences that
    move the cursor or erase text are applied; colours and all other sequences are removed. A line is final when the
    cursor has left it. Once the cursor has moved up, as nested progress bars do, the last 64 lines can change instead.

    Args:
        stream: The stream that the lines belong to, ``"stdout"`` or ``"stderr"``.
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._lines = [_Line()]
        self._row = self._column = 0
        self._height = 1
        self._unfinished = ""

    def write(self, text: str, time: datetime | None) -> list[ConsoleLine]:
        """Writes text as a terminal would.

        Args:
            text: What the program wrote.
            time: When the program wrote it, in UTC; None if unknown.

        Returns:
            The lines that became final.
        """
        if self._unfinished:
            text, self._unfinished = self._unfinished + text, ""
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _LONGEST_SEQUENCE)) if "\x1b" in text else None
        if unfinished is not None:
            text, self._unfinished = text[: unfinished.start()], unfinished.group()
        final: list[ConsoleLine] = []
        start = 0
        for control in _CONTROL.finditer(text):
            if control.start() > start:
                self._put(text[start : control.start()], time)
            start = control.end()
            character = control["character"]
            if character == "\n":
                self._line_feed(final, time)
            elif character == "\r":
                self._column = 0
            elif character == "\b":
                self._column = max(self._column - 1, 0)
            elif control["command"]:
                self._obey(control["command"], control["parameters"])
        if start < len(text):
            self._put(text[start:], time)
            if len(self._lines[self._row].cells) > _LONGEST_LINE:
                self._row = len(self._lines) - 1
                self._line_feed(final, time)
        return final

    def finish(self) -> list[ConsoleLine]:
        """Ends the output.

        Returns:
            The lines that were not final yet, without empty ones at the end.
        """
        while self._lines and not self._lines[-1].cells:
            self._lines.pop()
        lines = [self._final(line) for line in self._lines]
        self._lines, self._row, self._column, self._unfinished = [_Line()], 0, 0, ""
        return lines

    def _put(self, text: str, time: datetime | None) -> None:
        line = self._lines[self._row]
        cells = line.cells
        if self._column > len(cells):
            cells.extend(" " * (self._column - len(cells)))
        cells[self._column : self._column + len(text)] = text
        self._column += len(text)
        line.time = time

    def _line_feed(self, final: list[ConsoleLine], time: datetime | None) -> None:
        line = self._lines[self._row]
        line.time = line.time or time
        self._column = 0
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append(_Line())
        while len(self._lines) > self._height and self._row > 0:
            final.append(self._final(self._lines.pop(0)))
            self._row -= 1

    def _obey(self, command: str, parameters: str) -> None:
        """Moves the cursor, or erases text."""
        digits = parameters.split(";")[0]
        number = min(int(digits[:9]), _WIDEST) if digits.isascii() and digits.isdigit() else 0
        steps = max(number, 1)
        if command in "AF":
            self._height = _LIVE_LINES
            self._row = max(self._row - steps, 0)
        elif command in "BE":
            self._row = min(self._row + steps, len(self._lines) - 1)
        elif command == "C":
            self._column = min(self._column + steps, max(_WIDEST, self._column))
        elif command == "D":
            self._column = max(self._column - steps, 0)
        elif command == "G":
            self._column = steps - 1
        elif command == "K":
            self._erase_in_line(number)
        elif command == "J" and number == 0:
            self._erase_in_line(0)
            del self._lines[self._row + 1 :]
        if command in "EF":
            self._column = 0

    def _erase_in_line(self, part: int) -> None:
        cells = self._lines[self._row].cells
        if part == 0:
            del cells[self._column :]
        elif part == 1:
            count = min(self._column + 1, len(cells))
            cells[:count] = " " * count
        else:
            cells.clear()

    def _final(self, line: _Line) -> ConsoleLine:
        return ConsoleLine("".join(line.cells).rstrip(" "), self._stream, line.time)


def terminal_lines(pieces: Iterable[ConsoleLine]) -> Iterator[ConsoleLine]:
    """Converts pieces of output to lines, each stream by itself, in bounded memory.

    Args:
        pieces: The output in pieces, as it was written.

    Yields:
        Each line as soon as it is final.
    """
    screens: dict[str, TerminalScreen] = {}
    for text, stream, time in pieces:
        screen = screens.get(stream)
        if screen is None:
            screen = screens[stream] = TerminalScreen(stream)
        yield from screen.write(text, time)
    for screen in screens.values():
        yield from screen.finish()
