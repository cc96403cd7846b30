"""Many runs as columns whose types are known before the rows are read."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from histscan._core.columns.column_types import column_format
from histscan.columns.chunks import ROWS_PER_CHUNK
from histscan.columns.predicates import ALL_STEPS, StepRange
from histscan.columns.typed_columns import check_types
from histscan.common.key_patterns import KeyChoice
from histscan.common.quiet import quiet
from histscan.common.steps import STEP, UNBOUNDED
from histscan.many.members import Member
from histscan.many.options import FrameOptions
from histscan.many.run_chunks import RunChunk, RunChunks
from histscan.many.run_columns import RunColumns
from histscan.many.schemas import find_flags, key_schema, make_batches

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "KeyFlags",
    "TypedRuns",
    "find_key_flags",
    "key_formats",
    "known_key_flags",
    "merge_flags",
    "survey_key_flags",
]

KeyFlags = Mapping[str, int]
"""The type flags of keys, as in ``column_types``."""


def find_key_flags(members: Sequence[Member], options: FrameOptions, threads: int, *, in_groups: bool) -> KeyFlags:
    """Finds the types of the keys of runs: without reading rows where a source knows them, else by a pass over them.

    Args:
        members: The runs.
        options: Which keys of which steps.
        threads: How many runs are asked for, or read, at the same time.
        in_groups: As for `RunChunks`.

    Returns:
        The flags of each key, in the order of their first appearance.

    Raises:
        HistoryError: A run can't be read.
    """
    known = known_key_flags(members, threads)
    unknown = [member for member, flags in zip(members, known, strict=True) if flags is None]
    surveyed = [survey_key_flags(unknown, options, threads, in_groups=in_groups)] if unknown else []
    return merge_flags([*(flags for flags in known if flags is not None), *surveyed])


def known_key_flags(members: Sequence[Member], threads: int) -> list[KeyFlags | None]:
    """Finds the types of the keys of runs without reading rows.

    Args:
        members: The runs.
        threads: How many runs are asked for at the same time.

    Returns:
        The flags of the keys of each run; None for runs whose types are unknown.

    Raises:
        HistoryError: A run can't be read.
    """

    def known(member: Member) -> KeyFlags | None:
        return member.run.key_type_flags()

    with ThreadPoolExecutor(threads, thread_name_prefix="histscan-types") as pool:
        return list(pool.map(known, members))


def survey_key_flags(members: Sequence[Member], options: FrameOptions, threads: int, *, in_groups: bool) -> KeyFlags:
    """Finds the types of the keys of runs by a pass over their rows.

    Args:
        members: The runs.
        options: Which keys of which steps.
        threads: How many runs are read at the same time.
        in_groups: As for `RunChunks`.

    Returns:
        The flags of each key, in the order of their first appearance.

    Raises:
        HistoryError: A run can't be read.
    """
    with quiet():  # the pass that makes the columns warns
        return find_flags(RunChunks(members, options, threads, in_groups))


def merge_flags(found: Iterable[KeyFlags]) -> KeyFlags:
    """Merges the flags of several runs.

    Args:
        found: The flags of each.

    Returns:
        Flags that are valid for all of them.
    """
    merged: dict[str, int] = {}
    for flags in found:
        for name, seen in flags.items():
            merged[name] = merged.get(name, 0) | seen
    return merged


def key_formats(flags: KeyFlags, options: FrameOptions, declared: Mapping[str, str]) -> dict[str, str]:
    """Chooses the columns of keys.

    Args:
        flags: The type flags of the keys that were found.
        options: Which keys.
        declared: The formats that the caller declared.

    Returns:
        The format of each column, in order.
    """
    known = {name: column_format(seen) for name, seen in flags.items()}
    chosen = options.select([*known, *(name for name in declared if name not in known)])
    return {name: declared.get(name) or known.get(name, "n") for name in chosen}


class TypedRuns:
    """Runs whose columns are known.

    Args:
        members: The runs.
        options: What to read; `keys` are ignored.
        formats: The formats of the columns of keys.
        threads: How many runs are read at the same time.
        in_groups: As for `RunChunks`.
        columns: The columns that name the run; None to find them.
    """

    def __init__(
        self,
        members: Sequence[Member],
        options: FrameOptions,
        formats: Mapping[str, str],
        threads: int,
        *,
        in_groups: bool,
        columns: RunColumns | None = None,
    ) -> None:
        self._members = members
        self._threads = threads
        self._in_groups = in_groups
        self._options = options
        self._columns = columns or RunColumns.of([member.run for member in members], options.config)
        schema = self._columns.add_to_schema(key_schema(formats, _of_keys(options, list(formats))))
        self.run_columns = schema.names[: len(schema) - len(formats)]
        # A key of the name of another column can't be a column beside it.
        self._formats = {name: found for name, found in formats.items() if name not in self.run_columns}
        self.schema: pyarrow.Schema = self._columns.add_to_schema(
            key_schema(self._formats, self._of(list(self._formats)))
        )

    def _of(self, keys: Sequence[str], steps: StepRange = ALL_STEPS) -> FrameOptions:
        """Returns the options of a range of steps of some keys."""
        options = self._options
        stop = UNBOUNDED if options.max_step is None else options.max_step
        both = steps.intersect(StepRange(options.min_step, stop))
        return replace(
            _of_keys(options, keys), min_step=both.first, max_step=None if both.stop == UNBOUNDED else both.stop
        )

    def one_row_each(self) -> pyarrow.Table:
        """Returns the columns that name the run, with one row for each run."""
        import pyarrow

        return self._columns.add_to(pyarrow.table({}), [(place, 1) for place in range(len(self._members))])

    def read(
        self,
        columns: Sequence[str] | None = None,
        steps: StepRange = ALL_STEPS,
        places: Sequence[int] | None = None,
        *,
        rows: int | None = None,
    ) -> Generator[pyarrow.RecordBatch, None, None]:
        """Reads rows.

        Args:
            columns: The columns; None for all.
            steps: The steps; others may be read, too.
            places: The runs to read; None for all.
            rows: The number of rows that are needed, if the caller stops after them; None for all.

        Yields:
            Batches.

        Raises:
            HistoryError: A run can't be read, or a value does not have the type of its column.
        """
        names = self.schema.names if columns is None else list(columns)
        keys = [name for name in names if name in self._formats] or [STEP]
        formats = {key: self._formats.get(key, "l") for key in keys}
        options = self._of(keys, steps)
        chosen = range(len(self._members)) if places is None else places
        if options.max_step is not None and options.max_step <= options.min_step:
            return
        members = [self._members[place] for place in chosen]
        threads = self._threads if rows is None else 1
        chunk_rows = None if rows is None else max(1, min(rows, ROWS_PER_CHUNK))
        chunks = RunChunks(members, options, threads, self._in_groups, rows=chunk_rows)
        with closing(_checked(chunks, formats)) as parts:
            for batch, counts in make_batches(parts, formats, options):
                counted = [(chosen[place], count) for place, count in counts]
                yield self._columns.add_to(batch, counted).select(names)


def _of_keys(options: FrameOptions, keys: Sequence[str]) -> FrameOptions:
    return FrameOptions(
        keys=KeyChoice(tuple(keys)),
        config=options.config,
        min_step=options.min_step,
        max_step=options.max_step,
        nested=options.nested,
    )


def _checked(chunks: RunChunks, formats: Mapping[str, str]) -> Generator[RunChunk, None, None]:
    with closing(iter(chunks)) as parts:
        for part in parts:
            check_types(part.chunk, formats)
            yield part
