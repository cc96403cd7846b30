"""Reads system metrics and console output from ``.wandb`` logs, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from histscan._core.pages.formats import ProtobufPage
from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan._core.pages.page import Page
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.runs.console import ConsoleLine
from histscan.runs.log_facts import moment
from histscan.runs.log_pages import read_pages

if TYPE_CHECKING:
    from histscan import proto

__all__ = ["read_output", "read_system_metrics"]

# The numbers of fields in wandb's `Record`.
_OUTPUT, _STATS, _OUTPUT_RAW, _RUN = 4, 7, 13, 17

# StatsRecord.StatsType and OutputRecord.OutputType.
_SYSTEM = 0
_STDOUT = 1

_PREFIX = "system."


def read_system_metrics(
    logs: Sequence[Path], *, keys: Sequence[str] | None = None, skip_corrupt: bool = False
) -> Iterator[Page | list[Any]]:
    """Reads the system metrics of logs.

    Each row is what wandb-core 0.26.1 sends to the server for the record during ``wandb sync``: each metric with the
    prefix ``system.``, then ``_wandb`` (true), ``_timestamp`` in seconds since 1970 to the microsecond, and
    ``_runtime``, the seconds since the start time in the log's run record.

    Args:
        logs: The logs of one run, in order.
        keys: Only rows that have all of these keys, and only these keys; None for all rows with all keys.
        skip_corrupt: Continue after corrupt parts, instead of raising an error.

    Yields:
        Pages of rows.

    Raises:
        HistoryDecodeError: A log is corrupt, or a record is malformed; the rows before it have been returned.
        OSError: A file can't be read.
    """
    from histscan import proto

    for log in logs:
        start: int | None = None
        for kept in _pages(log, (_RUN, _STATS), skip_corrupt):
            if start is None:
                for message in kept.records(_RUN)[:1]:
                    start = _microseconds(_decode(proto.RunRecord, message, log, "the run").start_time)
            page = proto.RunHistoryResponse()
            failure: HistoryError | None = None
            try:
                for message in kept.records(_STATS):
                    stats = _decode(proto.StatsRecord, message, log, "system metrics")
                    if stats.stats_type == _SYSTEM:
                        _add_row(page, stats, start, keys)
            except HistoryDecodeError as error:
                failure = error
            if page.history_rows:
                yield ProtobufPage(page.SerializeToString())
            if failure is not None:
                raise failure


def read_output(log: Path, *, skip_corrupt: bool = False) -> Iterator[ConsoleLine]:
    """Reads what a program wrote to its console.

    Args:
        log: The log.
        skip_corrupt: Continue after corrupt parts, instead of raising an error.

    Yields:
        Pieces of output as they were written, with line breaks, carriage returns and escape sequences.

    Raises:
        HistoryDecodeError: The log is corrupt, or a record is malformed; the output before it has been returned.
        OSError: The file can't be read.
    """
    from histscan import proto

    for kept in _pages(log, (_OUTPUT, _OUTPUT_RAW), skip_corrupt):
        for message in kept.records(_OUTPUT, _OUTPUT_RAW):
            output = _decode(proto.OutputRecord, message, log, "console output")
            text = bytes(output.line).decode(errors="replace")
            stream = "stdout" if output.output_type == _STDOUT else "stderr"
            yield ConsoleLine(text, stream, moment(output.timestamp))


def _pages(log: Path, fields: Sequence[int], skip_corrupt: bool) -> Iterator[LogPage]:
    """Yields the pages of a log with the given kinds of records, and raises an error at corrupt bytes."""
    for page in read_pages(log, LogReader(skip_corrupt=skip_corrupt, fields=fields)):
        yield page
        try:
            # The page has no rows, but this raises the error of corrupt bytes.
            page.rows()
        except HistoryError as error:
            error.add_location(run=str(log))
            raise


def _decode(record: Any, message: bytes, log: Path, what: str) -> Any:
    try:
        return record.FromString(message)
    except DecodeError as error:
        raise HistoryDecodeError(f"a record of {what} is malformed: {error}", run=str(log)) from None


def _add_row(page: Any, stats: Any, start: int | None, keys: Sequence[str] | None) -> None:
    items = [(_PREFIX + item.key, item.value_json) for item in stats.item]
    items.append(("_wandb", "true"))
    now = _microseconds(stats.timestamp)
    if now is not None:
        items.append(("_timestamp", _seconds(now)))
        if start is not None:
            items.append(("_runtime", _seconds(now - start)))
    if keys is not None:
        # The last value of a key is valid.
        values = dict(items)
        if not all(key in values for key in keys):
            return
        items = [(key, values[key]) for key in keys]
    row = page.history_rows.add()
    for key, value in items:
        row.history_items.add(key=key, value_json=value)


def _microseconds(timestamp: proto.Timestamp) -> int | None:
    if not timestamp.seconds and not timestamp.nanos:
        return None
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1_000


def _seconds(microseconds: int) -> str:
    """Writes microseconds as seconds in JSON, always with a fraction."""
    sign = "-" if microseconds < 0 else ""
    whole, fraction = divmod(abs(microseconds), 1_000_000)
    return f"{sign}{whole}.{fraction:06}"
