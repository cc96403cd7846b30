"""Runs in JSON Lines files: one object per line, as ``histscan export`` and many other tools write them."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from histscan._core.pages.formats import TextPage
from histscan._core.pages.page import Page
from histscan.columns.scan import Pages
from histscan.common.keys import ABSENT, check_keys, find_value
from histscan.common.quiet import warn_of_file
from histscan.common.steps import STEP, UNBOUNDED, step_after
from histscan.errors import HistoryDecodeError, HistoryError, LogTruncatedWarning
from histscan.runs.contracts import Paths
from histscan.runs.file_scan import FileScan, ReadProgress
from histscan.runs.history_files import HistoryFileRun
from histscan.sources.files import read_windows

__all__ = ["JsonlRun", "JsonlScan"]

_BLANK = b" \t\r"


class JsonlRun(HistoryFileRun):
    """A run whose history is a JSON Lines file: plain, or compressed with gzip or zstd.

    Rows are what ``json.loads`` returns for the lines, including NaN and integers of any size. If ``_step`` of a row is
    missing, or not a whole number, its step is the one after that of the row before. The file may still be written:
    each scan reads its present contents.

    Args:
        path: The file, or a pattern that matches one file.

    Raises:
        FileNotFoundError: There is no such file.
        HistoryError: There are several such files.
    """

    def __init__(self, path: Paths) -> None:
        given = [path] if isinstance(path, str | os.PathLike) else list(path)
        self.files = [file for item in given for file in _find_files(Path(item))]
        if len(self.files) != 1:
            raise HistoryError(f"{given!r} matches {len(self.files)} JSON Lines files: pass the path of one of them")
        self.file = self.files[0]
        self.file_id = self.file.name.split(".jsonl")[0].split(".ndjson")[0]
        self.described = {}

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,  # noqa: ARG002 - a file is read in windows of bytes
        min_step: int = 0,
        max_step: int | None = None,
    ) -> JsonlScan:
        """See `Run.scan_history`. Rows come in the order of the lines."""
        stop_step = UNBOUNDED if max_step is None else max_step
        return JsonlScan(self.file, keys=check_keys(keys), min_step=min_step, stop_step=stop_step)


class _Lines(NamedTuple):
    """Consecutive lines: the number of the first, from 1, and their texts."""

    number: int
    texts: list[str]


class JsonlScan(FileScan):
    """Iterates over the rows of a JSON Lines file; made by `JsonlRun.scan_history`.

    Args:
        path: The file.
        keys: Only rows that have all of these keys, and only these keys; None for all rows with all keys.
        min_step: First step, inclusive.
        stop_step: Step to stop at, exclusive; `UNBOUNDED` for the end.
    """

    _keeps_rows_whole = False
    _step = -1
    _label = ""
    _failure: HistoryDecodeError | None = None

    def __init__(
        self, path: Path, *, keys: Iterable[str] | None = None, min_step: int = 0, stop_step: int = UNBOUNDED
    ) -> None:
        super().__init__(path, keys, min_step, stop_step)

    def column_pages(self, watch: Callable[[int], object] | None = None) -> Pages:
        """See `RereadScan.column_pages`."""
        scan = self.clone()
        scan._keeps_rows_whole = True
        return scan.read_through(watch)

    def open_pages(self) -> Iterator[Any]:
        """See `RereadScan.open_pages`; yields lines, of which `select` makes pages."""
        return _read_lines(self.path, None if self.limits is None else self.limits[0], self._progress)

    def select(self, page: Any) -> Page | list[Any]:
        """See `RereadScan.select`."""
        lines: _Lines = page
        self._label = str(lines.number)
        whole = TextPage(lines.texts)
        if not self.keys and self.min_step <= 0 and self._stop_step == UNBOUNDED:
            return whole
        texts, rows = [], []
        for index, text in enumerate(lines.texts):
            try:
                row = whole.row(index)
            except HistoryDecodeError as error:
                # Raised after the rows before it have been returned.
                error.add_location(row=index)
                self.add_location(error)
                self._failure = error
                break
            self._step = step_after(row.get(STEP), self._step)
            if not self.min_step <= self._step < self._stop_step:
                continue
            found = {key: find_value(row, key) for key in self.keys or ()}
            if ABSENT not in found.values():
                texts.append(text)
                rows.append(found)
        return TextPage(texts) if self._keeps_rows_whole or not self.keys else rows

    def add_location(self, error: HistoryError) -> None:
        """Adds the number of the line and the byte of the file; see `Scan.add_location`."""
        first = error.page or self._label
        if error.row is not None and first.isdigit():
            line = int(first) + error.row
            error.reason = f"line {line}: {error.reason}"
            error.byte = _start_of(self.path, line) + (error.byte or 0)
            error.page = error.row = None
        super().add_location(error)

    def _start_over(self) -> None:
        super()._start_over()
        self._step = -1
        self._label = ""
        self._failure = None

    def _load_next(self) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        super()._load_next()

    def _page_label(self) -> str:
        return self._label


def _find_files(path: Path) -> list[Path]:
    found = [path] if path.exists() else sorted(map(Path, glob.glob(str(path), recursive=True)))
    if not found:
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    return found


def _read_lines(path: Path, limit: int | None, progress: ReadProgress) -> Iterator[_Lines]:
    """Reads the lines of a file that are not blank.

    Raises:
        HistoryDecodeError: A line is not a JSON object; the lines before it have been yielded.
    """
    number = 1
    begun: list[bytes] = []  # the beginning of a line, until its end is read
    for window, _ in read_windows(path, limit=limit, watch=partial(setattr, progress, "bytes_read")):
        block, end, rest = window.rpartition(b"\n")
        if end:
            block = b"".join([*begun, block])
            begun.clear()
            yield from _split(block, number)
            number += block.count(b"\n") + 1
        begun.append(rest)
    last = b"".join(begun)
    if last.strip(_BLANK):
        try:
            # A last line without a line break is complete if it is a valid row.
            TextPage([_decode(last, number) or "{}"]).row(0)
        except ValueError:
            warn_of_file(
                f"{path} ends within line {number}: it is still being written, or its writer was stopped. Every "
                "complete row was read",
                LogTruncatedWarning,
                stacklevel=2,
            )
        else:
            yield from _split(last, number)


def _split(block: bytes, number: int) -> Iterator[_Lines]:
    """Splits a block of lines at blank lines."""
    try:
        texts = _decode(block, number).split("\n")
        fault = None
    except UnicodeDecodeError as error:
        line = block.count(b"\n", 0, error.start)
        texts = b"\n".join(block.split(b"\n")[:line]).decode().split("\n") if line else []
        fault = HistoryDecodeError(f"the text is not UTF-8 ({error.reason})", page=str(number + line), row=0)
    first = 0
    for place, text in enumerate(texts):
        if text.startswith("{") or (stripped := text.strip(_BLANK.decode())).startswith("{"):
            continue
        if first < place:
            yield _Lines(number + first, texts[first:place])
        if stripped:
            raise HistoryDecodeError("a row must be a JSON object", page=str(number + place), row=0)
        first = place + 1
    if first < len(texts):
        yield _Lines(number + first, texts[first:])
    if fault is not None:
        raise fault


def _decode(data: bytes, number: int) -> str:
    # Some programs write a byte order mark at the start of a file.
    return data.decode("utf-8-sig" if number == 1 else "utf-8")


def _start_of(path: Path, line: int) -> int:
    """Returns the offset of a line in the file."""
    place = 0
    for window, _ in read_windows(path):
        if window.count(b"\n") < line - 1:
            line -= window.count(b"\n")
            place += len(window)
            continue
        start = 0
        for _ in range(line - 1):
            start = window.index(b"\n", start) + 1
        return place + start
    return place
