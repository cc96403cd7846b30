"""Reads a history as record batches in bounded memory, in two passes.

The last row may have a new key, or turn a column of numbers into text; but a file starts with its schema. So the first
pass keeps no rows: it finds the columns, their types, and if the steps are ascending. The second pass makes the
batches. Both read what the files contained when the first pass started, even if they grow.

For Parquet files, most types are known without a first pass: see `histscan.columns.parquet_columns`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import column_format
from histscan.columns.chunks import build_chunks
from histscan.columns.frames import stream_batches
from histscan.columns.options import ColumnOptions
from histscan.columns.scan import Pages, Scan, Watcher
from histscan.columns.threads import build_chunks_in_threads
from histscan.common.quiet import quiet
from histscan.common.steps import STEP
from histscan.errors import HistoryError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ColumnBatches", "ColumnPasses", "ColumnSurvey", "RepeatableScan", "read_once", "watched"]

_INT64 = "l"


class ColumnBatches(NamedTuple):
    """The result of `Scan.read_columns`.

    Attributes:
        schema: The schema of all batches.
        is_sorted: True if every row has an integer step, and no step is lower than the one before.
        batches: The rows, some thousands per batch, fewer if they are large. The caller must close it.
    """

    schema: pyarrow.Schema
    is_sorted: bool
    batches: Generator[pyarrow.RecordBatch, None, None]


@dataclass(frozen=True)
class ColumnSurvey:
    """The result of the first pass.

    Attributes:
        columns: Each column's format by its name, as from ``column_types.merge_columns``, in the order of their first
            appearance.
        type_flags: The flags of each column's values.
        rows: The number of rows.
        is_sorted: True if every row has an integer step, and no step is lower than the one before.
    """

    columns: dict[str, str]
    type_flags: dict[str, int]
    rows: int
    is_sorted: bool

    @classmethod
    def of(cls, chunks: Iterable[ColumnChunk], order: _StepOrder | None = None) -> ColumnSurvey:
        """Reads the chunks of a first pass. The second pass warns, and raises errors that are ignored here.

        Args:
            chunks: The chunks.
            order: Checks the steps. Without it, the pass ends at a row that can't be read, and raises no error.

        Returns:
            What was found; without `order`, not sorted.

        Raises:
            HistoryError: A page or a row can't be read, and `order` is given.
        """
        type_flags: dict[str, int] = {}
        rows = 0
        with quiet(), suppress(*([HistoryError] if order is None else [])):
            for chunk in chunks:
                rows += len(chunk)
                for name, flags in zip(chunk.names, chunk.type_flags(), strict=True):
                    type_flags[name] = type_flags.get(name, 0) | flags
                if order is not None:
                    order.add(chunk)
        columns = {name: column_format(flags) for name, flags in type_flags.items()}
        return cls(columns, type_flags, rows, order is not None and order.is_sorted)


class RepeatableScan(Protocol):
    """A scan that returns the same rows when it is read twice."""

    @property
    def path(self) -> object:
        """The name of the files in errors."""

    def choose_columns(self, options: ColumnOptions) -> ColumnOptions:
        """As in `Scan`."""

    def arrange_columns(self, formats: Mapping[str, str], options: ColumnOptions) -> dict[str, str]:
        """As in `Scan`."""

    def size_now(self) -> int:
        """Returns the number of bytes that one pass reads."""

    def snapshot(self) -> RepeatableScan:
        """Returns a scan of the present contents of the files, even if they grow."""

    def column_pages(self, watch: Callable[[int], object] | None = None) -> Pages:
        """Yields the pages for columns, and calls `watch` with the number of bytes read."""

    def add_location(self, error: HistoryError) -> None:
        """As in `Scan`."""


class ColumnPasses:
    """Reads the rows of a scan twice: `survey`, then `chunks`; `read` and `stream` do both.

    Args:
        scan: The scan, which is not changed.
        options: The columns.
        watch: Called with the progress.
        rows: Rows in a chunk; None for any number.
    """

    def __init__(
        self,
        scan: RepeatableScan,
        options: ColumnOptions | None = None,
        *,
        watch: Watcher | None = None,
        rows: int | None = None,
    ) -> None:
        self._scan = scan.snapshot()
        self._options = scan.choose_columns(options or ColumnOptions())
        self._watch = watch
        self._chunk_rows = rows
        self._rows = 0  # of both passes together

    def survey(self) -> ColumnSurvey:
        """Makes the first pass.

        Returns:
            The columns and their types.

        Raises:
            HistoryError: A page or a row can't be read.
            OSError: The file can't be read.
        """
        return ColumnSurvey.of(self._chunks(0), _StepOrder())

    def read(self) -> ColumnBatches:
        """Makes the first pass, and prepares the second one for a file of columns.

        Returns:
            The result of `Scan.read_columns`.

        Raises:
            HistoryError: A page or a row can't be read.
            OSError: The file can't be read.
        """
        import pyarrow

        survey = self.survey()
        # Most readers of Parquet reject files without columns.
        columns = self._scan.arrange_columns(survey.columns, self._options) or {STEP: _INT64}
        schema = pyarrow.schema(ArrowStream(columns, ()))
        return ColumnBatches(schema, survey.is_sorted, (_as_batch(chunk, columns) for chunk in self.chunks(survey)))

    def stream(self) -> ArrowStream:
        """Makes the first pass, and streams the chunks of the second one.

        Returns:
            The stream. It raises errors after the rows before them.
        """
        survey = ColumnSurvey.of(self._chunks(0))
        return ArrowStream(self._scan.arrange_columns(survey.columns, self._options), self.chunks(survey))

    def chunks(self, survey: ColumnSurvey) -> Generator[ColumnChunk, None, None]:
        """Makes the second pass.

        Args:
            survey: The result of the first pass.

        Yields:
            The rows.

        Raises:
            HistoryError: A page or a row can't be read, or the file was replaced since the first pass.
            OSError: The file can't be read.
        """
        left = survey.rows
        for chunk in self._chunks(self._scan.size_now()):
            left -= len(chunk)
            # Values of other types would become garbage, not an error.
            if left < 0 or any(
                type_flags & ~survey.type_flags.get(name, 0)
                for name, type_flags in zip(chunk.names, chunk.type_flags(), strict=True)
            ):
                left = -1
                break
            yield chunk
        if left:
            raise HistoryError(f"{self._scan.path} was replaced while it was being read: read it again")

    def _chunks(self, bytes_before: int) -> Iterator[ColumnChunk]:
        keys, flatten = self._options.keys, self._options.flatten
        pages = self._pages(bytes_before)
        try:
            if self._chunk_rows is not None:
                yield from build_chunks(pages, keys=keys, flatten=flatten, rows=self._chunk_rows)
            else:
                yield from build_chunks_in_threads(pages, keys=keys, flatten=flatten, threads=self._options.threads)
        except HistoryError as error:
            self._scan.add_location(error)
            raise

    def _pages(self, bytes_before: int) -> Pages:
        bytes_read = 0

        def note(count: int) -> None:
            nonlocal bytes_read
            bytes_read = count

        for page in self._scan.column_pages(note):
            self._rows += len(page)
            if self._watch is not None:
                self._watch(bytes_before + bytes_read, self._rows // 2)
            yield page


def read_once(scan: Scan, options: ColumnOptions, watch: Watcher | None) -> ColumnBatches:
    """Reads the columns of a scan that is too expensive to read twice: the pages of a server.

    Args:
        scan: The scan.
        options: The columns.
        watch: Called with the number of rows.

    Returns:
        The result of `Scan.read_columns`; not marked as sorted, because a server guarantees no order of steps.
    """
    import pyarrow

    batches = stream_batches(scan.batch_stream(options))
    first = next(batches, None)
    schema = pyarrow.schema([(STEP, pyarrow.int64())]) if first is None else first.schema
    found: Iterator[pyarrow.RecordBatch] = chain([] if first is None else [first], batches)
    return ColumnBatches(schema, False, watched(found, watch))


def watched(
    batches: Iterable[pyarrow.RecordBatch], watch: Watcher | None
) -> Generator[pyarrow.RecordBatch, None, None]:
    """Yields batches, and reports the number of their rows.

    Args:
        batches: The batches.
        watch: Called with 0 bytes and the number of rows so far, or None.

    Yields:
        Each batch.
    """
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        if watch is not None:
            watch(0, rows)
        yield batch


class _StepOrder:
    """Checks that steps do not decrease from row to row.

    Attributes:
        is_sorted: True if every row has an integer step, and no step is lower than the one before.
    """

    def __init__(self) -> None:
        self.is_sorted = True
        self._last: int | None = None

    def add(self, chunk: ColumnChunk) -> None:
        """Adds the steps of a chunk, and consumes the chunk."""
        import pyarrow.compute

        if not len(chunk) or not self.is_sorted:
            return
        type_flags = dict(zip(chunk.names, chunk.type_flags(), strict=True))
        if STEP not in type_flags or column_format(type_flags[STEP]) != _INT64:
            self.is_sorted = False
            return
        steps = _as_batch(chunk, {STEP: _INT64}).column(0)
        if steps.null_count:
            self.is_sorted = False
            return
        falls = pyarrow.compute.less(steps[1:], steps[:-1])
        starts_lower = self._last is not None and steps[0].as_py() < self._last
        self.is_sorted = not (starts_lower or pyarrow.compute.any(falls, min_count=0).as_py())
        self._last = steps[-1].as_py()


def _as_batch(chunk: ColumnChunk, columns: dict[str, str]) -> pyarrow.RecordBatch:
    import pyarrow

    return pyarrow.RecordBatchReader.from_stream(ArrowStream(columns, [chunk])).read_next_batch()
