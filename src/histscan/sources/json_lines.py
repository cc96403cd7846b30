"""Reads the lines of JSON Lines files, in windows of bytes."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from histscan.common.quiet import warn_of_file
from histscan.errors import HistoryDecodeError, LogTruncatedWarning
from histscan.sources.files import read_windows
from histscan.sources.limits import MAX_ANSWER, readable_size

__all__ = ["Lines", "line_start", "read_lines"]

_BLANK = b" \t\r"


class Lines(NamedTuple):
    """Consecutive lines.

    Attributes:
        number: The number of the first line, from 1.
        texts: The lines, as they are in the file: whether they are UTF-8 is seen when they are read.
    """

    number: int
    texts: list[bytes]


def read_lines(
    path: Path,
    *,
    is_row: Callable[[bytes], bool],
    limit: int | None = None,
    watch: Callable[[int], object] | None = None,
) -> Iterator[Lines]:
    """Reads the lines of a file that are not blank.

    Args:
        path: The file; plain, or compressed with gzip or zstd.
        is_row: Returns True if a text is a valid row: a last line without a line break is complete if it is one.
        limit: Bytes to read; None for all.
        watch: Called with the number of bytes read, before each window.

    Yields:
        Lines that start with a brace.

    Raises:
        HistoryDecodeError: A line is not a JSON object, or is too long; the lines before it have been yielded.
        OSError: The file can't be read.

    Warns:
        LogTruncatedWarning: The file ends within a row.
    """
    number = 1
    begun: list[bytes] = []  # the beginning of a line, until its end is read
    begun_length = 0
    longest = MAX_ANSWER.find()
    for window, _ in read_windows(path, limit=limit, watch=watch):
        block, end, rest = bytes(window).rpartition(b"\n")
        if end:
            block = b"".join([*begun, block])
            begun.clear()
            yield from _split(block, number)
            number += block.count(b"\n") + 1
        begun.append(rest)
        begun_length = len(rest) if end else begun_length + len(rest)
        if begun_length > longest:
            raise HistoryDecodeError(
                f"it is longer than {readable_size(longest)}B, decompressed: if it is a row, allow longer ones "
                f"with {MAX_ANSWER.variable}={readable_size(2 * longest)}",
                page=str(number),
                row=0,
            )
    last = b"".join(begun)
    if not last.strip(_BLANK):
        return
    if is_row(_without_mark(last, number) or b"{}"):
        yield from _split(last, number)
    else:
        warn_of_file(
            f"{path} ends within line {number}: it is still being written, or its writer was stopped. Every complete "
            "row was read",
            LogTruncatedWarning,
            stacklevel=2,
        )


def line_start(path: Path, number: int) -> int:
    """Finds a line in a file.

    Args:
        path: The file.
        number: The number of the line, from 1.

    Returns:
        The offset of the line; in compressed files, within the decompressed data.
    """
    place = 0
    for data, _ in read_windows(path):
        window = bytes(data)
        if window.count(b"\n") < number - 1:
            number -= window.count(b"\n")
            place += len(window)
            continue
        start = 0
        for _ in range(number - 1):
            start = window.index(b"\n", start) + 1
        return place + start
    return place


def _split(block: bytes, number: int) -> Iterator[Lines]:
    """Splits a block of lines at blank lines."""
    texts = _without_mark(block, number).split(b"\n")
    first = 0
    for place, text in enumerate(texts):
        if text.startswith(b"{") or (stripped := text.strip(_BLANK)).startswith(b"{"):
            continue
        if first < place:
            yield Lines(number + first, texts[first:place])
        if stripped:
            raise HistoryDecodeError("a row must be a JSON object", page=str(number + place), row=0)
        first = place + 1
    if first < len(texts):
        yield Lines(number + first, texts[first:])


def _without_mark(data: bytes, number: int) -> bytes:
    # Some programs write a byte order mark at the start of a file.
    return data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
