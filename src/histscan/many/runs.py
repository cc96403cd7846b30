"""The contract of collections of runs, and what follows from it: tables, keys and frames of many runs."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from histscan.columns.frames import Compression
from histscan.columns.options import DEFAULT_BATCH_ROWS
from histscan.columns.pandas_frames import DtypeBackend, make_pandas
from histscan.columns.threads import default_threads
from histscan.columns.timestamps import convert_schema, convert_timestamps
from histscan.common.atomic import atomic_output
from histscan.many.filters import RunFields
from histscan.many.members import Member
from histscan.many.options import FrameOptions
from histscan.many.plots import RunsPlots
from histscan.many.run_table import RunTable, describe_runs, need_pyarrow, parse_time
from histscan.runs.contracts import Run
from histscan.runs.file_run import FileRun

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    from typing_extensions import Unpack

    from histscan.many.frames import RunBatches, RunStream
    from histscan.many.options import FrameArguments, LazyArguments
    from histscan.many.run_chunks import Failures
    from histscan.many.run_keys import KeyInfo, KeyPatterns

__all__ = ["RUN_FIELDS", "RunList", "Runs", "Statistic"]

Statistic = Literal["mean", "std", "min", "max", "count", "ci95"]
"""A statistic of `Runs.aggregate`."""

_Run_co = TypeVar("_Run_co", bound=Run, covariant=True)

RUN_FIELDS: RunFields[Run] = RunFields(
    {
        "name": lambda run: run.id,
        "entity": lambda run: run.entity,
        "project": lambda run: run.project,
        "display_name": lambda run: run.name,
        "created_at": lambda run: parse_time(run.created_at),
        "heartbeat_at": lambda run: parse_time(run.heartbeat_at),
        "duration": lambda run: run.duration,
        "tags": lambda run: run.tags,
        "group": lambda run: run.group or None,
        "job_type": lambda run: run.job_type or None,
        "notes": lambda run: run.notes or None,
        "sweep": lambda run: run.sweep_id or None,
        "state": lambda run: run.state,
        "config": lambda run: run.config,
        "summary_metrics": lambda run: run.summary,
        "last_history_step": lambda run: run.lastHistoryStep,
    }
)
"""Reads the fields of runs for filters and orders."""


class Runs(RunsPlots, ABC, Generic[_Run_co]):
    """A collection of runs, which are found and read when they are needed.

    A source of runs defines iteration, ``len()`` and the choice of one run; everything else follows from these. The
    frames have one row for each row of each run, in the order of the runs, whichever is read first.
    """

    _failures: Failures | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[_Run_co]:
        """Yields each run."""

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of runs."""

    @overload
    def __getitem__(self, place: int) -> _Run_co: ...

    @overload
    def __getitem__(self, place: slice) -> RunList[_Run_co]: ...

    def __getitem__(self, place: int | slice) -> _Run_co | RunList[_Run_co]:
        if isinstance(place, slice):
            return RunList(
                list(self)[place], f"{place.start or 0}:{'' if place.stop is None else place.stop} of {self}", self
            )
        return self._run_at(place)

    def _run_at(self, place: int) -> _Run_co:
        return list(self)[place]

    @property
    def location(self) -> str:
        """What the runs are of: a project, a folder, a pattern."""
        return ""

    @property
    def failures(self) -> Failures:
        """The runs that the last frame left out (``on_error="skip"``), and why, by their paths."""
        return dict(self._failures or {})

    @property
    def reading_threads(self) -> int:
        """How many runs are read at the same time by default: for files, one per core, at most four."""
        return default_threads()

    @property
    def can_reread(self) -> bool:
        """True for runs in files: reading twice takes little longer than once, so that batches need no memory."""
        return True

    @property
    def server(self) -> str:
        """The address of the server that has the runs; empty for files."""
        return ""

    @property
    def whole_project(self) -> tuple[str, str] | None:
        """Entity and project, if these are all runs of a project on a server; else None."""
        return None

    def relist(self) -> Runs[_Run_co]:
        """Returns the same collection as its source has it now; runs in files are not searched for again."""
        return self

    def members(self) -> Iterator[Member]:
        """Yields the runs as they are read: files need not be opened for it."""
        return self.members_of(self)

    def members_of(self, runs: Iterable[Any]) -> Iterator[Member]:
        """Yields some of the runs as they are read.

        Args:
            runs: The runs.
        """
        for run in runs:
            size = run.history_bytes if isinstance(run, FileRun) else 0
            yield Member(partial(_identity, run), run.location, size)

    def load(self, runs: Sequence[Any]) -> None:
        """Loads the descriptions of runs together, if each of them would be a request. Files do not need it.

        Args:
            runs: Some of the runs.

        Raises:
            HistoryRequestError: A request failed.
        """

    def list_with_keys(self) -> None:
        """Lists the runs that are not listed yet, with the keys of their histories if a request can have both.

        Raises:
            HistoryRequestError: The request failed.
        """

    def load_keys(self, runs: Sequence[Any]) -> None:
        """Loads the keys of the histories of runs together, if those of each would be a request.

        Args:
            runs: Some of the runs.

        Raises:
            HistoryRequestError: A request failed.
        """

    # Choosing

    def filter(self, filters: Mapping[str, Any]) -> Runs[_Run_co]:
        """Selects runs.

        Args:
            filters: Conditions in MongoDB's query language, as for `histscan.Api.runs`: ``{"state": "finished"}``,
                ``{"config.lr": {"$gte": 0.01}}``, ``{"tags": "baseline"}``, ``{"display_name": {"$regex": "^base"}}``.

        Returns:
            The runs that fulfil the conditions, in the same order.

        Raises:
            FilterError: A condition is invalid.
            HistoryError: A run can't be read.
        """
        test = RUN_FIELDS.compile(filters)
        return RunList([run for run in self if test(run)], f"a selection of {self}", self)

    def sort(self, order: str) -> Runs[_Run_co]:
        """Sorts the runs.

        Args:
            order: What to sort by: ``"created_at"``, ``"config.lr"``, ``"summary_metrics.loss"``, …; with ``-`` before
                it in descending order. Several fields are separated by commas.

        Returns:
            The runs in this order; those without a value come last.

        Raises:
            FilterError: There is no such field.
            HistoryError: A run can't be read.
        """
        ordered: list[Any] = RUN_FIELDS.sort(self, order)
        return RunList(ordered, f"{self} by {order}", self)

    # Descriptions

    def table(self) -> RunTable:
        """Describes the runs in one table. Reads no history of runs on a server.

        Returns:
            One row for each run: id, name, state, created_at, tags, group, job type, sweep, …, ``config.…`` and
            ``summary.…``, flattened. `RunTable.to_pandas`, ``to_polars`` and ``to_arrow`` make frames of it.

        Raises:
            HistoryError: A run can't be read.
            ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
        """
        need_pyarrow()
        runs = list(self)
        self.load(runs)
        return describe_runs(runs, self.reading_threads)

    def keys(self, pattern: KeyPatterns | None = None) -> list[KeyInfo]:
        """Finds the keys of the histories of all runs.

        Args:
            pattern: Only these keys: a glob (``"val/*"``), a compiled regular expression, or several; None for all.

        Returns:
            Each key with its type, its number of values and the number of runs that have it: the step first, then the
            others by name. Nested keys are dotted.

        Raises:
            HistoryError: A run can't be read.
            ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
        """
        from histscan.many.frames import count_keys
        from histscan.many.run_keys import choose_keys

        need_pyarrow()
        return choose_keys(count_keys(self), pattern)

    # Frames

    def to_arrow(
        self, keys: Iterable[str | re.Pattern[str]] | None = None, **options: Unpack[FrameArguments]
    ) -> pyarrow.Table:
        """Reads the histories of all runs into one Arrow table.

        Args:
            keys: The keys to make columns of, in this order; globs (``"val/*"``) and compiled regular expressions
                choose several. None for all keys. All rows are there: where one lacks a key, its value is null.
            **options: What else to read, and how; see `histscan.many.options.FrameArguments` and
                `histscan.columns.reductions.ReduceArguments`.

        Returns:
            The table. The first columns are ``run_id`` and ``run_name``, both dictionary-encoded, and the entries of
            `config`. The rows of a run are together and in their order. Types are valid for all rows.

        Raises:
            HistoryError: A run can't be read, unless `on_error` is ``"skip"``.
            ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
            ValueError: An argument is out of its range.
        """
        from histscan.many.frames import read_table

        need_pyarrow()
        chosen = FrameOptions.of_frame(keys, {"with_step": True, **options})
        table, self._failures = read_table(self, chosen)
        return convert_timestamps(table) if chosen.timestamps == "datetime" else table

    def to_pandas(
        self,
        keys: Iterable[str | re.Pattern[str]] | None = None,
        *,
        dtype_backend: DtypeBackend | None = None,
        **options: Unpack[FrameArguments],
    ) -> pandas.DataFrame:
        """Reads the histories of all runs into one pandas frame.

        Args:
            keys: As for `to_arrow`.
            dtype_backend: As for `histscan.columns.frames.Frames.to_pandas`.
            **options: As for `to_arrow`.

        Returns:
            A ``pandas.DataFrame``; ``run_id`` and ``run_name`` are categories.

        Raises:
            HistoryError: A run can't be read, unless `on_error` is ``"skip"``.
            ImportError: pandas or pyarrow is not installed.
        """
        return make_pandas(self.to_arrow(keys, **options), dtype_backend)

    def to_polars(
        self, keys: Iterable[str | re.Pattern[str]] | None = None, **options: Unpack[FrameArguments]
    ) -> polars.DataFrame:
        """Reads the histories of all runs into one polars frame.

        Args:
            keys: As for `to_arrow`.
            **options: As for `to_arrow`.

        Returns:
            A ``polars.DataFrame``; ``run_id`` and ``run_name`` are categories.

        Raises:
            HistoryError: A run can't be read, unless `on_error` is ``"skip"``.
            ImportError: polars or pyarrow is not installed.
        """
        from histscan.many.run_table import to_polars

        return to_polars(self.to_arrow(keys, **options))

    def scan_polars(
        self,
        keys: Iterable[str | re.Pattern[str]] | None = None,
        *,
        types: Mapping[str, str] | None = None,
        **options: Unpack[LazyArguments],
    ) -> polars.LazyFrame:
        """Makes a lazy frame of the histories of all runs, which reads what a query needs when it is collected.

        Only the columns of the query are made; only the steps are read that its filters on ``_step`` can select, and
        only the runs that its filters on ``run_id``, ``run_name`` and ``config.…`` select.

        The columns and types are those of `to_polars`, and are found when the lazy frame is first used; for runs on a
        server as described at `histscan.runs.contracts.Run.scan_polars`.

        Args:
            keys: As for `to_arrow`.
            types: As for `histscan.runs.contracts.Run.scan_polars`.
            **options: What else to read, and how; see `histscan.many.options.LazyArguments`.

        Returns:
            A ``polars.LazyFrame``.

        Raises:
            ImportError: polars or pyarrow is not installed, or polars is older than 1.25.
            ValueError: An argument is out of its range.
        """
        from histscan.columns.typed_columns import formats_of_types
        from histscan.many.lazy import scan_runs

        need_pyarrow()
        return scan_runs(self, FrameOptions.of_lazy(keys, options), formats_of_types(types))

    def batches(
        self,
        keys: Iterable[str | re.Pattern[str]] | None = None,
        *,
        rows: int = DEFAULT_BATCH_ROWS,
        **options: Unpack[FrameArguments],
    ) -> RunBatches:
        """Reads the histories of all runs as record batches of one schema, in memory that does not grow with the runs.

        Args:
            keys: As for `to_arrow`.
            rows: The largest number of rows in a batch.
            **options: As for `to_arrow`.

        Returns:
            An iterator over ``pyarrow.RecordBatch`` objects; at least one, which may have no rows. Its `failures` are
            the runs that it leaves out. While iterating, it raises a `HistoryError` at a run that can't be read, unless
            `on_error` is ``"skip"``.

        Raises:
            ImportError: pyarrow is not installed.
            ValueError: An argument is out of its range.
        """
        from histscan.many.frames import RunBatches, stream_runs

        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows}")
        need_pyarrow()
        chosen = FrameOptions.of_frame(keys, {"with_step": True, **options})

        def open_stream() -> RunStream:
            stream = stream_runs(self, chosen)
            self._failures = stream.failures
            if chosen.timestamps != "datetime":
                return stream
            return replace(stream, schema=convert_schema(stream.schema), batches=_with_times(stream.batches))

        return RunBatches(open_stream, rows)

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        keys: Iterable[str | re.Pattern[str]] | None = None,
        *,
        compression: Compression = "zstd",
        **options: Unpack[FrameArguments],
    ) -> None:
        """Reads the histories of all runs into one Parquet file, in memory that does not grow with the runs.

        The file is renamed to its name once it is complete: an interrupted call leaves no file, and an existing one as
        it was.

        Args:
            path: The file; an existing one is replaced.
            keys: As for `to_arrow`.
            compression: ``"zstd"``, ``"snappy"``, ``"gzip"``, ``"lz4"`` or ``"none"``.
            **options: As for `to_arrow`.

        Raises:
            HistoryError: A run can't be read, unless `on_error` is ``"skip"``.
            ImportError: pyarrow is not installed.
            OSError: The file can't be written.
            ValueError: An argument is out of its range.
        """
        from histscan.columns.arrow_files import write_batches

        with atomic_output(Path(path)) as output:
            write_batches(self.batches(keys, **options), output, file_format="parquet", compression=compression)

    def aggregate(
        self,
        keys: Iterable[str | re.Pattern[str]],
        *,
        by: str | Sequence[str] | None = None,
        over: str | None = None,
        statistics: Sequence[Statistic] = ("mean", "std", "min", "max", "count"),
        method: Literal["bucket", "interpolate"] = "bucket",
        buckets: int | None = None,
        **options: Unpack[FrameArguments],
    ) -> pyarrow.Table:
        """Computes statistics of keys over groups of runs, on an x-axis that they share: mean and spread over seeds.

        Args:
            keys: The keys, globs and regular expressions; numbers or bools.
            by: The entries of the config that make groups: ``"config.lr"``. None for one group of all runs; or with
                `over`, for groups of runs that agree in all other entries of their configs.
            over: The entry of the config that differs within a group: ``"seed"``. Runs of a group with the same value
                count once together. None for each run by itself.
            statistics: Any of ``"mean"``, ``"std"`` (of a sample, divided by count - 1), ``"min"``, ``"max"``,
                ``"count"`` (of runs) and ``"ci95"`` (half the width of the 95 % confidence interval of the mean).
            method: ``"bucket"``: each run counts by the mean of its values in a bucket of the x-axis.
                ``"interpolate"``: by its value at each place, interpolated linearly between its own.
            buckets: Equal parts that the range of x is split into, or places at equal distances; None for each x that
                was logged.
            **options: What else to read, and how; see `histscan.many.options.FrameArguments`. `x` is the x-axis.

        Returns:
            A table with a row for each group and x: the entries that make groups, the number of ``runs`` of the group,
            `x`, and a column ``key.statistic`` for each of these.

        Raises:
            HistoryError: A run can't be read, unless `on_error` is ``"skip"``.
            ValueError: An argument is out of its range, a key is not numeric, or no run has it.
        """
        from histscan.many.aggregation import aggregate_runs

        need_pyarrow()
        chosen = FrameOptions.of_frame(keys, options)
        table, found = aggregate_runs(
            self,
            replace(chosen, keeps_axis=True),
            by=[by] if isinstance(by, str) else by,
            over=over,
            statistics=statistics,
            method=method,
            buckets=buckets,
        )
        self._failures = found.failures
        return table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the histories of all runs as a stream of record batches, for consumers of Arrow's PyCapsules.

        Args:
            requested_schema: The schema that the consumer prefers; the stream may have another one.

        Returns:
            A capsule of an ``ArrowArrayStream``.

        Raises:
            HistoryError: A run can't be read.
        """
        from histscan.many.frames import stream_runs

        pyarrow = need_pyarrow()
        stream = stream_runs(self, FrameOptions())
        reader = pyarrow.RecordBatchReader.from_batches(stream.schema, stream.batches)
        return reader.__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        from histscan.many.runs_html import runs_html

        return runs_html(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.location}>"

    def __str__(self) -> str:
        return self.location


class RunList(Runs[_Run_co]):
    """Runs that were chosen one by one.

    Args:
        runs: The runs.
        location: What they are, for ``repr()``.
        like: The collection that they were chosen from, which decides how they are read; None for files.
    """

    def __init__(self, runs: Sequence[_Run_co], location: str = "a list", like: Runs[Any] | None = None) -> None:
        self._runs = list(runs)
        self._location = location
        self._like = like

    def __iter__(self) -> Iterator[_Run_co]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def _run_at(self, place: int) -> _Run_co:
        return self._runs[place]

    def members(self) -> Iterator[Member]:
        """See `Runs.members`."""
        return super().members() if self._like is None else self._like.members_of(self._runs)

    def members_of(self, runs: Iterable[Any]) -> Iterator[Member]:
        """See `Runs.members_of`."""
        return super().members_of(runs) if self._like is None else self._like.members_of(runs)

    def load(self, runs: Sequence[Any]) -> None:
        """See `Runs.load`."""
        if self._like is not None:
            self._like.load(runs)

    def load_keys(self, runs: Sequence[Any]) -> None:
        """See `Runs.load_keys`."""
        if self._like is not None:
            self._like.load_keys(runs)

    @property
    def location(self) -> str:
        """What the runs are."""
        return self._location

    def relist(self) -> RunList[_Run_co]:
        """Returns the same runs as their source has them now; without those that it has no more."""
        if self._like is None or not self.server:
            return self
        ids = [run.id for run in self._runs]
        found = {run.id: run for run in self._like.relist().filter({"name": {"$in": ids}})}
        return RunList([found[name] for name in ids if name in found], self._location, self._like)

    @property
    def reading_threads(self) -> int:
        """As for the collection that the runs were chosen from."""
        return super().reading_threads if self._like is None else self._like.reading_threads

    @property
    def server(self) -> str:
        """As for the collection that the runs were chosen from."""
        return super().server if self._like is None else self._like.server

    @property
    def can_reread(self) -> bool:
        """As for the collection that the runs were chosen from."""
        return super().can_reread if self._like is None else self._like.can_reread


def _identity(run: Run) -> Run:
    return run


def _with_times(batches: Generator[pyarrow.RecordBatch, None, None]) -> Generator[pyarrow.RecordBatch, None, None]:
    """Yields batches in which times are dates and times."""
    with closing(batches):
        yield from map(convert_timestamps, batches)
