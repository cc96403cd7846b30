"""Reads one run, and writes its files in a mirror; called in several threads."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_types import column_format, merge_columns
from histscan._core.pages.page import Page
from histscan.columns.scan import Pages
from histscan.common.keys import in_order
from histscan.common.steps import STEP, UNBOUNDED
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.many.members import Member
from histscan.many.mirrors.history_file import write_history
from histscan.many.mirrors.layouts import Layouts, layout_hash, merge_flags
from histscan.many.mirrors.names import HISTORY_FOLDER, PARTIAL_SUFFIX, SYSTEM_FOLDER
from histscan.many.mirrors.state import MirroredRunEntry, RunKey
from histscan.many.options import FrameOptions
from histscan.many.spool import RowSpool, page_of
from histscan.paging.parquet_pages import read_pages
from histscan.runs.contracts import Run
from histscan.runs.file_run import FileRun
from histscan.runs.run_metadata import describe_run
from histscan.sources.parquet import ParquetSource

__all__ = ["MirrorFolder", "MirrorTask", "RunReadError", "RunResult"]

_CELLS_IN_MEMORY = 2_000_000
"""Cells of a run that is being read: a longer run goes to a temporary file until its types are known."""


class RunReadError(Exception):
    """A run can't be read. Other errors are those of writing.

    Args:
        error: What went wrong.
    """

    def __init__(self, error: HistoryError | OSError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class MirrorTask:
    """What is to be read of a run.

    Attributes:
        member: The run.
        run: The run.
        key: What identifies it.
        entry: What the mirror has of it; None for nothing.
        file: The name of its files.
        run_id: The value of the column ``run_id``.
        version: Its version, from before it is read.
        what: ``"all"`` rows, ``"later"`` rows, or only ``"system"`` metrics.
        system: True to read system metrics, too.
    """

    member: Member
    run: Run
    key: RunKey
    entry: MirroredRunEntry | None
    file: str
    run_id: str
    version: list[Any]
    what: Literal["all", "later", "system"]
    system: bool

    @property
    def is_changed(self) -> bool:
        """True if the run may have another description than the mirror has."""
        return self.entry is None or self.entry.version != self.version

    @property
    def label(self) -> str:
        """The run's path, for errors."""
        return "/".join(filter(None, self.key[:3]))


class RunResult(NamedTuple):
    """What was read of a run.

    Attributes:
        entry: What the mirror has of it now.
        what: As in `MirrorTask`.
        rows: Rows that were read.
    """

    entry: MirroredRunEntry
    what: str
    rows: int


class _History(NamedTuple):
    """A history file that was written.

    Attributes:
        rows: The number of rows.
        rows_read: How many of them were read from the source.
        last_step: The highest step.
        columns: The type flags of the run's keys.
        layout: The hash of the file's layout.
    """

    rows: int
    rows_read: int
    last_step: int
    columns: dict[str, int]
    layout: str


