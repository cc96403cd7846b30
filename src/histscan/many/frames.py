"""Reads many runs into one table, or streams them as batches of one schema."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from histscan._core.columns.column_types import column_format, merge_columns
from histscan.columns.threads import default_threads
from histscan.common.quiet import quiet
from histscan.many.known_keys import check_chosen
from histscan.many.members import Member
from histscan.many.options import FrameOptions
from histscan.many.progress import open_progress
from histscan.many.reduction import RowReducer
from histscan.many.run_chunks import Failures, RunChunks
from histscan.many.run_columns import RunColumns
from histscan.many.run_keys import KeyInfo, KeyTally
from histscan.many.schemas import find_formats, key_schema, make_batches
from histscan.many.spooled import spool_runs

if TYPE_CHECKING:
    import pyarrow

    from histscan.many.runs import Runs
    from histscan.runs.contracts import Run

__all__ = ["RunBatches", "RunRows", "RunStream", "count_keys", "read_rows", "read_table", "stream_runs"]


@dataclass(frozen=True)
class RunRows:
    """The rows of many runs as columns of keys.

    Attributes:
        table: The columns.
        offsets: Where the rows of each run begin, and where the last ones end: one more than `runs`.
        runs: The runs, in order; also those without rows.
        failures: The runs that were skipped.
    """

    table: pyarrow.Table
    offsets: Sequence[int]
    runs: Sequence[Run]
    failures: Failures

    def with_run_columns(self, source: Runs[Any], entries: Sequence[str]) -> pyarrow.Table:
        """Puts the columns that name the run before the others.

        Args:
            source: The collection of the runs.
            entries: The entries of the configs that become columns.

        Returns:
            The table.
        """
        counts = [(place, self.offsets[place + 1] - self.offsets[place]) for place in range(len(self.runs))]
        return _run_columns(source, self.runs, entries).add_to(self.table, counts)


@dataclass(frozen=True)
class RunStream:
    """The rows of many runs as record batches of one schema.

    Attributes:
        schema: The schema.
        batches: The batches; the caller must close it.
        failures: The runs that were skipped.
    """

    schema: pyarrow.Schema
    batches: Generator[pyarrow.RecordBatch, None, None]
    failures: Failures


class RunBatches(Iterator["pyarrow.RecordBatch"]):
    """Iterates over the rows of many runs as record batches. Reading begins with the first batch.

    Args:
        open_stream: Returns the stream.
        rows: The largest number of rows in a batch.
    """

    def __init__(self, open_stream: Callable[[], RunStream], rows: int) -> None:
        self._stream: RunStream | None = None
        self._batches = self._read(open_stream, rows)

    @property
    def failures(self) -> Failures:
        """The runs that are left out (``on_error="skip"``), and why, by their paths; known with the first batch."""
        return dict(self._stream.failures) if self._stream is not None else {}

    def __next__(self) -> pyarrow.RecordBatch:
        return next(self._batches)

    def close(self) -> None:
        """Stops reading."""
        self._batches.close()

    def _read(self, open_stream: Callable[[], RunStream], rows: int) -> Generator[pyarrow.RecordBatch, None, None]:
        self._stream = open_stream()
        with closing(self._stream.batches) as found:
            for batch in found:
                for first in range(0, batch.num_rows or 1, rows):
                    yield batch.slice(first, rows)


def read_table(runs: Runs[Any], options: FrameOptions) -> tuple[pyarrow.Table, Failures]:
    """Reads all rows of all runs into one table.

    Args:
        runs: The runs.
        options: What to read.

    Returns:
        The table, and the runs that were skipped.

    Raises:
        HistoryError: A run can't be read, and `options` do not skip it.
    """
    found = read_rows(runs, options)
    check_chosen(runs, options, _formats_of(found.table))
    return found.with_run_columns(runs, options.config), found.failures


def read_rows(runs: Runs[Any], options: FrameOptions) -> RunRows:
    """Reads all rows of all runs into columns of keys.

    Args:
        runs: The runs.
        options: What to read.

    Returns:
        The rows.

    Raises:
        HistoryError: A run can't be read, and `options` do not skip it.
    """
    import pyarrow

    members: list[Member] = []
    reducer = RowReducer(options) if options.reduces else None
    with open_progress(options.progress, len(runs)) as watch:
        chunks = RunChunks(
            _noted(runs.members(), members),
            options,
            options.threads or runs.reading_threads,
            runs.can_reread,
            options.on_error,
            total=len(runs),
            watch=watch,
        )
        if reducer is not None:
            for part in chunks:
                reducer.add(part)
            return _reduced_rows(reducer, members, chunks)
        parts = list(chunks)
    formats = merge_columns([part.chunk for part in parts])
    rows = [0] * len(members)
    batches: list[pyarrow.RecordBatch] = []
    for batch, counts in make_batches(parts, formats, options):
        batches.append(_without(batch, counts, chunks.failed))
        for place, count in counts:
            rows[place] += count
    kept = [place for place in range(len(members)) if place not in chunks.failed]
    return RunRows(
        pyarrow.Table.from_batches(batches, key_schema(formats, options)),
        [0, *accumulate(rows[place] for place in kept)],
        [members[place].run for place in kept],
        chunks.failures,
    )


def _reduced_rows(reducer: RowReducer, members: Sequence[Member], chunks: RunChunks) -> RunRows:
    table, rows = reducer.result()
    if chunks.failed:
        table = _without_rows(table, sorted(rows.items()), chunks.failed)
    kept = [place for place in range(len(members)) if place not in chunks.failed]
    offsets = [0, *accumulate(rows.get(place, 0) for place in kept)]
    return RunRows(table, offsets, [members[place].run for place in kept], chunks.failures)


def stream_runs(runs: Runs[Any], options: FrameOptions) -> RunStream:
    """Streams all rows of all runs as batches of one schema. A pass over all rows finds the schema first.

    Rows of a server are kept in temporary files until then.

    Args:
        runs: The runs.
        options: What to read.

    Returns:
        The stream.

    Raises:
        HistoryError: While streaming: a run can't be read, and `options` do not skip it.
    """
    if options.reduces:
        found = read_rows(runs, options)
        check_chosen(runs, options, _formats_of(found.table))
        table = found.with_run_columns(runs, options.config)
        return RunStream(table.schema, _batches_of(table), found.failures)
    if not runs.can_reread:
        return _stream_spooled(runs, options)
    members = list(runs.members())
    for member in members:
        member.keep_rows()
    threads = options.threads or runs.reading_threads
    survey = RunChunks(members, options, threads, True, "skip" if options.on_error == "skip" else "stop")
    with quiet():  # the second pass warns
        formats = find_formats(survey)
        check_chosen(runs, options, formats)
    if options.on_error == "skip":
        members = [member for place, member in enumerate(members) if place not in survey.failed]
        readable = members
    else:
        # The second pass raises the error of the run at which the first one stopped.
        readable = members[: min(survey.failed, default=len(members)) + 1]
    # A run that can't even be opened has no rows.
    columns = _run_columns(runs, [member.run for member in readable if member.can_be_opened()], options.config)
    schema = columns.add_to_schema(key_schema(formats, options))
    return RunStream(schema, _stream(members, formats, columns, options, threads), survey.failures)


def _stream_spooled(runs: Runs[Any], options: FrameOptions) -> RunStream:
    spooled = spool_runs(runs, options)
    formats = {name: column_format(flags) for name, flags in spooled.type_flags.items()}
    check_chosen(runs, options, formats)
    columns = _run_columns(runs, [member.run for member in spooled.members], options.config)
    schema = columns.add_to_schema(key_schema(formats, options))
    # Nested values have been flattened. The progress was shown while the runs were fetched.
    remaining = replace(options, nested="json", progress=False)

    def batches() -> Generator[pyarrow.RecordBatch, None, None]:
        try:
            yield from _stream(spooled.members, formats, columns, remaining, default_threads())
        finally:
            spooled.folder.remove()

    return RunStream(schema, batches(), spooled.failures)


def _stream(
    members: Sequence[Member], formats: dict[str, str], columns: RunColumns, options: FrameOptions, threads: int
) -> Generator[pyarrow.RecordBatch, None, None]:
    with open_progress(options.progress, len(members)) as watch:
        chunks = RunChunks(members, options, threads, True, total=len(members), watch=watch)
        with closing(iter(chunks)) as parts:
            for batch, counts in make_batches(parts, formats, options):
                yield columns.add_to(batch, counts)


def count_keys(runs: Runs[Any]) -> list[KeyInfo]:
    """Finds the keys of runs, with types and counts, by reading all rows.

    Args:
        runs: The runs.

    Returns:
        The keys: the step first, then the others by name.

    Raises:
        HistoryError: A run can't be read.
    """
    options = FrameOptions(nested="flatten")
    tally = KeyTally()
    flags: dict[str, int] = {}
    with quiet():
        for part in RunChunks(runs.members(), options, runs.reading_threads, runs.can_reread):
            for name, seen in zip(part.chunk.names, part.chunk.type_flags(), strict=True):
                flags[name] = flags.get(name, 0) | seen
            for batch, counts in make_batches([part], merge_columns([part.chunk]), options):
                tally.add_batch(batch, counts)
    tally.add_flags(flags)
    return tally.result()


def _formats_of(table: pyarrow.Table) -> dict[str, str]:
    """Returns which columns of a table have values: a null column has the format that it has in histories."""
    from pyarrow import types

    return {field.name: "n" if types.is_null(field.type) else "" for field in table.schema}


def _run_columns(source: Runs[Any], runs: Sequence[Run], entries: Sequence[str]) -> RunColumns:
    if entries:
        source.load(runs)
    return RunColumns.of(runs, entries)


def _noted(members: Iterable[Member], noted: list[Member]) -> Iterator[Member]:
    for member in members:
        noted.append(member)
        yield member


def _without(batch: pyarrow.RecordBatch, counts: Sequence[tuple[int, int]], failed: set[int]) -> pyarrow.RecordBatch:
    """Drops the rows of runs that failed."""
    return _without_rows(batch, counts, failed) if any(place in failed for place, _ in counts) else batch


def _without_rows(rows: Any, counts: Sequence[tuple[int, int]], failed: set[int]) -> Any:
    """Drops the rows of runs that failed from a table or a batch."""
    import pyarrow

    keeps = array("b")
    for place, count in counts:
        keeps.extend(array("b", [place not in failed]) * count)
    kept = pyarrow.Array.from_buffers(pyarrow.int8(), len(keeps), [None, pyarrow.py_buffer(keeps)])
    return rows.filter(kept.cast(pyarrow.bool_()))


def _batches_of(table: pyarrow.Table) -> Generator[pyarrow.RecordBatch, None, None]:
    yield from table.to_batches() or table.slice(0, 0).to_batches()
