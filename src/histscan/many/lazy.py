"""Polars lazy frames of many runs."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from histscan.columns.lazy_frames import LazyRequest, make_lazy_frame
from histscan.common.lazy import cached_property
from histscan.many.known_keys import check_chosen
from histscan.many.members import Member
from histscan.many.options import FrameOptions
from histscan.many.run_table import to_polars
from histscan.many.typed_runs import KeyFlags, TypedRuns, find_key_flags, key_formats
from histscan.runs.file_run import FileRun

if TYPE_CHECKING:
    import polars

    from histscan.many.runs import Runs

__all__ = ["scan_runs"]


def scan_runs(runs: Runs[Any], options: FrameOptions, declared: Mapping[str, str]) -> polars.LazyFrame:
    """Makes a lazy frame of runs.

    Args:
        runs: The runs.
        options: What to read.
        declared: The formats that the caller declared.

    Returns:
        The lazy frame.

    Raises:
        ImportError: polars is not installed, or has no plugins for sources.
    """
    return make_lazy_frame(_RunsSource(runs, options, declared), str(runs))


class _RunsSource:
    """Many runs as a `LazySource`. They are found, and their types, when they are first needed."""

    def __init__(self, runs: Runs[Any], options: FrameOptions, declared: Mapping[str, str]) -> None:
        self._runs = runs
        self._options = options
        self._declared = options.declare_step(declared)
        # Guards the first look: polars may call from several threads.
        self._lock = threading.Lock()

    @cached_property
    def _typed(self) -> TypedRuns:
        runs, options = self._runs, self._options
        names = options.names
        needs_types = names is None or not set(names) <= set(self._declared)
        if needs_types:
            runs.list_with_keys()
        members = list(runs.members())
        for member in members:
            # Types stay valid even if the files grow.
            member.keep_rows()
        threads = options.threads or runs.reading_threads
        flags: KeyFlags = {}
        if needs_types:
            runs.load_keys([member.run for member in members])
            flags = _SURVEYS.find(members, options, threads, in_groups=runs.can_reread)
        formats = key_formats(flags, options, self._declared)
        check_chosen(runs, options, formats)
        return TypedRuns(members, options, formats, threads, in_groups=runs.can_reread)

    @cached_property
    def _run_rows(self) -> polars.DataFrame:
        return to_polars(self._typed.one_row_each())

    @cached_property
    def empty(self) -> polars.DataFrame:
        """See `LazySource.empty`."""
        with self._lock:
            return to_polars(self._typed.schema.empty_table())

    def read(self, request: LazyRequest) -> Generator[polars.DataFrame, None, None]:
        """See `LazySource.read`."""
        import pyarrow

        typed = self._typed
        places = self._choose(request.conditions)
        for batch in typed.read(request.columns, request.steps, places, rows=request.rows):
            yield to_polars(pyarrow.Table.from_batches([batch]))

    def _choose(self, conditions: Sequence[polars.Expr]) -> list[int] | None:
        """Returns the places of the runs that may have rows for which all conditions are true; None for all runs."""
        import polars

        chosen: set[int] | None = None
        named = set(self._typed.run_columns)
        for condition in conditions:
            names = condition.meta.root_names()
            if not names or not named.issuperset(names):
                continue
            try:
                # Polars passes only predicates that each row fulfils or not, whatever the other rows are.
                fulfilled = self._run_rows.select(condition).to_series()
            except polars.exceptions.PolarsError:
                # The query raises it.
                continue
            if fulfilled.dtype != polars.Boolean or len(fulfilled) != len(self._run_rows):
                continue
            places = {place for place, is_true in enumerate(fulfilled) if is_true}
            chosen = places if chosen is None else chosen & places
        return None if chosen is None else sorted(chosen)


class _Surveys:
    """The types that passes over files found, for the next lazy frame of the same files.

    Args:
        most: How many to keep.
    """

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._found: OrderedDict[object, KeyFlags] = OrderedDict()

    def find(self, members: Sequence[Member], options: FrameOptions, threads: int, *, in_groups: bool) -> KeyFlags:
        """Finds the types of the keys of runs; see `find_key_flags`.

        Args:
            members: The runs.
            options: Which keys of which steps.
            threads: As for `find_key_flags`.
            in_groups: As for `find_key_flags`.

        Returns:
            The flags of each key.
        """
        version = _version(members)
        if version is None:
            return find_key_flags(members, options, threads, in_groups=in_groups)
        names = None if options.names is None else tuple(options.names)
        question = (version, names, options.nested, options.min_step, options.max_step)
        with self._lock:
            found = self._found.get(question)
            if found is not None:
                self._found.move_to_end(question)
                return found
        found = find_key_flags(members, options, threads, in_groups=in_groups)
        with self._lock:
            self._found[question] = found
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return found


def _version(members: Sequence[Member]) -> object | None:
    """Returns what changes when the files of runs do; None if a run is not in files."""
    files = []
    for member in members:
        run = member.run
        if not isinstance(run, FileRun):
            return None
        for file in run.files:
            status = os.stat(file)
            files.append((str(file), status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(files)


_SURVEYS = _Surveys()
