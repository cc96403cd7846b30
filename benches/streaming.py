"""Long scans, whose memory must not grow: pages are made on request, and rows are discarded.

Nothing here imports wandb: its memory use would hide a change of ours.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import histscan
from benches.apart import call_apart, forget_peak, resident_bytes
from benches.data import RUN, Row, history_body, numbered_rows, service_page
from benches.large_log import FIRST_STEP, LogWriter, numbered_records
from benches.record_log import DEFAULT_DIRECTORY
from histscan import proto
from tests.support import wire

__all__ = ["STREAMS", "TOLERANCE", "Stream", "StreamMemory", "watch_stream"]

_PAGE_ROWS = 1_000
_WATCHED_ROWS = 3 * _PAGE_ROWS
TOLERANCE = 0.05
"""The relative change of memory that still counts as flat."""

# All steps have seven digits, so that a page can be made from a template by replacing the steps. The step that marks
# their positions is never reached.
_MARK = 1_999_999


@dataclass(frozen=True)
class StreamMemory:
    """Peaks of resident memory during a scan, for each three pages, in bytes.

    Attributes:
        at_first: The first peak after the first three pages.
        lowest: The lowest peak.
        highest: The highest peak.
    """

    at_first: int
    lowest: int
    highest: int

    @property
    def extreme(self) -> int:
        """The lowest or highest peak, whichever is further from the first."""
        return max(self.lowest, self.highest, key=lambda size: abs(size - self.at_first))

    @property
    def drift(self) -> float:
        """The largest change from the first peak, relative to it."""
        return self.extreme / self.at_first - 1.0

    @property
    def is_flat(self) -> bool:
        """True if memory stayed within `TOLERANCE` of the first peak."""
        return abs(self.drift) <= TOLERANCE


@dataclass(frozen=True)
class Stream:
    """A long scan.

    Attributes:
        name: The name on the command line.
        subject: What is scanned, in a few words.
        source: Makes the source of a number of rows; the source is pickled for the process that scans.
        scan: Starts a scan of a number of rows of a source.
    """

    name: str
    subject: str
    source: Callable[[int], AbstractContextManager[Any]]
    scan: Callable[[Any, int], Iterable[Row]]


def watch_stream(stream: Stream, rows: int) -> StreamMemory:
    """Scans in a separate process and watches its memory.

    Args:
        stream: The stream.
        rows: The number of rows to scan.

    Returns:
        The memory use.
    """
    with stream.source(rows) as source:
        at_first, lowest, highest = call_apart(_watch, stream.name, source, rows)
    return StreamMemory(at_first, lowest, highest)


def _watch(stream_name: str, source: Any, rows: int) -> tuple[int, int, int]:
    # Wrapped in chain(), because iter() of a scan starts it over.
    scan = chain(STREAMS[stream_name].scan(source, rows))
    deque(islice(scan, _WATCHED_ROWS), maxlen=0)
    scanned, peaks = _WATCHED_ROWS, []
    while scanned < rows:
        forget_peak()
        step = min(_WATCHED_ROWS, rows - scanned)
        deque(islice(scan, step), maxlen=0)
        scanned += step
        peaks.append(resident_bytes("VmHWM"))
    assert next(scan, None) is None
    return peaks[0], min(peaks), max(peaks)


@dataclass(frozen=True)
class _PageTemplate:
    """A page without its steps: the bytes before, between and after them."""

    parts: list[bytes]

    def page(self, first_step: int) -> bytes:
        """Makes the page that starts at a step."""
        pieces = [self.parts[0]]
        for step, part in enumerate(self.parts[1:], first_step):
            pieces += (b"%d" % step, part)
        return b"".join(pieces)


def _template(encode: Callable[[Iterable[Row]], bytes], rows: int) -> AbstractContextManager[_PageTemplate]:
    page = encode([{**row, "_step": _MARK} for row in numbered_rows(range(_PAGE_ROWS))])
    parts = page.split(b"%d" % _MARK)
    assert len(parts) == _PAGE_ROWS + 1
    assert rows % _PAGE_ROWS == 0
    return nullcontext(_PageTemplate(parts))


class _StreamingService:
    """A history service that makes each page on request."""

    def __init__(self, template: _PageTemplate) -> None:
        self._template = template

    def send_api_request(self, request: Any) -> Any:
        """Returns the response to one request."""
        answer = proto.ApiResponse()
        asked = request.read_run_history_request
        if asked.HasField("scan_run_history"):
            page = self._template.page(asked.scan_run_history.min_step)
            answer.read_run_history_response.run_history.ParseFromString(page)
        else:
            answer.read_run_history_response.scan_run_history_init.request_id = 1
        return answer


class _StreamingClient(histscan.Client):
    """histscan's client, which makes each response body on request."""

    def __init__(self, template: _PageTemplate) -> None:
        super().__init__("http://localhost", "unused")
        self._template = template

    def execute_raw(
        self, document: Any, variable_values: dict[str, Any] | None = None, *, is_whole: Any = None
    ) -> bytes:
        """Returns the response to one request."""
        assert variable_values is not None
        return self._template.page(variable_values["minStep"])


def _scan_service(template: _PageTemplate, rows: int) -> Iterable[Row]:
    return histscan.BetaHistoryScan(_StreamingService(template), RUN, FIRST_STEP, FIRST_STEP + rows)


def _scan_client(template: _PageTemplate, rows: int) -> Iterable[Row]:
    return histscan.HistoryScan(_StreamingClient(template), RUN, FIRST_STEP, FIRST_STEP + rows)


@contextmanager
def _written_log(rows: int) -> Iterator[Path]:
    DEFAULT_DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="streaming-", dir=DEFAULT_DIRECTORY) as folder:
        path = Path(folder) / "run-streaming.wandb"
        with path.open("wb") as file:
            writer = LogWriter(file)
            writer.write(wire.run_record(RUN.id, entity=RUN.entity, project=RUN.project))
            for record in numbered_records(numbered_rows, rows):
                writer.write(record)
        yield path


def _scan_log(path: Path, rows: int) -> Iterable[Row]:
    return histscan.open(path).scan_history()


STREAMS = {
    stream.name: stream
    for stream in (
        Stream(
            "stream-service",
            "BetaHistoryScan, rows streamed",
            lambda rows: _template(service_page, rows),
            _scan_service,
        ),
        Stream(
            "stream-body",
            "HistoryScan, rows streamed",
            lambda rows: _template(history_body, rows),
            _scan_client,
        ),
        Stream("stream-log", ".wandb log, rows streamed", _written_log, _scan_log),
    )
}
"""Every stream, by name."""
