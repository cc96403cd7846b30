"""Runs and lists of runs that threads share."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

import histscan
from histscan.api.names import RunName
from histscan.api.runs import ProjectRuns
from tests.support.graphql_server import GraphQLServer, data_answer
from tests.support.prefetching import PATIENCE
from tests.support.run_listing import RUN_IDS, project_of


def test_threads_list_each_run_once(server: GraphQLServer) -> None:
    server.respond = lambda request: data_answer({"project": project_of(request.payload["variables"])})
    runs = ProjectRuns(histscan.Client(server.url), "team", "vision", per_page=3)
    start = threading.Barrier(4)
    found: list[list[str]] = []

    def list_runs() -> None:
        start.wait(PATIENCE)
        found.append([run.id for run in runs])

    threads = [threading.Thread(target=list_runs) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert found == [RUN_IDS] * 4
    assert len(server.received) == 10


class RefreshedRun(histscan.Run):
    """A run that another thread refreshes at the worst moment: when a value has just been computed."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("_config", "_summary") and value is not None:
            thread = threading.Thread(target=self.refresh)
            thread.start()
            thread.join(PATIENCE)


@pytest.mark.parametrize(("name", "expected"), [("config", {"lr": 0.5}), ("summary", {"loss": 2})])
def test_a_run_has_its_values_while_another_thread_refreshes_it(
    server: GraphQLServer, name: str, expected: dict[str, Any]
) -> None:
    described = {"config": json.dumps({"lr": {"value": 0.5}}), "summaryMetrics": json.dumps({"loss": 2})}
    server.respond = lambda request: data_answer({"project": {"run": described}})
    run = RefreshedRun(histscan.Client(server.url), RunName("team", "vision", "a1"))
    assert getattr(run, name) == expected
    assert len(server.received) == 2
