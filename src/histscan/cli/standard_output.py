"""Standard output for rows: as they are in a file or a pipe, without control characters on a terminal."""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from histscan.common.printable import UNPRINTABLE

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["standard_output"]


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    r"""Opens standard output for UTF-8.

    Yields:
        The binary stream, which is flushed at the end. If it is a terminal, control characters and bidirectional
        overrides become ``\u001b``, which JSON reads as the same characters.
    """
    output = cast("BinaryIO", _Escaping(sys.stdout.buffer)) if sys.stdout.isatty() else sys.stdout.buffer
    yield output
    output.flush()


class _Escaping(io.BufferedIOBase):
    """A terminal that gets no control characters other than line breaks and tabs.

    Args:
        terminal: The stream.
    """

    def __init__(self, terminal: BinaryIO) -> None:
        self._terminal = terminal
        # A character may be written in two parts.
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        text = UNPRINTABLE.sub(_escape, self._decode(bytes(data)))
        self._terminal.write(text.encode())
        return len(memoryview(data))

    def flush(self) -> None:
        self._terminal.flush()


def _escape(found: re.Match[str]) -> str:
    char = found.group()
    return char if char in "\n\t" else f"\\u{ord(char):04x}"
