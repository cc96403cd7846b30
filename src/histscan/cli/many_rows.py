"""The rows of many runs as they were logged, each with the id of its run."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from histscan.cli.key_selection import KeySelection
from histscan.cli.messages import warn
from histscan.common.keys import ABSENT, find_value
from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.many.options import FrameOptions, RunsProgress
from histscan.many.progress import Watch
from histscan.many.reading import read_ahead
from histscan.many.run_columns import RUN_ID, key_column, run_ids

if TYPE_CHECKING:
    from histscan.many.members import Member
    from histscan.many.runs import Runs
    from histscan.runs.contracts import Run

__all__ = ["ManyRows"]


class ManyRows:
    """Reads the rows of many runs in the order of the runs, several runs at a time, in bounded memory.

    Args:
        runs: The runs.
        options: The steps to read.
        selection: The keys.
        config: Entries of the configs that each row gets.
        skip_failed: Leave out the rest of a run that can't be read, with a warning.
        watch: Called after each run.

    Attributes:
        first: The members that each row begins with, except for entries that a run does not have.
        rows: The number of rows so far.
        keys: The keys of these rows.
        has_logged_order: As `Scan.has_logged_order`, for the run that is being read.
    """

    def __init__(
        self,
        runs: Runs[Any],
        options: FrameOptions,
        selection: KeySelection,
        *,
        config: Sequence[str] = (),
        skip_failed: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self._runs = runs
        self._options = options
        self._selection = selection
        self._config = config
        self._skip_failed = skip_failed
        self._watch = watch
        self.first = [RUN_ID, *(f"config.{entry}" for entry in config)]
        self.rows = 0
        self.keys: set[str] = set()
        self.has_logged_order = True

    def __iter__(self) -> Iterator[dict[str, Any]]:
        members = self._readable()
        ids = run_ids([run for _, run in members])
        total = len(members)
        with closing(self._read([member for member, _ in members])) as read:
            for place, rows in read:
                first = self._first_of(ids[place], members[place][1])
                for row in rows:
                    picked = self._selection.pick(row) if self._selection.items else row
                    if picked is None:
                        continue
                    self.rows += 1
                    self.keys.update(picked)
                    yield _joined(first, picked)
                if self._watch is not None:
                    self._watch(RunsProgress(place + 1, total, self.rows))

    def _readable(self) -> list[tuple[Member, Run]]:
        """Opens all runs, because the ids of all decide how each one is named."""
        opened = []
        for member in self._runs.members():
            try:
                opened.append((member, member.run))
            except (HistoryError, OSError) as error:
                if not self._skip_failed:
                    raise
                warn(f"{member.name} is left out: {error}")
        return opened

    def _read(self, members: Sequence[Member]) -> Generator[tuple[int, Iterator[dict[str, Any]]], None, None]:
        threads = self._options.threads or self._runs.reading_threads
        found = read_ahead(enumerate(members), lambda member: member.open_pages(self._options), threads)
        with closing(found) as runs:
            for run in runs:
                yield run.place, self._rows_of(run.pages, run.run)

    def _rows_of(self, pages: Iterator[Any], member: Member) -> Iterator[dict[str, Any]]:
        try:
            for page in pages:
                if isinstance(page, list):
                    yield from page
                    continue
                self.has_logged_order = not len(page) or page.has_logged_order(0)
                yield from page.rows()
        except HistoryError as error:
            error.add_location(run=member.name)
            if not self._skip_failed:
                raise
            warn(f"the rest of {member.name} is left out: {error}")

    def _first_of(self, run_id: str, run: Run) -> dict[str, Any]:
        found = {RUN_ID: run_id}
        for entry in self._config:
            value = find_value(run.config, entry)
            if value is not ABSENT:
                found[f"config.{entry}"] = value
        return found


def _joined(first: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """Puts the members that name the run before those of a row; keys of the same names get other ones."""
    if first.keys().isdisjoint(row):
        return {**first, **row} if STEP not in row else {**first, STEP: row[STEP], **row}
    return {**first, **{key_column(key, first): value for key, value in row.items()}}
