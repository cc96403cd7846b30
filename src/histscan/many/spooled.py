"""Streams runs that are expensive to read twice: their rows are kept in temporary files until the types are known."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histscan.columns.scan import Pages
from histscan.common.printable import printable
from histscan.common.temporary import TemporaryFolder
from histscan.errors import HistoryError, RunSkippedWarning
from histscan.many.members import Member
from histscan.many.options import FrameOptions, RunsProgress
from histscan.many.progress import open_progress
from histscan.many.spool import RowSpool
from histscan.many.task_pool import run_tasks

if TYPE_CHECKING:
    from histscan.many.run_chunks import Failures
    from histscan.many.runs import Runs

__all__ = ["SpooledMember", "SpooledRuns", "spool_runs"]


class SpooledMember(Member):
    """A run whose rows are in a temporary file.

    Args:
        member: The run.
        spool: Its rows.
    """

    def __init__(self, member: Member, spool: RowSpool) -> None:
        super().__init__(lambda: member.run, member.name, spool.path.stat().st_size)
        self._spool = spool

    def open_pages(self, options: FrameOptions) -> Pages:  # noqa: ARG002 - applied when the rows were read
        """See `Member.open_pages`."""
        return self._spool.pages()


@dataclass(frozen=True)
class SpooledRuns:
    """Runs whose rows are in temporary files.

    Attributes:
        members: The runs, in their order.
        type_flags: The type flags of the values of each column, in the order in which the columns first appear.
        failures: The runs that were skipped.
        folder: The folder of the files, which is removed with this object.
    """

    members: list[Member]
    type_flags: dict[str, int]
    failures: Failures
    folder: TemporaryFolder


def spool_runs(runs: Runs[Any], options: FrameOptions) -> SpooledRuns:
    """Reads all rows of runs into temporary files, several runs at the same time.

    Args:
        runs: The runs.
        options: What to read.

    Returns:
        The runs.

    Raises:
        HistoryError: A run can't be read, and `options` do not skip it.
        OSError: A file can't be written.
    """
    folder = TemporaryFolder()
    members: list[Member] = []
    spools: dict[int, RowSpool] = {}
    failures: Failures = {}
    shared: dict[tuple[tuple[str, int], ...], dict[str, int]] = {}
    rows = 0

    def places() -> Iterator[tuple[int, Member]]:
        for place, member in enumerate(runs.members()):
            members.append(member)
            yield place, member

    def spool_run(item: tuple[int, Member]) -> RowSpool:
        place, member = item
        with RowSpool(folder.path / f"{place}.arrows") as spool:
            spool.fill(member.open_pages(options), options.names, options.flatten)
            spool.flush()
        return spool

    with open_progress(options.progress, len(runs)) as watch:
        tasks = run_tasks(places(), spool_run, options.threads or runs.reading_threads)
        try:
            for done, ((place, member), future) in enumerate(tasks, 1):
                try:
                    spools[place] = future.result()
                except HistoryError as error:
                    member.add_location(error)
                    if options.on_error != "skip":
                        raise
                    failures[member.name] = error
                    warnings.warn(f"{printable(member.name)} is left out: {error}", RunSkippedWarning, stacklevel=5)
                    continue
                rows += spools[place].rows
                # Most runs have the same columns: they share one dict.
                flags = spools[place].type_flags
                spools[place].type_flags = shared.setdefault(tuple(flags.items()), flags)
                if watch is not None:
                    watch(RunsProgress(done, len(runs), rows))
        finally:
            tasks.close()
    type_flags: dict[str, int] = {}
    for place in sorted(spools):
        for name, seen in spools[place].type_flags.items():
            type_flags[name] = type_flags.get(name, 0) | seen
    readable: list[Member] = [SpooledMember(members[place], spools[place]) for place in sorted(spools)]
    return SpooledRuns(readable, type_flags, failures, folder)
