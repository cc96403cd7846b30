"""What a server knows of the histories of several runs, requested together: one request instead of two for each run."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histscan.api.scan_start import read_last_step
from histscan.errors import GraphQLResponseError, HistoryError, ResponseShapeError
from histscan.sources.graphql import Operation
from histscan.sources.run_queries import HISTORIES, HISTORY_KEYS, request_project

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = ["FactsBatch", "HistoryFacts", "request_facts"]


@dataclass(frozen=True)
class HistoryFacts:
    """What a server knows of the history of a run.

    Attributes:
        last_step: The highest step; -1 without rows.
        exports: The ``parquetHistory`` of the answer: the addresses of the exported files, and the steps that are not
            in them; None if it was not requested, or if the server has no exports.
    """

    last_step: int
    exports: Mapping[str, Any] | None


class FactsBatch:
    """The facts of some runs of a project, requested when the first of them is needed. Thread-safe.

    Args:
        client: Sends the request.
        entity: The project's entity.
        project: The project's name.
        runs: The ids of the runs.
    """

    def __init__(self, client: Client, entity: str, project: str, runs: Sequence[str]) -> None:
        self._client = client
        self._names = (entity, project)
        self._runs = runs
        # Guards `_found`: threads that need it at the same time wait for one request.
        self._lock = threading.Lock()
        self._found: dict[bool, dict[str, HistoryFacts]] = {}

    def of(self, run: str, *, with_exports: bool) -> HistoryFacts | None:
        """Returns the facts of a run.

        Args:
            run: The run's id.
            with_exports: True to request `HistoryFacts.exports`, too: it lists all steps that are in no file.

        Returns:
            The facts; None if the server does not answer such a request: then each run must be asked for by itself.
        """
        with self._lock:
            if with_exports not in self._found:
                try:
                    found = request_facts(self._client, *self._names, self._runs, with_exports=with_exports)
                except HistoryError:
                    # The request for a single run raises an error that names it.
                    found = {}
                self._found[with_exports] = found
            return self._found[with_exports].get(run)


def request_facts(
    client: Client, entity: str, project: str, runs: Sequence[str], *, with_exports: bool
) -> dict[str, HistoryFacts]:
    """Requests the facts of the histories of runs.

    Args:
        client: Sends the request.
        entity: The project's entity.
        project: The project's name.
        runs: The ids of the runs.
        with_exports: As for `FactsBatch.of`.

    Returns:
        The facts by id. Runs that do not exist any more are missing.

    Raises:
        HistoryRequestError: There is no answer.
        ResponseShapeError: The answer has another shape.
    """
    if with_exports:
        # Servers without exports reject the query.
        with suppress(GraphQLResponseError):
            return _request(client, HISTORIES, entity, project, runs)
    return _request(client, HISTORY_KEYS, entity, project, runs)


def _request(
    client: Client, operation: Operation, entity: str, project: str, runs: Sequence[str]
) -> dict[str, HistoryFacts]:
    answer = request_project(
        client, operation, entity, project, filters=json.dumps({"name": {"$in": list(runs)}}), first=len(runs)
    )
    try:
        nodes = [edge["node"] for edge in answer["runs"]["edges"]]
        return {str(node["name"]): HistoryFacts(read_last_step(node), node.get("parquetHistory")) for node in nodes}
    except (KeyError, TypeError, AttributeError):
        raise ResponseShapeError("the server's answer is not a list of runs", run=f"{entity}/{project}") from None