class MirrorFolder:
    """Writes the files of runs.

    Args:
        folder: The mirror.
        options: The keys to read.
        keys: The same as the state has them.

    Attributes:
        type_flags: The type flags of all columns of the mirror.
    """

    def __init__(self, folder: Path, options: FrameOptions, keys: list[str] | None) -> None:
        self._folder = folder
        self._options = options
        self._keys = keys
        names = options.names
        self._names = None if names is None else list(dict.fromkeys([STEP, *names]))
        # Replaced, never changed, so that other threads may read it.
        self.type_flags: Mapping[str, int] = {}

    def add_columns(self, columns: Mapping[str, int]) -> None:
        """Adds the columns of a run to those of the mirror.

        Args:
            columns: Their type flags.
        """
        self.type_flags = merge_flags(self.type_flags, columns)

    def run(self, task: MirrorTask) -> RunResult:
        """Reads a run and writes its files.

        Args:
            task: What is to be read.

        Returns:
            What was read.

        Raises:
            RunReadError: The run can't be read.
            OSError: A file can't be written.
        """
        try:
            return self._run(task)
        except HistoryError as error:
            task.member.add_location(error)
            raise RunReadError(error) from error

    def _run(self, task: MirrorTask) -> RunResult:
        entry, history = task.entry, None
        described = self.describe(task.run) if entry is None or task.is_changed else entry.described
        if task.what == "later" and entry is not None:
            # If the file is damaged, it is written again.
            with suppress(HistoryDecodeError):
                history = self._write_later(task, entry, described)
        what = "all" if task.what == "later" and history is None else task.what
        if what == "all":
            history = self._write(task.file, task.run_id, described, _pages_of(task.member, self._options))
        if history is not None:
            entry = self._entry(task, history, described)
        assert entry is not None
        if task.system:
            has_rows = self._write_system(task, described)
            entry = replace(entry, system=True, has_system_file=has_rows or entry.has_system_file)
        entry = replace(entry, version=task.version, described=described, is_deleted=False)
        return RunResult(entry, what, 0 if history is None else history.rows_read)

    def describe(self, run: Run) -> dict[str, Any]:
        """Describes a run for its file and the state.

        Args:
            run: The run.

        Returns:
            The description, with the summary.

        Raises:
            HistoryError: The request for it failed.
        """
        summary = {key: value for key, value in run.summary.items() if key != "_wandb"}
        return {**describe_run(run), "summary": summary}

    def rewrite(self, entry: MirroredRunEntry) -> MirroredRunEntry:
        """Rewrites a history file with the columns of the whole mirror.

        Args:
            entry: What the mirror has of the run.

        Returns:
            The new entry.

        Raises:
            HistoryError: The file is damaged.
            OSError: It can't be read or written.
        """
        pages = _stored_pages(ParquetSource.of_file(self._path(entry.file)))
        history = self._write(entry.file, entry.run_id, entry.described, pages, entry.columns)
        return replace(entry, size=self._path(entry.file).stat().st_size, layout=history.layout)

    def _path(self, file: str) -> Path:
        return self._folder / HISTORY_FOLDER / file

    def _entry(self, task: MirrorTask, history: _History, described: dict[str, Any]) -> MirroredRunEntry:
        last_step = history.last_step
        if isinstance(task.run, FileRun):
            # Rows of logs may lack a step of their own.
            last_step = max(last_step, task.run.lastHistoryStep)
        return MirroredRunEntry(
            key=task.key,
            run_id=task.run_id,
            file=task.file,
            size=self._path(task.file).stat().st_size,
            version=task.version,
            keys=self._keys,
            rows=history.rows,
            last_step=last_step,
            columns=history.columns,
            layout=history.layout,
            system=task.entry is not None and task.entry.system,
            has_system_file=task.entry is not None and task.entry.has_system_file,
            is_deleted=False,
            described=described,
        )

    def _write(
        self,
        file: str,
        run_id: str,
        described: Mapping[str, Any],
        pages: Iterable[Page | list[Any]],
        own: dict[str, int] | None = None,
    ) -> _History:
        """Writes a history file.

        Args:
            file: Its name.
            run_id: The value of the column ``run_id``.
            described: The description of the run.
            pages: The rows.
            own: The columns of the run; None for those that the rows have.

        Returns:
            What was written.
        """
        with self._spool() as spool:
            spool.fill(pages, self._names)
            if own is None:
                own = {name: spool.type_flags[name] for name in self._choose(spool.type_flags)}
            layout = Layouts(merge_flags(self.type_flags, own)).of(own)
            formats = {name: column_format(flags) for name, flags in own.items()}
            last_step = write_history(
                self._path(file), spool.take_chunks(), layout, own=formats, run_id=run_id, described=described
            )
            return _History(spool.rows, spool.rows, last_step, own, layout_hash(layout))

    def _write_later(self, task: MirrorTask, entry: MirroredRunEntry, described: Mapping[str, Any]) -> _History | None:
        """Adds the rows after the last step to a history file. Returns None if earlier rows have changed, too.

        The rows of the last step are read again: they differ if the run was rewound, or started again.
        """
        source = ParquetSource.of_file(self._path(entry.file))
        known = read_pages([source], keys=None, min_step=entry.last_step, stop_step=UNBOUNDED)
        last_rows = [row for page in known for row in page.rows()]
        pages = _pages_of(task.member, replace(self._options, min_step=entry.last_step))
        repeated: list[Any] = []
        later: list[Any] = []
        for page in pages:
            rows = page.rows() if isinstance(page, Page) else page
            repeated.extend(row for row in rows if row.get(STEP) == entry.last_step)
            later = [row for row in rows if row.get(STEP) != entry.last_step]
            if later:
                break
        if not self._are_equal(repeated, last_rows):
            return None
        if not later:
            return _History(entry.rows, 0, entry.last_step, entry.columns, entry.layout)
        written = self._write(entry.file, entry.run_id, described, chain(_stored_pages(source), [later], pages))
        # Ints of a column of floats are stored as floats.
        columns = dict(merge_flags(entry.columns, written.columns))
        return written._replace(rows_read=written.rows - entry.rows, columns=columns)

    def _are_equal(self, rows: list[Any], others: list[Any]) -> bool:
        """Returns True if rows are equal once they are columns: 1 equals 1.0, and null equals missing."""
        import pyarrow

        chunks = []
        for part in (rows, others):
            builder = ColumnBuilder(self._names)
            builder.add_rows(part)
            chunks.append(builder.take_chunk())
        formats = merge_columns(chunks)
        chosen = {name: formats[name] for name in self._choose(dict.fromkeys(formats, 1))}
        one, other = (pyarrow.table(ArrowStream(chosen, [chunk])).to_pylist() for chunk in chunks)
        # As text, because NaN does not equal NaN.
        return repr(one) == repr(other)

    def _choose(self, type_flags: Mapping[str, int]) -> list[str]:
        """Returns the columns that the caller wants, of those that have values."""
        if self._options.keys is None:
            return list(type_flags)
        known = [name for name, flags in type_flags.items() if flags]
        chosen = {STEP, *self._options.keys.select(known)}
        return [name for name in known if name in chosen]

    def _write_system(self, task: MirrorTask, described: Mapping[str, Any]) -> bool:
        """Writes the file of system metrics, if the run has any; returns True if so."""
        with self._spool() as spool:
            spool.fill(_as_read_errors(lambda: task.run.system_metrics().pages()), None)
            if not spool.rows:
                return False
            # All numbers as floats, so that the files of all runs have the same types.
            formats = {name: column_format(spool.type_flags[name]) for name in in_order(spool.type_flags)}
            layout = {name: "g" if kind == "l" else kind for name, kind in formats.items()}
            path = self._folder / SYSTEM_FOLDER / task.file
            write_history(path, spool.take_chunks(), layout, own=formats, run_id=task.run_id, described=described)
        return True

    @contextmanager
    def _spool(self) -> Iterator[RowSpool]:
        path = self._folder / f".{secrets.token_hex(6)}{PARTIAL_SUFFIX}"
        try:
            with RowSpool(path, _CELLS_IN_MEMORY) as spool:
                yield spool
        finally:
            path.unlink(missing_ok=True)


def _stored_pages(source: ParquetSource) -> Iterator[Page | list[Any]]:
    for group in source.all_groups():
        for batch in source.read(group, None):
            yield page_of(batch)


def _pages_of(member: Member, options: FrameOptions) -> Pages:
    return _as_read_errors(lambda: member.open_pages(options))


def _as_read_errors(open_pages: Callable[[], Pages]) -> Pages:
    """Yields pages; system errors become a `RunReadError`, to tell them from those of writing."""
    try:
        yield from open_pages()
    except OSError as error:
        raise RunReadError(error) from error
