"""Repeated requests get the bytes that were sent before, until what they are made of changes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from histscan.server import catalogue, reply_cache, responses
from histscan.server.execution import Executor
from histscan.server.simulation import parse_fault
from tests.support.asgi_client import AsgiClient, client_of
from tests.support.monitored_run import monitored_log
from tests.support.paths import DATA, EXAMPLE
from tests.support.stream_records import exit_record

RUN = '{ project(name: "fixtures", entityName: "histscan") { run(name: "%s") { %s } } }'
RUNS = '{ project(name: "fixtures", entityName: "histscan") { runs { edges { node { name state } } } } }'
FINISHED = "typed-encoding"


class Counted:
    """A client, and how many of its requests were executed."""

    def __init__(self, client: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.executed = 0
        run = Executor.run

        def counted(*arguments: object) -> object:
            self.executed += 1
            return run(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Executor, "run", counted)

    def times(self, query: str, count: int = 3) -> int:
        """Sends a query several times, whose responses must be equal; returns how often it was executed."""
        before = self.executed
        # The first request reads the run: only then the server knows that it is finished.
        bodies = {self.client.post({"query": query}).body for _ in range(count + 1)}
        assert len(bodies) == 1
        assert b"errors" not in bodies.pop()
        return self.executed - before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two finished runs."""
    (tmp_path / "runs").mkdir()
    for name in ("typed-encoding", "default-encoding"):
        shutil.copy(DATA / f"{name}.wandb", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def counted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    client = client_of(folder, folder=tmp_path)
    counted = Counted(client, monkeypatch)
    assert counted.times(RUN % (FINISHED, "state"), 0) == 1
    return counted


@pytest.mark.parametrize("fields", ["history", "name state config summaryMetrics historyKeys heartbeatAt", "events"])
def test_a_finished_run(counted: Counted, fields: str) -> None:
    assert counted.times(RUN % (FINISHED, fields)) == 1


def test_a_run_whose_log_changes(counted: Counted, folder: Path) -> None:
    query = RUN % (FINISHED, "heartbeatAt")
    before = counted.client.query(query)
    assert counted.client.query(query) == before
    os.utime(folder / f"{FINISHED}.wandb", (1e9, 1e9))
    assert counted.client.query(query) != before
    assert counted.times(query) == 1


def test_a_run_that_may_still_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = monitored_log(tmp_path / "run.wandb")
    counted = Counted(client_of(path, folder=tmp_path), monkeypatch)
    query = '{ project(name: "machines", entityName: "histscan") { run(name: "monitored") { state } } }'
    assert counted.times(query) == 4
    monitored_log(path, exit_record(0))
    assert counted.client.query(query)["project"]["run"] == {"state": "finished"}


def test_a_removed_run(counted: Counted, folder: Path) -> None:
    query = RUN % (FINISHED, "name")
    assert counted.times(query) == 1
    (folder / f"{FINISHED}.wandb").unlink()
    assert counted.client.query(query)["project"]["run"] is None


def test_lists_of_runs(counted: Counted, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalogue, "SEARCH_INTERVAL", 1e9)
    counted.times(RUNS, 0)
    assert counted.times(RUNS) == 1
    # A search that is due finds a new run.
    monitored = monitored_log(tmp_path / "new.wandb", exit_record(0), project="fixtures")
    monitored.rename(folder / "new.wandb")
    assert len(counted.client.query(RUNS)["project"]["runs"]["edges"]) == 2
    monkeypatch.setattr(catalogue, "SEARCH_INTERVAL", 0)
    assert len(counted.client.query(RUNS)["project"]["runs"]["edges"]) == 3
    # A search after each request: nothing can be repeated.
    assert counted.times(RUNS) == 4


@pytest.mark.parametrize(
    "query",
    [
        "{ viewer { entity } }",
        '{ project(name: "fixtures") { run(name: "typed-encoding") { name } } }',
        RUN % (FINISHED, 'parquetHistory(liveKeys: ["_step"]) { parquetUrls }'),
        RUN % (FINISHED, "files { totalCount }"),
        RUN % (FINISHED, "fileCount"),
        RUN % ("nobody", "name"),
        '{ project(name: "nothing", entityName: "histscan") { name } }',
    ],
)
def test_what_may_change_by_itself(counted: Counted, query: str) -> None:
    before = counted.executed
    for _ in range(3):
        counted.client.post({"query": query})
    assert counted.executed - before == 3


@pytest.mark.parametrize("rows", [700, 1_500, 4_000])
def test_large_responses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    counted = Counted(client_of(EXAMPLE, folder=tmp_path), monkeypatch)
    of_run = '{ project(name: "examples", entityName: "histscan") { run(name: "lissajous") { %s } } }'
    query = of_run % f"history(minStep: 0, maxStep: {rows}, samples: {rows})"
    # The server has then read the whole log, and knows that the run is finished.
    counted.client.post({"query": of_run % "historyKeys summaryMetrics"})
    # Responses of more than a megabyte are not kept.
    assert counted.times(query) == (4 if rows == 4_000 else 1)
    found = counted.client.post({"query": query}).json()
    assert len(found["data"]["project"]["run"]["history"]) == rows


def test_errors_are_not_kept(counted: Counted) -> None:
    for _ in range(2):
        assert "errors" in counted.client.post({"query": RUN % (FINISHED, 'name history(minStep: "x")')}).json()
    assert counted.executed == 3


def test_kept_replies_take_limited_memory(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(json.dumps({"query": RUN % (FINISHED, "a: name")})) + len(
        counted.client.post({"query": RUN % (FINISHED, "a: name")}).body
    )
    monkeypatch.setattr(reply_cache, "MOST_BYTES", 2 * size)
    queries = [RUN % (FINISHED, f"{alias}: name") for alias in "abcd"]
    for query in queries:
        counted.client.post({"query": query})
    assert [counted.times(query, 0) for query in (queries[3], queries[2], queries[0])] == [0, 0, 1]
    monkeypatch.setattr(reply_cache, "LARGEST_REPLY", 10)
    assert counted.times(RUN % (FINISHED, "e: name")) == 4


def test_faults_and_counts_apply_to_repeated_requests(tmp_path: Path) -> None:
    client = client_of(EXAMPLE, folder=tmp_path, faults=(parse_fault("503@Mine:every=4"),))
    query = 'query Mine { project(name: "examples", entityName: "histscan") { run(name: "lissajous") { state } } }'
    assert [client.post({"query": query}).status for _ in range(8)] == [200, 200, 200, 503] * 2
    assert client.request("GET", "/traffic").json()["operations"] == {"Mine": 8}


def test_a_key_is_required_for_repeated_requests(tmp_path: Path) -> None:
    client = client_of(EXAMPLE, folder=tmp_path, api_key="sesame" * 7)
    request = {"query": '{ project(name: "examples", entityName: "histscan") { run(name: "lissajous") { state } } }'}
    for _ in range(3):
        assert client.post(request, authorization=f"Bearer {'sesame' * 7}").status == 200
        assert client.post(request).status == 401


def test_answers_that_are_sent_in_parts(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = counted.client.post({"query": RUN % (FINISHED, "history")}).body
    monkeypatch.setattr(responses, "PART_SIZE", 100)
    counted.times(RUN % (FINISHED, "history state"))
    answer = json.loads(counted.client.post({"query": RUN % (FINISHED, "history state")}).body)
    assert answer["data"]["project"]["run"]["history"] == json.loads(whole)["data"]["project"]["run"]["history"]
