"""Finds how a run ended from the last blocks of its log, without reading the rest.

A log holds changes: config, summary and the highest step depend on every record. Only how the run ended is known from
the end alone, because the last exit record decides. No index is needed to find it: a chunk begins at every block.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError

from histscan._core.pages.log_reader import BLOCK_SIZE, LogReader
from histscan.errors import HistoryError
from histscan.sources.files import is_compressed, read_range

__all__ = ["EXIT_FIELD", "exit_code_of", "read_last_exit_code"]

EXIT_FIELD = 18
"""The number of the field in wandb's `Record`."""

_HEAD_SIZE = 2 * BLOCK_SIZE
"""Where blocks begin is known from the first two."""

_TAIL_SIZE = 8 * BLOCK_SIZE


def exit_code_of(record: bytes, before: int | None) -> int | None:
    """Reads an exit record.

    Args:
        record: The bytes of a ``RunExitRecord``.
        before: The exit code so far.

    Returns:
        The exit code; `before` if the run continues elsewhere, or the record is malformed.
    """
    from histscan import proto

    try:
        ended = proto.RunExitRecord.FromString(record)
    except DecodeError:
        return before
    return before if ended.not_complete else int(ended.exit_code)


def read_last_exit_code(log: Path) -> int | None:
    """Reads the exit code in the last blocks of a log.

    Args:
        log: The log.

    Returns:
        The exit code of the last exit record. None if that must be found in the whole log: there is none in the last
        blocks, these are damaged or not complete, or the log is compressed or not much larger.

    Raises:
        OSError: The file can't be read.
    """
    size = log.stat().st_size
    if size < 2 * (_HEAD_SIZE + _TAIL_SIZE):
        return None
    head = read_range(log, 0, _HEAD_SIZE)
    if len(head) < _HEAD_SIZE or is_compressed(head):
        return None
    reader = LogReader(fields=(EXIT_FIELD,))
    try:
        reader.read_window(head, False).rows()
        begin = (size - _TAIL_SIZE) // BLOCK_SIZE * BLOCK_SIZE + reader.block_shift
        reader.skip_to(begin)
        page = reader.read_window(read_range(log, begin, size - begin), True)
        # There are no rows, but this raises the error of corrupt bytes.
        page.rows()
    except (HistoryError, ValueError):
        return None
    if reader.truncated_at is not None or reader.offset != size:
        return None
    code = None
    for record in page.records(EXIT_FIELD):
        code = exit_code_of(record, code)
    return code
