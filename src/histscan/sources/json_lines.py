"""Reads the lines of JSON Lines files, in windows of bytes."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path

from histscan.common.quiet import warn_of_file
from histscan.errors import HistoryDecodeError, LogTruncatedWarning
from histscan.sources.files import read_windows
from histscan.sources.limits import MAX_ANSWER, readable_size

__all__ = ["line_start", "read_lines"]

_BLANK = b" \t\r"


def read_lines(
    path: Path,
    *,
    is_row: Callable[[bytes], bool],
    limit: int | None = None,
    watch: Callable[[int], object] | None = None,
) -> Iterator[bytes]:
    """Reads the lines of a file.

    Args:
        path: The file; plain, or compressed with gzip or zstd.
        is_row: Returns True if a text is a valid row: a last line without a line break is complete if it is one.
        limit: Bytes to read; None for all.
        watch: Called with the number of bytes read, before each window.

    Yields:
        Consecutive lines as they are in the file, with a line break between each two, the blank ones too. Whether they
        are rows is seen when they are read.

    Raises:
        HistoryDecodeError: A line is too long; the lines before it have been yielded.
        OSError: The file can't be read.

    Warns:
        LogTruncatedWarning: The file ends within a row.
    """
    place = 0  # where the line begins that is not complete
    begun: list[bytes] = []  # what has been read of it
    begun_length = 0
    longest = MAX_ANSWER.find()
    for window, _ in read_windows(path, limit=limit, watch=watch):
        data = bytes(window)
        end = data.rfind(b"\n")
        if end >= 0:
            lines = b"".join([*begun, memoryview(data)[:end]])
            begun.clear()
            yield _without_mark(lines, place)
            place += len(lines) + 1
            begun_length = 0
        begun.append(data[end + 1 :])
        begun_length += len(begun[-1])
        if begun_length > longest:
            raise HistoryDecodeError(
                f"it is longer than {readable_size(longest)}B, decompressed: if it is a row, allow longer ones "
                f"with {MAX_ANSWER.variable}={readable_size(2 * longest)}",
                page=str(_line_number(path, place)),
                row=0,
            )
    last = b"".join(begun)
    if not last.strip(_BLANK):
        return
    line = _without_mark(last, place)
    if is_row(line or b"{}"):
        yield line
    else:
        number = _line_number(path, place)
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


def _line_number(path: Path, place: int) -> int:
    """Counts the lines up to the one that begins at an offset, as `line_start` counts both."""
    number = 1
    for data, _ in read_windows(path):
        window = bytes(data)[:place]
        number += window.count(b"\n")
        place -= len(window)
        if place <= 0:
            break
    return number


def _without_mark(data: bytes, place: int) -> bytes:
    # Some programs write a byte order mark at the start of a file.
    return data if place else data.removeprefix(codecs.BOM_UTF8)
