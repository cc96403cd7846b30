"""The runs of a project."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from histscan.api.names import RunName
from histscan.api.run import Run
from histscan.common.process_lock import ProcessLock
from histscan.errors import ResponseShapeError
from histscan.sources.run_queries import LIST_RUNS, ask_project

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = ["Runs"]


class _Listing(NamedTuple):
    """What was fetched so far; replaced as a whole, so that no thread and no forked process sees half of a change.

    Attributes:
        runs: The runs.
        cursor: Where the server goes on; None for the beginning.
        total: How many runs there are in all; None if that is not known yet.
        is_complete: All runs were fetched.
    """

    runs: tuple[Run, ...] = ()
    cursor: str | None = None
    total: int | None = None
    is_complete: bool = False


class Runs:
    """The runs of a project, fetched page by page as they are needed; made by `histscan.Api.runs`.

    What was fetched is kept: going over the runs again asks for none of them again. Threads may share the object and
    its runs, and so may a forked process. Pickles of it, and of its runs, contain what was fetched so far.

    Args:
        client: Asks the server.
        entity: The user or team that the project belongs to.
        project: The project's name.
        filters: What the runs have to be like, in MongoDB's language; None for all.
        order: What to sort them by.
        per_page: Runs of a request.

    Yields:
        Each run. Its config and summary are asked for when they are first needed.

    Raises:
        HistoryRequestError: While iterating, and by ``len()``: there is no answer, or the filters are not understood.
        RunNotFoundError: The server knows no such project, or the API key may not see it.
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
        self._lock = ProcessLock()

    def __iter__(self) -> Iterator[Run]:
        place = 0
        while self._reach(place):
            yield self._listing.runs[place]
            place += 1

    def __len__(self) -> int:
        with self._lock:
            if self._listing.total is None:
                self._fetch_page()
        return self._listing.total or 0

    @overload
    def __getitem__(self, place: int) -> Run: ...

    @overload
    def __getitem__(self, place: slice) -> list[Run]: ...

    def __getitem__(self, place: int | slice) -> Run | list[Run]:
        if isinstance(place, slice):
            return list(self)[place]
        if place < 0 or not self._reach(place):
            return list(self)[place]
        return self._listing.runs[place]

    def __repr__(self) -> str:
        return f"<Runs {self.entity}/{self.project} on {self.client.base_url}>"

    def _reach(self, place: int) -> bool:
        """Fetches pages up to that of a place; returns whether there is a run."""
        if place >= len(self._listing.runs):
            with self._lock:
                while place >= len(self._listing.runs) and not self._listing.is_complete:
                    self._fetch_page()
        return place < len(self._listing.runs)

    def _fetch_page(self) -> None:
        before = self._listing
        answer = ask_project(
            self.client,
            LIST_RUNS,
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
            runs = [Run(self.client, RunName(self.entity, self.project, node["name"]), node) for node in nodes]
            has_next, cursor = bool(listed["pageInfo"]["hasNextPage"]), listed["pageInfo"]["endCursor"]
            count = int(answer["runCount"])
        except (KeyError, TypeError, ValueError):
            raise ResponseShapeError(
                "the server's answer is no list of runs", run=f"{self.entity}/{self.project}"
            ) from None
        # A page without runs, or without an end to go on from, would be asked for forever.
        is_complete = not has_next or not runs or cursor is None or cursor == before.cursor
        self._listing = _Listing((*before.runs, *runs), cursor, count, is_complete)
