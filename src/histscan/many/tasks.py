"""Parts of the histories of many runs, for workers: some runs, and a range of their steps, to an Arrow table.

A task can be pickled. It has no credentials: a worker finds the API key as any client does, in ``WANDB_API_KEY`` or
netrc, unless the `histscan.Api` was made with ``pickle_key=True``. Files are opened by their absolute paths.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from histscan.columns.predicates import ALL_STEPS, StepRange
from histscan.columns.typed_columns import formats_of_types
from histscan.common.steps import UNBOUNDED
from histscan.many.known_keys import check_chosen
from histscan.many.members import Member
from histscan.many.options import FrameOptions
from histscan.many.run_columns import RunColumns
from histscan.many.typed_runs import KeyFlags, TypedRuns, key_formats, known_key_flags, merge_flags, survey_key_flags
from histscan.runs.contracts import Run

if TYPE_CHECKING:
    import pyarrow
    from typing_extensions import Unpack

    from histscan.many.options import LazyArguments
    from histscan.many.runs import Runs

__all__ = ["DEFAULT_TARGET_BYTES", "HistoryTask", "TaskPlan", "plan_tasks"]

DEFAULT_TARGET_BYTES = 64 << 20
"""The size of a task by default."""

MapTasks = Callable[[Callable[["HistoryTask"], Any], Sequence["HistoryTask"]], Iterable[Any]]
"""A function that calls a function with each task, as ``map`` does, perhaps on other machines."""


@dataclass(frozen=True, repr=False)
class HistoryTask:
    """Some runs and a range of their steps.

    Attributes:
        runs: The runs.
        columns: The columns that name the run.
        options: What to read, with the range of steps.
        formats: The formats of the columns of keys.
        size: The approximate number of bytes to read.
        threads: How many runs are read at the same time.
        in_groups: True for files, which are read in groups.
        token: Names the contents, for schedulers that recognise equal tasks.
    """

    runs: tuple[Run, ...]
    columns: RunColumns
    options: FrameOptions
    formats: Mapping[str, str]
    size: int
    threads: int
    in_groups: bool
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_arrow(self, columns: Sequence[str] | None = None, steps: StepRange = ALL_STEPS) -> pyarrow.Table:
        """Reads the rows.

        Args:
            columns: The columns to read; None for all.
            steps: Only these steps are needed; others may be read, too.

        Returns:
            The table, with the columns of ``runs.to_arrow()``. All tasks of a plan have the same types.

        Raises:
            HistoryError: A run can't be read, or a value does not have the type of its column.
        """
        import pyarrow

        typed = self._typed()
        names = typed.schema.names if columns is None else list(columns)
        schema = pyarrow.schema([typed.schema.field(name) for name in names])
        return pyarrow.Table.from_batches(list(typed.read(names, steps)), schema)

    @property
    def ids(self) -> list[str]:
        """The values of ``run_id`` for the runs."""
        return self.columns.ids

    @property
    def schema(self) -> pyarrow.Schema:
        """The columns of `to_arrow`."""
        return self._typed().schema

    def _typed(self) -> TypedRuns:
        members = _members(self.runs)
        return TypedRuns(
            members, self.options, self.formats, self.threads, in_groups=self.in_groups, columns=self.columns
        )

    def find_key_flags(self) -> KeyFlags:
        """Finds the types of the keys by reading the rows, for plans.

        Returns:
            The type flags of each key.

        Raises:
            HistoryError: A run can't be read.
        """
        return survey_key_flags(_members(self.runs), self.options, self.threads, in_groups=self.in_groups)

    def choose_runs(self, places: Sequence[int]) -> HistoryTask:
        """Returns a task of some of the runs.

        Args:
            places: Their places in `runs`.
        """
        return replace(
            self,
            runs=tuple(self.runs[place] for place in places),
            columns=self.columns.take(places),
            token=f"{self.token}/{','.join(map(str, places))}",
        )

    def run_table(self) -> pyarrow.Table:
        """Returns the columns that name the run, with one row for each run."""
        return self._typed().one_row_each()

    def __dask_tokenize__(self) -> str:
        return self.token

    def __repr__(self) -> str:
        stop = "" if self.options.max_step is None else self.options.max_step
        ids = self.ids
        return (
            f"<HistoryTask of {len(ids)} runs ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''}), "
            f"steps {self.options.min_step}:{stop}, about {self.size / 1e6:.1f} MB>"
        )


class TaskPlan:
    """Splits the histories of runs into tasks. The types of the columns are found once.

    Args:
        runs: The runs.
        options: What to read.
        declared: The formats that the caller declared.
        map_tasks: Reads tasks to find types, where they are unknown without reading.
    """

    def __init__(
        self,
        runs: Runs[Any],
        options: FrameOptions,
        declared: Mapping[str, str],
        map_tasks: MapTasks = map,
    ) -> None:
        runs.list_with_keys()
        members = list(runs.members())
        self._in_groups = runs.can_reread
        threads = runs.reading_threads
        self._runs = [member.run for member in members]
        # Found once for all runs, so that all tasks have the same types.
        self._columns = RunColumns.of(self._runs, options.config)
        self._options = options
        # A worker has other workers beside it on its machine: one thread for files, but requests wait for the server.
        self._threads = options.threads or (1 if self._in_groups else threads)
        self._formats: Mapping[str, str] = {}
        declared = options.declare_step(declared)
        names = options.names
        flags: KeyFlags = {}
        needs_types = names is None or not set(names) <= set(declared)
        runs.load_keys(self._runs)
        known = known_key_flags(members, threads) if needs_types or not self._in_groups else [{}] * len(members)
        self._sizes = [member.size or member.run.history_bytes for member in members]
        if needs_types:
            unknown = [place for place, found in enumerate(known) if found is None]
            surveyed = map_tasks(HistoryTask.find_key_flags, list(self._tasks(unknown, DEFAULT_TARGET_BYTES)))
            flags = merge_flags([*(found for found in known if found is not None), *surveyed])
        self._formats = key_formats(flags, options, declared)
        check_chosen(runs, options, self._formats)

    @property
    def size(self) -> int:
        """The approximate number of bytes to read."""
        return sum(self._sizes)

    def tasks(self, target_bytes: int = DEFAULT_TARGET_BYTES) -> list[HistoryTask]:
        """Makes the tasks.

        Args:
            target_bytes: The approximate size of each.

        Returns:
            The tasks, in the order of the runs and of their steps; at least one.
        """
        return list(self._tasks(range(len(self._runs)), target_bytes)) or [self._task([], self._options, 0)]

    def _tasks(self, places: Iterable[int], target: int) -> Iterator[HistoryTask]:
        together: list[int] = []
        size = 0
        for place in places:
            if together and size + self._sizes[place] > target:
                yield self._task(together, self._options, size)
                together, size = [], 0
            if self._sizes[place] > target:
                yield from self._split(place, target)
                continue
            together.append(place)
            size += self._sizes[place]
        if together:
            yield self._task(together, self._options, size)

    def _split(self, place: int, target: int) -> Iterator[HistoryTask]:
        """Splits a large run by steps."""
        options = self._options
        stop = UNBOUNDED if options.max_step is None else options.max_step
        parts = -(-self._sizes[place] // target)
        cuts = sorted({cut for cut in self._runs[place].split_steps(parts) if options.min_step < cut < stop})
        firsts = [options.min_step, *cuts]
        stops = [*cuts, options.max_step]
        for first, last in zip(firsts, stops, strict=True):
            yield self._task(
                [place], replace(options, min_step=first, max_step=last), self._sizes[place] // len(firsts)
            )

    def _task(self, places: Sequence[int], options: FrameOptions, size: int) -> HistoryTask:
        return HistoryTask(
            tuple(self._runs[place] for place in places),
            self._columns.take(places),
            options,
            self._formats,
            size,
            self._threads,
            self._in_groups,
        )


def plan_tasks(
    runs: Runs[Any],
    keys: Iterable[str | re.Pattern[str]] | None = None,
    *,
    target_bytes: int = DEFAULT_TARGET_BYTES,
    types: Mapping[str, str] | None = None,
    map_tasks: MapTasks = map,
    **options: Unpack[LazyArguments],
) -> list[HistoryTask]:
    """Splits the histories of runs into tasks of about the same size, for any engine.

    Small runs are put together. Large ones are split: Parquet files between row groups, other histories by steps.

    Args:
        runs: The runs.
        keys: As for ``runs.to_arrow``.
        target_bytes: The approximate size of a task: of its files, or of the server's answers.
        types: As for `histscan.runs.contracts.Run.scan_polars`.
        map_tasks: Calls a function with each task, as ``map`` does. It is used if types are unknown without reading all
            rows, as those of logs are, so that workers can find them.
        **options: What else to read; see `histscan.many.options.LazyArguments`.

    Returns:
        The tasks. Their tables, one after the other, have the rows of ``runs.to_arrow()``.

    Raises:
        HistoryError: A run can't be read.
        ValueError: An argument is out of its range.
    """
    if target_bytes < 1:
        raise ValueError(f"target_bytes must be at least 1, not {target_bytes}")
    plan = TaskPlan(runs, FrameOptions.of_lazy(keys, options), formats_of_types(types), map_tasks)
    return plan.tasks(target_bytes)


def _members(runs: Iterable[Run]) -> list[Member]:
    members = [Member(partial(_identity, run), run.location) for run in runs]
    for member in members:
        # Up to the step that the server reported when the tasks were planned: no request for the last step.
        member.keep_rows()
    return members


def _identity(run: Run) -> Run:
    return run
