"""A history as record batches in bounded memory, in two passes.

The last row may bring a key that no other has, or make text of a column of numbers; yet a file begins with its schema.
So the first pass keeps no rows: it finds the columns, their types, and whether the steps rise. The second makes the
batches. Both read what the files held when the first one began, however they grow meanwhile.

Parquet files know most of their types without a first pass: see `histscan.columns.parquet_columns`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

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
    """What `Scan.read_columns` returns.

    Attributes:
        schema: The schema of all batches.
        is_sorted: Every row has an integer as its step, and none is lower than the one before.
        batches: The rows; some thousands in a batch, and fewer where they are large. To be closed.
    """

    schema: pyarrow.Schema
    is_sorted: bool
    batches: Generator[pyarrow.RecordBatch, None, None]


@dataclass(frozen=True)
class ColumnSurvey:
    """What a first pass finds.

    Attributes:
        columns: Each column's format by its name, as ``column_types.merge_columns`` gives them, in the order in which
            they appear.
        type_flags: The flags of each column's values.
        rows: How many rows there are.
        is_sorted: Every row has an integer as its step, and none is lower than the one before.
    """

    columns: dict[str, str]
    type_flags: dict[str, int]
    rows: int
    is_sorted: bool


class RepeatableScan(Protocol):
    """A scan that can be read twice, with the same rows both times."""

    @property
    def path(self) -> object:
        """What errors call the files."""

    @property
    def column_keys(self) -> Any:
        """As `Scan` has it."""

    def size_now(self) -> int:
        """Returns how many bytes a pass reads."""

    def snapshot(self) -> RepeatableScan:
        """Returns a scan of what is in the files now, however they grow."""

    def column_pages(self, watch: Callable[[int], object] | None = None) -> Pages:
        """Reads the pages for columns, and tells how many bytes were read."""

    def add_location(self, error: HistoryError) -> None:
        """As `Scan` has it."""


class ColumnPasses:
    """Reads what a scan covers twice: `survey`, then `batches` or `chunks`.

    Args:
        scan: The scan. It stays as it is.
        options: Which columns.
        watch: Is told how far it is.
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
        self._options = (options or ColumnOptions()).with_default_keys(scan.column_keys)
        self._watch = watch
        self._chunk_rows = rows
        self._rows = 0  # in both passes together

    def survey(self) -> ColumnSurvey:
        """Makes the first pass.

        Returns:
            What the rows are like.

        Raises:
            HistoryError: A page or a row can't be read.
            OSError: The file can't be read.
        """
        return self._survey(_StepOrder())

    def read(self) -> ColumnBatches:
        """Makes the first pass, and prepares the second one for a file of columns.

        Returns:
            As `Scan.read_columns`.

        Raises:
            HistoryError: A page or a row can't be read.
            OSError: The file can't be read.
        """
        import pyarrow

        survey = self.survey()
        # Most readers of Parquet refuse a file that has no column at all.
        found = survey.columns or {STEP: _INT64}
        names = list(found) if self._options.keys else sorted(found, key=lambda name: (name != STEP, name))
        columns = {name: found[name] for name in names}
        schema = pyarrow.schema(ArrowStream(columns, ()))
        return ColumnBatches(schema, survey.is_sorted, (_as_batch(chunk, columns) for chunk in self.chunks(survey)))

    def stream(self) -> ArrowStream:
        """Makes the first pass, and streams the second one's chunks.

        Returns:
            The stream. What can't be read is raised by it, behind the rows before.
        """
        survey = self._survey(None)
        return ArrowStream(survey.columns, self.chunks(survey))

    def chunks(self, survey: ColumnSurvey) -> Generator[ColumnChunk, None, None]:
        """Makes the second pass.

        Args:
            survey: What the first pass has found.

        Yields:
            The rows.

        Raises:
            HistoryError: A page or a row can't be read, or the file was replaced since the first pass.
            OSError: The file can't be read.
        """
        left = survey.rows
        for chunk in self._chunks(self._scan.size_now()):
            left -= len(chunk)
            # A type that does not suit a value would give garbage, not an error.
            if left < 0 or any(
                type_flags & ~survey.type_flags.get(name, 0)
                for name, type_flags in zip(chunk.names, chunk.type_flags(), strict=True)
            ):
                left = -1
                break
            yield chunk
        if left:
            raise HistoryError(f"{self._scan.path} was written anew while it was being read: read it again")

    def _survey(self, order: _StepOrder | None) -> ColumnSurvey:
        """Makes the first pass; without an order to find, it ends where a row can't be read."""
        type_flags: dict[str, int] = {}
        rows = 0
        # The second pass warns, and raises what this one may leave to it.
        with quiet(), suppress(*([HistoryError] if order is None else [])):
            for chunk in self._chunks(0):
                rows += len(chunk)
                for name, flags in zip(chunk.names, chunk.type_flags(), strict=True):
                    type_flags[name] = type_flags.get(name, 0) | flags
                if order is not None:
                    order.add(chunk)
        columns = {name: column_format(flags) for name, flags in type_flags.items()}
        return ColumnSurvey(columns, type_flags, rows, order is not None and order.is_sorted)

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
    """Reads the columns of a scan that can't be read twice at a bearable price: the pages of a server.

    Args:
        scan: The scan.
        options: Which columns.
        watch: Is told how many rows there are.

    Returns:
        As `Scan.read_columns`. A server promises no order of steps.
    """
    import pyarrow

    options = options.with_default_keys(scan.column_keys)
    batches = stream_batches(scan.batch_stream(options))
    first = next(batches, None)
    schema = pyarrow.schema([(STEP, pyarrow.int64())]) if first is None else first.schema
    found: Iterator[pyarrow.RecordBatch] = chain([] if first is None else [first], batches)
    if not options.keys:
        # As in what is written of a log; a server has an order of its own.
        names = sorted(schema.names, key=lambda name: (name != STEP, name))
        schema = pyarrow.schema([schema.field(name) for name in names])
        found = (batch.select(names) for batch in found)
    return ColumnBatches(schema, False, watched(found, watch))


def watched(
    batches: Iterable[pyarrow.RecordBatch], watch: Watcher | None
) -> Generator[pyarrow.RecordBatch, None, None]:
    """Yields batches, and tells how many rows they have together.

    Args:
        batches: The batches.
        watch: Is told; None for nobody.

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
    """Finds out whether steps rise from row to row.

    Attributes:
        is_sorted: Every row has an integer as its step, and none is lower than the one before.
    """

    def __init__(self) -> None:
        self.is_sorted = True
        self._last: int | None = None

    def add(self, chunk: ColumnChunk) -> None:
        """Takes in the steps of a chunk, and uses it up."""
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
