"""Runs in JSON Lines files: one object per line, as ``histscan export`` and many other tools write them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from histscan._core.pages.formats import LinesPage, TextPage
from histscan._core.pages.page import Page
from histscan.columns.scan import Pages
from histscan.common.keys import ABSENT, check_keys, find_value
from histscan.common.steps import STEP, UNBOUNDED, step_after
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.runs.file_run import Paths
from histscan.runs.file_scan import FileScan
from histscan.runs.history_files import HistoryFileRun
from histscan.sources.file_paths import find_files
from histscan.sources.json_lines import line_start, read_lines

__all__ = ["JsonlRun", "JsonlScan"]


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
        self.files = [file for item in given for file in find_files(item)]
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
        """See `RereadScan.open_pages`; yields pages of whole rows, from which `select` takes the requested ones."""
        limit = None if self.limits is None else self.limits[0]
        watch = partial(setattr, self._progress, "bytes_read")
        number = 1
        for lines in read_lines(self.path, is_row=_is_row, limit=limit, watch=watch):
            stop = 0
            while stop <= len(lines):
                page = LinesPage(lines, stop)
                number += page.blank_count
                if len(page):
                    page.label = str(number)
                    yield page
                    number += len(page)
                elif page.stop <= len(lines):
                    raise HistoryDecodeError("a row must be a JSON object", page=str(number), row=0)
                stop = page.stop

    def select(self, page: Any) -> Page | list[Any]:
        """See `RereadScan.select`."""
        whole: LinesPage = page
        self._label = str(whole.label)
        if not self.keys and self.min_step <= 0 and self._stop_step == UNBOUNDED:
            return whole
        texts, rows = [], []
        for index in range(len(whole)):
            try:
                row = whole.row(index)
            except HistoryDecodeError as error:
                error.add_location(row=index)
                self._page_stream.fail(error)
                break
            self._step = step_after(row.get(STEP), self._step)
            if not self.min_step <= self._step < self._stop_step:
                continue
            found = {key: find_value(row, key) for key in self.keys or ()}
            if ABSENT not in found.values():
                texts.append(whole.text(index))
                rows.append(found)
        return TextPage(texts) if self._keeps_rows_whole or not self.keys else rows

    def add_location(self, error: HistoryError) -> None:
        """Adds the number of the line and the byte of the file; see `Scan.add_location`."""
        first = error.page or self._label
        if error.row is not None and first.isdigit():
            line = int(first) + error.row
            error.reason = f"line {line}: {error.reason}"
            error.byte = line_start(self.path, line) + (error.byte or 0)
            error.page = error.row = None
        super().add_location(error)

    def _start_over(self) -> None:
        super()._start_over()
        self._step = -1
        self._label = ""

    def _page_label(self) -> str:
        return self._label


def _is_row(text: bytes) -> bool:
    try:
        TextPage([text]).row(0)
    except ValueError:
        return False
    return True
