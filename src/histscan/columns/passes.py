"""A log's history as record batches in bounded memory, in two passes.

The last row may bring a key that no other has, or make text of a column of numbers; yet a file begins with its schema.
So the first pass over the log keeps no rows: it finds the columns, their types, and whether the steps rise. The second
makes the batches. Both read what the log held when the first one began, however it grows meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histscan._core.arrow_stream import ArrowStream
from histscan._core.column_chunk import ColumnChunk
from histscan._core.column_types import column_format
from histscan._core.page import Page
from histscan._core.scan import RowScan
from histscan.columns.threads import build_chunks_in_threads, default_threads
from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.runs.log_segments import quiet

if TYPE_CHECKING:
    import pyarrow

    from histscan.runs.log_scan import LogScan

__all__ = ["ColumnPasses", "ColumnSurvey", "Watcher"]

_INT64 = "l"

Watcher = Callable[[int, int], object]
"""Is told how many bytes have been read in all passes together, and how many rows that makes of one pass."""


@dataclass(frozen=True)
class ColumnSurvey:
    """What a first pass finds.

    Attributes:
        columns: Each column's format by its name, as ``column_types.merge_columns`` gives them: the step first, then
            the others by name; or the keys that were asked for, in their order.
        rows: How many rows there are.
        is_sorted: Every row has an integer as its step, and none is lower than the one before.
    """

    columns: dict[str, str]
    rows: int
    is_sorted: bool


class ColumnPasses:
    """Reads what a scan covers twice: `survey`, then `batches`.

    Args:
        scan: The scan; its keys, if it has some, are the columns, in their order. It stays as it is.
        flatten: Nested values become columns with dotted names.
        watch: Is told how far it is.
        threads: How many threads build columns; None for one on each core, four at most.
    """

    def __init__(
        self, scan: LogScan, *, flatten: bool = False, watch: Watcher | None = None, threads: int | None = None
    ) -> None:
        self._scan = scan
        self._limits = scan.sizes()
        self._flatten = flatten
        self._watch = watch
        self._threads = default_threads() if threads is None else threads
        self._rows = 0  # in both passes together
        self._facts: dict[str, int] = {}

    def survey(self) -> ColumnSurvey:
        """Makes the first pass.

        Returns:
            What the rows are like.

        Raises:
            HistoryError: A page or a row can't be read.
            OSError: The file can't be read.
        """
        steps = _StepOrder()
        with quiet():  # the second pass will warn
            for chunk in self._chunks(0):
                for name, facts in zip(chunk.names, chunk.facts(), strict=True):
                    self._facts[name] = self._facts.get(name, 0) | facts
                steps.add(chunk)
        found = {name: column_format(facts) for name, facts in self._facts.items()}
        if not found:
            # Most readers of Parquet refuse a file that has no column at all.
            found = {STEP: _INT64}
        names = list(found) if self._scan.keys else sorted(found, key=lambda name: (name != STEP, name))
        return ColumnSurvey({name: found[name] for name in names}, steps.rows, steps.is_sorted)

    def batches(self, survey: ColumnSurvey) -> Generator[pyarrow.RecordBatch, None, None]:
        """Makes the second pass.

        Args:
            survey: What the first pass has found.

        Yields:
            The rows; some thousands in a batch, and fewer where they are large.

        Raises:
            HistoryError: A page or a row can't be read, or the log was written anew since the first pass.
            OSError: The file can't be read.
        """
        left = survey.rows
        for chunk in self._chunks(sum(self._limits)):
            left -= len(chunk)
            # A type that does not suit a value would give garbage, not an error.
            if left < 0 or any(
                facts & ~self._facts.get(name, 0) for name, facts in zip(chunk.names, chunk.facts(), strict=True)
            ):
                break
            yield _as_batch(chunk, survey.columns)
        if left:
            raise HistoryError(f"{self._scan.path} was written anew while it was being read: read it again")

    def _chunks(self, bytes_before: int) -> Iterator[ColumnChunk]:
        try:
            yield from build_chunks_in_threads(
                self._pages(bytes_before), keys=self._scan.keys or None, flatten=self._flatten, threads=self._threads
            )
        except HistoryError as error:
            self._scan._add_location(error)
            raise

    def _pages(self, bytes_before: int) -> Iterator[Page | list[Any]]:
        scan = self._scan._anew()
        scan._limits = self._limits
        # Not the scan's own way, which would read with yet another one, and how far that is can't be seen.
        for page in RowScan._pages(scan):
            self._rows += len(page)
            if self._watch is not None:
                self._watch(bytes_before + scan.bytes_read, self._rows // 2)
            yield page


class _StepOrder:
    """Whether steps rise from row to row.

    Attributes:
        rows: How many rows there were.
        is_sorted: Every row has an integer as its step, and none is lower than the one before.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.is_sorted = True
        self._last: int | None = None

    def add(self, chunk: ColumnChunk) -> None:
        """Takes in the steps of a chunk, and uses it up."""
        import pyarrow.compute

        self.rows += len(chunk)
        if not len(chunk) or not self.is_sorted:
            return
        facts = dict(zip(chunk.names, chunk.facts(), strict=True))
        if STEP not in facts or column_format(facts[STEP]) != _INT64:
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
