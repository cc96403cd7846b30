"""Reads a ``.wandb`` log page by page, and warns if rows are missing."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from histscan._core.memory.pooled_bytes import PooledBytes
from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan.common.quiet import warn_of_file
from histscan.errors import HistoryDecodeError, LogCorruptWarning, LogStepWarning, LogTruncatedWarning
from histscan.runs.file_scan import ReadProgress
from histscan.sources.files import WINDOW_SIZE, read_windows

__all__ = ["read_pages"]

_HEADER_LENGTH = 7


def read_pages(
    path: Path,
    reader: LogReader,
    limit: int | None = None,
    progress: ReadProgress | None = None,
    *,
    least: int = 0,
    window_size: int = WINDOW_SIZE,
    checks_rows: bool = False,
) -> Generator[LogPage, None, None]:
    """Reads one log page by page, and warns at its end if rows are missing.

    Args:
        path: The log.
        reader: A new reader.
        limit: Bytes of the file to read; None for all.
        progress: Counts the bytes that were read.
        least: Bytes that the file has had before.
        window_size: Bytes in a window, a multiple of 32 KiB.
        checks_rows: True if the rows of the pages will be read: if the reader skips corrupt parts, rows that can't be
            decoded are dropped, too.

    Yields:
        The records of each window of the file.

    Raises:
        HistoryError: The file has become shorter; every row that could be read was yielded.
        LogFormatError: The file is empty, not a wandb log, or damaged compressed data.
        OSError: The file can't be read.

    Warns:
        LogCorruptWarning: Corrupt parts were skipped, if the reader skips them.
        LogStepWarning: Rows have a ``_step`` that is not a whole number.
        LogTruncatedWarning: The file ends within a record, or has none.
    """
    bytes_before = 0 if progress is None else progress.bytes_read

    def count(bytes_read: int) -> None:
        if progress is not None:
            progress.bytes_read = bytes_before + bytes_read

    malformed: list[int] = []
    windows = read_windows(path, window_size=window_size, limit=limit, least=least, watch=count, room=PooledBytes)
    for window, is_last in windows:
        page = reader.read_window(window, is_last)
        if checks_rows and reader.skip_corrupt:
            malformed += _drop_malformed(page)
        yield page
        if reader.is_finished and not is_last:
            break
    places = sorted([*reader.corrupt_at, *malformed])
    if places:
        shown = ", ".join(map(str, places[:5])) + (", …" if len(places) > 5 else "")
        warn_of_file(
            f"{path}: {len(places)} corrupt part{'s were' if len(places) > 1 else ' was'} skipped (at byte {shown}); "
            "rows may be missing",
            LogCorruptWarning,
            stacklevel=2,
        )
    if reader.odd_steps:
        warn_of_file(
            f"{path}: {reader.odd_steps} row{'s have' if reader.odd_steps > 1 else ' has'} a _step that is not a whole "
            f"number (the first at byte {reader.odd_step_at}). The values are kept; min_step and max_step take the "
            "logged step message of such a row, or else the step after the row before it",
            LogStepWarning,
            stacklevel=2,
        )
    if reader.truncated_at is not None:
        warn_of_file(
            f"{path} ends within a record (from byte {reader.truncated_at}): it is still being written, or its "
            "writer was stopped. Every complete row was read",
            LogTruncatedWarning,
            stacklevel=2,
        )
    elif reader.offset == _HEADER_LENGTH:
        warn_of_file(
            f"{path} has no records yet: it is still being written, or its writer was stopped at once",
            LogTruncatedWarning,
            stacklevel=2,
        )


def _drop_malformed(page: LogPage) -> list[int]:
    """Drops the rows that can't be decoded: their checksum holds, but their content is not that of a row.

    Args:
        page: The page.

    Returns:
        The offset of each in the file.
    """
    try:
        page.rows()
        return []
    except HistoryDecodeError:
        pass
    places: dict[int, int] = {}
    for index in range(len(page)):
        try:
            page.row(index)
        except HistoryDecodeError as error:
            places[index] = error.byte or 0
    page.drop_rows(set(places))
    return list(places.values())
