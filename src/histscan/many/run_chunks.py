"""Builds chunks of columns from the pages of many runs, and notes which rows belong to which run."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.pages.page import Page
from histscan.columns.chunks import build_chunks
from histscan.columns.scan import Pages
from histscan.common.printable import printable
from histscan.common.quiet import is_quiet, quiet
from histscan.errors import HistoryError, RunSkippedWarning
from histscan.many.members import Member
from histscan.many.options import FrameOptions, RunsProgress
from histscan.many.progress import Watch
from histscan.many.reading import RunPages, read_ahead

__all__ = ["ChunkMaker", "Failures", "RunChunk", "RunChunks"]

Failures = dict[str, Exception]
"""What went wrong, by the path of the run."""

_GROUP_BYTES = 4 << 20
_GROUP_RUNS = 256
_LARGE_RUN = 64 << 20
_GROUPS_AHEAD = 2
"""Groups that are being read or wait, for each thread."""


@dataclass(frozen=True)
class RunChunk:
    """The columns of some consecutive rows, of one run or of several.

    Attributes:
        chunk: The columns.
        counts: The place of each run, and the number of its rows in the chunk, in order.
    """

    chunk: ColumnChunk
    counts: Sequence[tuple[int, int]]


@dataclass
class RunChunks:
    """Reads the rows of runs as chunks of columns.

    Runs in files are read in groups: a thread reads the files of a group and builds their columns while the data are
    in its cache. Runs on a server, and large files, are fetched by other threads and built by the caller's.

    Args:
        members: The runs.
        options: What to read.
        threads: How many runs, or groups of runs, are read at the same time.
        in_groups: True to read in groups.
        on_error: What to do about a run that can't be read: ``"raise"`` its error, ``"skip"`` the run with a warning,
            or ``"stop"`` before it.
        rows: Rows in a chunk; None for the default. Fewer rows come sooner; files are read in groups all the same.
        total: The number of runs, for the progress.
        watch: Called with the progress.

    Attributes:
        failures: The runs that were skipped.
        failed: The places of these runs. The chunks have their rows as far as they were read: drop them.
    """

    members: Iterable[Member]
    options: FrameOptions
    threads: int
    in_groups: bool
    on_error: Literal["raise", "skip", "stop"] = "raise"
    rows: int | None = None
    total: int = 0
    watch: Watch | None = None
    failures: Failures = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._is_quiet = False
        self._has_stopped = False
        self._rows = 0
        self._bytes = 0

    def __iter__(self) -> Generator[RunChunk, None, None]:
        """Yields the chunks; at least one, which may have no rows.

        Raises:
            HistoryError: A run can't be read; the rows before have been yielded.
        """
        self._is_quiet = is_quiet()
        members = enumerate(self.members)
        is_first = True
        for part in self._read_groups(members) if self.in_groups else self._read_runs(members):
            if len(part.chunk) or is_first:
                is_first = False
                yield part
        if is_first:
            yield RunChunk(ColumnBuilder(self.options.names, flatten=self.options.flatten).take_chunk(), [])

    def _read_groups(self, members: Iterator[tuple[int, Member]]) -> Iterator[RunChunk]:
        process = os.getpid()
        groups = _groups(members)
        waiting: deque[tuple[_Group, Future[list[RunChunk | _Failure]] | None]] = deque()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="histscan-runs")
        try:
            while not self._has_stopped:
                while len(waiting) < self.threads * _GROUPS_AHEAD and (group := next(groups, None)) is not None:
                    waiting.append((group, None if group.is_large else pool.submit(self._build_group, group)))
                if not waiting:
                    return
                if os.getpid() != process:
                    raise HistoryError(
                        "the process was forked while runs were read: read them again in the child process"
                    )
                group, built = waiting.popleft()
                if built is None:
                    yield from self._read_runs(iter(group.members))
                    continue
                rows = 0
                for part in built.result():
                    if isinstance(part, _Failure):
                        self._note_failure(part.error, part.run)
                    else:
                        rows += len(part.chunk)
                        yield part
                self._report(group.members[-1][0] + 1, rows, sum(member.size for _, member in group.members))
        finally:
            if os.getpid() == process:
                pool.shutdown(wait=False, cancel_futures=True)

    def _build_group(self, group: _Group) -> list[RunChunk | _Failure]:
        """Reads the runs of a group and builds their columns, in another thread."""
        built: list[RunChunk | _Failure] = []
        runs = (RunPages(place, member, member.open_pages(self.options)) for place, member in group.members)
        with quiet() if self._is_quiet else nullcontext():
            while True:
                maker = ChunkMaker(self.options)
                try:
                    built.extend(maker.make(runs))
                    return built
                except (HistoryError, OSError) as error:
                    built.append(_Failure(maker.current, error))
                    if self.on_error != "skip":
                        return built

    def _read_runs(self, members: Iterator[tuple[int, Member]]) -> Iterator[RunChunk]:
        with closing(read_ahead(members, self._open_pages, self.threads)) as runs:
            while not self._has_stopped:
                maker = ChunkMaker(self.options, self._report, self.rows)
                try:
                    yield from maker.make(runs)
                    return
                except (HistoryError, OSError) as error:
                    self._note_failure(error, maker.current)

    def _open_pages(self, member: Member) -> Pages:
        with quiet() if self._is_quiet else nullcontext():
            yield from member.open_pages(self.options)

    def _report(self, runs: int, rows: int, size: int) -> None:
        self._rows += rows
        self._bytes += size
        if self.watch is not None:
            self.watch(RunsProgress(runs, self.total, self._rows, self._bytes))

    def _note_failure(self, error: HistoryError | OSError, failed: RunPages[Member, Any] | None) -> None:
        """Notes that a run can't be read, or raises the error."""
        if failed is None:
            raise error
        if self.on_error == "stop":
            self._has_stopped = True
            self.failed.add(failed.place)
            return
        name = failed.run.name
        if isinstance(error, HistoryError):
            failed.run.add_location(error)
        if self.on_error == "raise":
            raise error
        self.failures[name] = error
        self.failed.add(failed.place)
        warnings.warn(f"{printable(name)} is left out: {error}", RunSkippedWarning, stacklevel=6)


