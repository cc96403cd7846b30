"""The runs of a project."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan.api.history_facts import FactsBatch
from histscan.api.names import RunName
from histscan.api.run import Run
from histscan.api.run_scans import scan_run
from histscan.common.process_lock import ProcessLock
from histscan.errors import ResponseShapeError
from histscan.many.members import Member
from histscan.many.run_keys import KeyTally, choose_keys
from histscan.many.run_table import RunTable, describe_runs, need_pyarrow
from histscan.many.runs import Runs
from histscan.sources.run_queries import DESCRIBE_RUNS, LIST_KEYS, LIST_RUNS, LIST_RUNS_WITH_KEYS, request_project

if TYPE_CHECKING:
    from histscan.columns.scan import Pages, Scan
    from histscan.many.options import FrameOptions
    from histscan.many.run_keys import KeyInfo, KeyPatterns
    from histscan.sources.client import Client
    from histscan.sources.graphql import Operation

__all__ = ["ProjectRuns"]

# Requests of this many runs keep a server busy; more do not make it answer sooner.
_READING_THREADS = 8
# As many runs as a page of a listing has by default.
_RUNS_PER_REQUEST = 50
# Runs per request of a listing with config and summary: fewer requests, but no answers of many megabytes.
_DESCRIBED_PER_PAGE = 1_000


class _Listing(NamedTuple):
    """What was fetched so far. Immutable, so that no thread and no forked process sees a partial change.

    Attributes:
        runs: The runs.
        cursor: Where the next page begins; None for the first page.
        total: The number of all runs; None if it is unknown yet.
        is_complete: True if all runs were fetched.
    """

    runs: tuple[Run, ...] = ()
    cursor: str | None = None
    total: int | None = None
    is_complete: bool = False


class ServerMember(Member):
    """A run of a project that is to be read.

    Args:
        run: The run.
        batch: Requests what is needed before reading it.
    """

    def __init__(self, run: Run, batch: FactsBatch) -> None:
        super().__init__(lambda: run, run.location)
        self._run = run
        self._batch = batch

    def last_step(self) -> int:
        """See `Member.last_step`."""
        facts = self._batch.of(self._run.id, with_exports=False)
        if facts is None:
            return self._run.lastHistoryStep
        self._run.listed.see_step(facts.last_step)
        return facts.last_step

    def open_pages(self, options: FrameOptions) -> Pages:
        """See `Member.open_pages`."""
        # One request has all rows of a small run.
        is_small = self._run.listed.fits_one_page()
        yield from super().open_pages(replace(options, tail=None) if is_small else options)

    def open_scan(self, min_step: int, max_step: int | None) -> Scan:
        """See `Member.open_scan`."""
        listed = self._run.listed
        facts = None
        if not listed.fits_one_page() and not listed.needs_few_pages(min_step, max_step):
            # For the end of a history, pages may be enough.
            facts = self._batch.of(self._run.id, with_exports=min_step <= 0)
        return scan_run(self._run, facts, min_step=min_step, max_step=max_step)


class ProjectRuns(Runs[Run]):
    """The runs of a project, fetched page by page as they are needed. Created by `histscan.Api.runs`.

    Fetched runs are cached: iterating again requests none of them again. The object and its runs are thread-safe, and
    work in forked processes. Pickles of it, and of its runs, contain what was fetched so far.

    Args:
        client: Requests the runs from the server.
        entity: The user or team that owns the project.
        project: The project's name.
        filters: The conditions that runs must meet, in MongoDB's query language; None for all runs.
        order: The sort order.
        per_page: Runs per request.

    Yields:
        Each run. Its config and summary are requested when they are first needed.

    Raises:
        HistoryRequestError: While iterating, and by ``len()``: there is no answer, or the filters are invalid.
        RunNotFoundError: The server has no such project, or the API key has no access to it.
    """

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        filters: Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
    ) -> None:
        if per_page < 1:
            raise ValueError(f"per_page must be at least 1, but is {per_page}")
        self.client = client
        self.entity = entity
        self.project = project
        self.filters = dict(filters or {})
        self.order = order
        self.per_page = per_page
        self._listing = _Listing()
        # Guards the fetching of pages, so that each page is requested once. Reading `_listing` needs no lock.
        self._lock = ProcessLock()

    def __iter__(self) -> Iterator[Run]:
        place = 0
        while self._fetch_up_to(place):
            yield self._listing.runs[place]
            place += 1

    def __len__(self) -> int:
        with self._lock:
            if self._listing.total is None:
                self._fetch_page()
        return self._listing.total or 0

    def _run_at(self, place: int) -> Run:
        if place < 0 or not self._fetch_up_to(place):
            return list(self)[place]
        return self._listing.runs[place]

    def members_of(self, runs: Iterable[Run]) -> Iterator[Member]:
        """See `Runs.members_of`. What is needed before reading larger histories is requested for many runs at once."""
        source = iter(runs)
        while together := list(islice(source, _RUNS_PER_REQUEST)):
            large = [run.id for run in together if not run.listed.fits_one_page()]
            batch = FactsBatch(self.client, self.entity, self.project, large)
            for run in together:
                yield ServerMember(run, batch)

    def load(self, runs: Sequence[Run]) -> None:
        """See `Runs.load`."""
        missing = {run.id: run for run in runs if not run.is_loaded}
        names = list(missing)
        for first in range(0, len(names), _DESCRIBED_PER_PAGE):
            part = names[first : first + _DESCRIBED_PER_PAGE]
            found = _DescribedRuns(
                self.client, self.entity, self.project, {"name": {"$in": part}}, per_page=_DESCRIBED_PER_PAGE
            )
            for run in found:
                missing[run.id].listed.describe(run.listed.answer)

    def list_with_keys(self) -> None:
        """See `Runs.list_with_keys`."""
        with self._lock:
            while not self._listing.is_complete:
                self._fetch_page(LIST_RUNS_WITH_KEYS)

    def load_keys(self, runs: Sequence[Run]) -> None:
        """See `Runs.load_keys`."""
        missing = {run.id: run for run in runs if run.seen_stop_step is None and not run.listed.has_keys}
        names = list(missing)
        for first in range(0, len(names), _RUNS_PER_REQUEST):
            part = names[first : first + _RUNS_PER_REQUEST]
            found = _RunsWithKeys(
                self.client, self.entity, self.project, {"name": {"$in": part}}, per_page=_RUNS_PER_REQUEST
            )
            for run in found:
                missing[run.id].listed.set_keys(run.listed.answer)

    def table(self) -> RunTable:
        """Describes the runs in one table; see `Runs.table`. The runs are listed again, with config and summary."""
        need_pyarrow()
        return describe_runs(self._listed_as(_DescribedRuns))

    def keys(self, pattern: KeyPatterns | None = None) -> list[KeyInfo]:
        """Finds the keys of the histories; see `Runs.keys`. Reads no rows.

        Args:
            pattern: As for `Runs.keys`.

        Returns:
            As `Runs.keys`; `KeyInfo.count` is None if the server does not count values.
        """
        tally = KeyTally()
        for place, run in enumerate(self._listed_as(_RunsWithKeys)):
            for key, kind, count in run.listed.listed_keys():
                tally.add(key, kind, count, place)
        return choose_keys(tally.result(), pattern)

    def _listed_as(self, listing: type[ProjectRuns]) -> ProjectRuns:
        """Returns the same runs, listed in larger pages."""
        return listing(self.client, self.entity, self.project, self.filters, self.order, _DESCRIBED_PER_PAGE)

    def _listing_operation(self) -> Operation:
        """Returns the operation that lists the runs."""
        return LIST_RUNS

    @property
    def reading_threads(self) -> int:
        """How many runs are read at the same time by default; fewer while a rate limit is exceeded."""
        return _READING_THREADS

    @property
    def can_reread(self) -> bool:
        """False: reading twice would request everything twice."""
        return False

    @property
    def server(self) -> str:
        """The address of the server."""
        return self.client.base_url

    @property
    def whole_project(self) -> tuple[str, str] | None:
        """Entity and project; None if there are filters."""
        return None if self.filters else (self.entity, self.project)

    def relist(self) -> ProjectRuns:
        """Returns the same runs without what was fetched so far."""
        return ProjectRuns(self.client, self.entity, self.project, self.filters, self.order, self.per_page)

    def filter(self, filters: Mapping[str, Any]) -> ProjectRuns:
        """Chooses some of the runs; the server does it.

        Args:
            filters: What the runs must be like, in MongoDB's language, beside what they must be like already.

        Returns:
            The runs that are like that, in the same order.
        """
        both = {"$and": [self.filters, dict(filters)]} if self.filters else filters
        return ProjectRuns(self.client, self.entity, self.project, both, self.order, self.per_page)

    def sort(self, order: str) -> ProjectRuns:
        """Sorts the runs; the server does it.

        Args:
            order: What to sort by, as for `histscan.Api.runs`.

        Returns:
            The runs in this order.
        """
        return ProjectRuns(self.client, self.entity, self.project, self.filters, order, self.per_page)

    @property
    def location(self) -> str:
        """The project and its server."""
        return f"{self.entity}/{self.project} on {self.client.base_url}"

    def _fetch_up_to(self, place: int) -> bool:
        """Fetches pages up to the one with a place. Returns True if there is a run at the place."""
        if place >= len(self._listing.runs):
            with self._lock:
                while place >= len(self._listing.runs) and not self._listing.is_complete:
                    self._fetch_page()
        return place < len(self._listing.runs)

    def _fetch_page(self, operation: Operation | None = None) -> None:
        before = self._listing
        answer = request_project(
            self.client,
            operation or self._listing_operation(),
            self.entity,
            self.project,
            filters=json.dumps(self.filters),
            order=self.order,
            first=self.per_page,
            after=before.cursor,
        )
        try:
            listed = answer["runs"]
            nodes = [edge["node"] for edge in listed["edges"]]
            keys = [node.pop("historyKeys", None) for node in nodes] if operation is LIST_RUNS_WITH_KEYS else []
            runs = [Run(self.client, RunName(self.entity, self.project, node["name"]), node) for node in nodes]
            has_next, cursor = bool(listed["pageInfo"]["hasNextPage"]), listed["pageInfo"]["endCursor"]
            count = int(answer["runCount"])
        except (KeyError, TypeError, ValueError):
            raise ResponseShapeError(
                "the server's answer is not a list of runs", run=f"{self.entity}/{self.project}"
            ) from None
        for run, found in zip(runs, keys, strict=False):
            run.listed.set_keys({"historyKeys": found})
        # Without these checks, a page without runs or without a new cursor would be requested for ever.
        is_complete = not has_next or not runs or cursor is None or cursor == before.cursor
        self._listing = _Listing((*before.runs, *runs), cursor, count, is_complete)


class _DescribedRuns(ProjectRuns):
    """Runs that are listed with config and summary."""

    def _listing_operation(self) -> Operation:
        return DESCRIBE_RUNS


class _RunsWithKeys(ProjectRuns):
    """Runs that are listed with the keys of their histories."""

    def _listing_operation(self) -> Operation:
        return LIST_KEYS