class ChunkMaker:
    """Builds chunks from the pages of runs, in one thread.

    Args:
        options: What to read.
        report: Called after each run with the number of runs up to it, of its rows, and of the bytes of its files.
        rows: As for `RunChunks`.

    Attributes:
        current: The run whose pages are being added; None before the first one.
    """

    def __init__(
        self, options: FrameOptions, report: Callable[[int, int, int], object] | None = None, rows: int | None = None
    ) -> None:
        self._options = options
        self._rows = rows
        self._report = report
        self._added: deque[tuple[int, int]] = deque()
        self.current: RunPages[Member, Page | list[Any]] | None = None

    def make(self, runs: Iterable[RunPages[Member, Page | list[Any]]]) -> Iterator[RunChunk]:
        """Builds the chunks.

        Args:
            runs: The runs.

        Yields:
            Chunks. One may have rows of several runs, and a run may have rows in several.

        Raises:
            HistoryError: A run can't be read; the rows before have been yielded.
        """
        keys, flatten = self._options.names, self._options.flatten
        for chunk in build_chunks(self._pages(runs), keys=keys, flatten=flatten, rows=self._rows):
            yield RunChunk(chunk, self._take_counts(len(chunk)))

    def _pages(self, runs: Iterable[RunPages[Member, Page | list[Any]]]) -> Iterator[Page | list[Any]]:
        for run in runs:
            self.current = run
            rows = 0
            for page in run.pages:
                # Before the page is added, because a chunk may end within it.
                self._added.append((run.place, len(page)))
                rows += len(page)
                yield page
            if self._report is not None:
                self._report(run.place + 1, rows, run.run.size)

    def _take_counts(self, rows: int) -> list[tuple[int, int]]:
        """Returns the runs of the next rows that were added to the builder."""
        counts: list[tuple[int, int]] = []
        while rows:
            place, count = self._added.popleft()
            taken = min(count, rows)
            rows -= taken
            if taken < count:
                self._added.appendleft((place, count - taken))
            if counts and counts[-1][0] == place:
                counts[-1] = (place, counts[-1][1] + taken)
            else:
                counts.append((place, taken))
        return counts


class _Failure(NamedTuple):
    """The error of a run, behind the rows that were read before.

    Attributes:
        run: The run; None if it is unknown.
        error: The error.
    """

    run: RunPages[Member, Any] | None
    error: HistoryError | OSError


class _Group(NamedTuple):
    """Consecutive runs that one thread reads.

    Attributes:
        members: The runs and their places.
        is_large: True for one run that is too large to keep all of its columns waiting.
    """

    members: list[tuple[int, Member]]
    is_large: bool


def _groups(members: Iterator[tuple[int, Member]]) -> Iterator[_Group]:
    """Splits runs in files into groups of about the same size."""
    group: list[tuple[int, Member]] = []
    size = 0
    for place, member in members:
        if member.size > _LARGE_RUN:
            if group:
                yield _Group(group, False)
                group, size = [], 0
            yield _Group([(place, member)], True)
            continue
        group.append((place, member))
        size += member.size
        if size >= _GROUP_BYTES or len(group) >= _GROUP_RUNS:
            yield _Group(group, False)
            group, size = [], 0
    if group:
        yield _Group(group, False)
