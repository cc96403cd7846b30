"""Scans of every source go on in a forked process, whatever other threads were doing when it was forked."""

from __future__ import annotations

import gc
import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3.connectionpool

import histscan
from histscan.api.runs import ProjectRuns
from histscan.columns.threads import build_chunks_in_threads
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from histscan.sources.exported_requests import FileRequests
from tests.support.column_rows import table_of
from tests.support.export_backend import KEY, Backend, parquet
from tests.support.fake_service import FakeService
from tests.support.forking import FORKS, Forked, in_fork, rows_left, steps_in
from tests.support.graphql_server import Answer, GraphQLServer, answer_from, data_answer
from tests.support.history_backend import RUN
from tests.support.log_samples import step_rows, steps_of, write_run
from tests.support.parquet_files import write_parquet
from tests.support.prefetching import BACKEND, PATIENCE
from tests.support.retrying_client import retrying_client
from tests.support.run_listing import RUN_IDS, project_of

pytestmark = FORKS


STEPS = list(range(200))
READ = 31


class Hold:
    """Keeps the threads that come to a place there, from the n-th visit on; those of a forked process pass."""

    def __init__(self, visit: int) -> None:
        self._process = os.getpid()
        self._visits_left = visit
        self.is_open = threading.Event()
        self.has_come = threading.Event()

    def visit(self) -> None:
        self._visits_left -= 1
        if self._visits_left < 0 and self._process == os.getpid():
            self.has_come.set()
            assert self.is_open.wait(PATIENCE)

    @contextmanager
    def thread_at(self, function: Callable[[], object]) -> Iterator[None]:
        """Has another thread call a function and be held within it while the block runs."""
        thread = threading.Thread(target=function)
        thread.start()
        assert self.has_come.wait(PATIENCE)
        try:
            yield
        finally:
            self.is_open.set()
            thread.join(PATIENCE)
        assert not thread.is_alive()


def settled_length(rows: list[int]) -> int:
    """Waits until a thread that appends to a list has nothing to append for now."""
    before = -1
    while len(rows) != before:
        before = len(rows)
        time.sleep(0.2)
    return before


def hold_in(monkeypatch: pytest.MonkeyPatch, name: str, hold: Hold) -> None:
    """Holds whoever asks a generator function for its next value."""
    module, _, function_name = name.rpartition(".")
    function = getattr(importlib.import_module(module), function_name)

    def held(*arguments: Any, **options: Any) -> Iterator[Any]:
        for value in function(*arguments, **options):
            hold.visit()
            yield value

    monkeypatch.setattr(name, held)


# Each source gives the steps of STEPS. Of those that read page by page, the fourth page is held.


def log_scan(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer) -> Any:
    path = write_run(tmp_path / "run.wandb", step_rows(STEPS, size=30_000))
    scan = histscan.LogRun(path).scan_history()
    hold_in(monkeypatch, "histscan.runs.log_pages.read_windows", hold)
    iter(scan)
    return scan


def parquet_scan(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer) -> Any:
    texts = [f"row {step}" for step in STEPS]
    path = write_parquet(tmp_path / "run.parquet", {"_step": STEPS, "text": texts}, row_group_size=10)
    hold_in(monkeypatch, "histscan.runs.parquet_run.read_pages", hold)
    return histscan.ParquetRun(path).scan_history()


class Client(histscan.Client):
    """A client whose answers may be held in the process that made it."""

    hold: Hold

    def execute_raw(self, *args: Any, **kwargs: Any) -> bytes:
        self.hold.visit()
        return super().execute_raw(*args, **kwargs)


def client_of(server: GraphQLServer, hold: Hold) -> Client:
    server.respond = answer_from(BACKEND)
    client = Client(server.url)
    client.hold = hold
    return client


def history_scan(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer) -> Any:
    return HistoryScan(client_of(server, hold), RUN, 0, 200, 10)


def prefetching_scan(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer) -> Any:
    return HistoryScan(client_of(server, hold), RUN, 0, 200, 10, prefetch=2)


def sampled_scan(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer) -> Any:
    return SampledHistoryScan(client_of(server, hold), RUN, ["_step", "epoch"], 0, 200, 10)


def beta_scan(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer) -> Any:
    service = FakeService([(step, [("_step", str(step))]) for step in STEPS])
    answer = service.answer

    def held(request: Any) -> Any:
        if request.WhichOneof("request") == "scan_run_history":
            hold.visit()
        return answer(request)

    monkeypatch.setattr(service, "answer", held)
    return BetaHistoryScan(service, RUN, 0, 200, page_size=10)


def exported_scan(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer) -> Any:
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))
    ExportedSteps(server)
    hold_in(monkeypatch, "histscan.runs.parquet_run.read_pages", hold)
    return histscan.Api(server.url, KEY).run("e/p/r").scan_history(source="parquet")


def installed_scan(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer) -> Any:
    from wandb.apis import public

    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))
    ExportedSteps(server)
    hold_in(monkeypatch, "histscan.runs.parquet_run.read_pages", hold)
    client = retrying_client(server.url)
    run: Any = SimpleNamespace(
        entity="e", project="p", id="r", url=f"{server.url}/e/p/runs/r", client=client, lastHistoryStep=199
    )
    with histscan.installed(source="parquet"):
        return public.HistoryScan(client=client, run=run, min_step=0, max_step=200)


class ExportedSteps(Backend):
    """Half of the rows are in four files, the rest comes in pages."""

    def __init__(self, server: GraphQLServer) -> None:
        super().__init__(server)
        self.files = {
            f"/{first}": Answer(parquet(range(first, first + 25)), headers={"ETag": f'"{first}"'})
            for first in range(0, 100, 25)
        }
        self.live = STEPS[100:]

    def of_run(self, **fields: Any) -> Answer:
        if "historyKeys" in fields:
            fields["historyKeys"] = {"lastStep": 199}
        return data_answer({"project": {"run": fields}})


SOURCES = [
    log_scan,
    parquet_scan,
    history_scan,
    prefetching_scan,
    sampled_scan,
    beta_scan,
    exported_scan,
    installed_scan,
]
MakeScan = Callable[[Path, Hold, pytest.MonkeyPatch, GraphQLServer], Any]


@pytest.fixture(params=SOURCES, ids=lambda source: source.__name__)
def make_scan(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer
) -> Callable[[Hold], Any]:
    source: MakeScan = request.param
    return lambda hold: source(tmp_path, hold, monkeypatch, server)


NEVER = 1_000


def test_both_processes_get_every_row_that_was_left(make_scan: Callable[[Hold], Any]) -> None:
    scan = make_scan(Hold(NEVER))
    assert steps_of(islice(rows_left(scan), READ)) == STEPS[:READ]
    first, second = (Forked(lambda: steps_of(rows_left(scan))) for _ in range(2))
    assert first.result() == STEPS[READ:]
    assert steps_of(rows_left(scan)) == STEPS[READ:]
    assert second.result() == STEPS[READ:]


def test_columns_in_both_processes(make_scan: Callable[[Hold], Any]) -> None:
    scan = make_scan(Hold(NEVER))
    assert steps_of(islice(rows_left(scan), READ)) == STEPS[:READ]
    expected = scan.to_arrow(["_step"], threads=2)
    assert expected.column("_step").to_pylist() == STEPS
    assert in_fork(lambda: scan.to_arrow(["_step"], threads=2)).equals(expected)
    assert scan.to_arrow(["_step"], threads=2).equals(expected)
    assert steps_of(rows_left(scan)) == STEPS[READ:]


def test_batches_under_way(make_scan: Callable[[Hold], Any]) -> None:
    batches = make_scan(Hold(NEVER)).batches(["_step"], rows=7)
    taken = [next(batches) for _ in range(3)]
    child = Forked(lambda: steps_in(batches))
    rest = steps_in(batches)
    assert steps_in(taken) + rest == STEPS
    assert child.result() == rest


def test_while_another_thread_loads_a_page_of_the_scan(make_scan: Callable[[Hold], Any]) -> None:
    """That thread holds the scan's lock, and its frame is within the source; the child has neither."""
    hold = Hold(3)
    scan = make_scan(hold)
    taken: list[int] = []

    def take() -> None:
        taken.extend(row["_step"] for row in rows_left(scan))

    with hold.thread_at(take):
        # All rows of the pages before the held one, which a scan may have requested while it returned these rows.
        before = settled_length(taken)
        assert in_fork(lambda: steps_of(rows_left(scan))) == STEPS[before:]
        assert in_fork(lambda: (steps_of(scan), scan.to_arrow(["_step"]).num_rows)) == (STEPS, 200)
    assert taken == STEPS


@pytest.mark.parametrize("reads_on", [True, False])
def test_while_another_thread_reads_the_scan_as_columns(make_scan: Callable[[Hold], Any], reads_on: bool) -> None:
    scan = make_scan(hold := Hold(2))
    if reads_on:
        next(scan)
    tables: list[Any] = []
    with hold.thread_at(lambda: tables.append(scan.to_arrow(["_step"]))):
        assert in_fork(lambda: steps_of(rows_left(scan))) == STEPS[int(reads_on) :]
        assert in_fork(lambda: scan.to_arrow(["_step"]).num_rows) == 200
    assert tables[0].num_rows == 200
    assert steps_of(rows_left(scan)) == STEPS[int(reads_on) :]


def test_a_resumed_scan_gives_no_row_twice_though_resuming_fails_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer
) -> None:
    hold = Hold(3)
    scan = parquet_scan(tmp_path, hold, monkeypatch, server)
    file = tmp_path / "run.parquet"

    def resume() -> tuple[int, list[int]]:
        data, status = file.read_bytes(), file.stat()
        file.write_bytes(data + b"changed")
        failures = 0
        for _ in range(2):
            try:
                next(scan)
            except histscan.HistoryError:
                failures += 1
        file.write_bytes(data)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        return failures, steps_of(rows_left(scan))

    with hold.thread_at(lambda: list(rows_left(scan))):
        assert in_fork(resume) == (2, STEPS[30:])


def test_a_scan_within_a_load_of_the_forking_thread_goes_on(server: GraphQLServer) -> None:
    """What loads a page may fork itself: here a function that is told of progress."""
    children: list[list[int]] = []
    process = os.getpid()

    def fork_once(_: Any) -> None:
        if not children and os.getpid() == process:
            children.append([])
            children[0] = in_fork(lambda: steps_of(rows_left(scan)))

    server.respond = answer_from(BACKEND)
    scan = HistoryScan(histscan.Client(server.url), RUN, 0, 200, 10, progress=fork_once)
    assert steps_of(rows_left(scan)) == STEPS
    assert children == [STEPS]


# Columns, in threads


def test_columns_that_threads_were_building_must_be_read_again() -> None:
    pages = [[{"step": page * 3 + row} for row in range(3)] for page in range(90)]

    def build() -> Iterator[Any]:
        return build_chunks_in_threads(iter(pages), keys=None, flatten=False, threads=2)

    chunks = build()
    taken = [next(chunks)]

    def build_in_child() -> tuple[str, int]:
        with pytest.raises(histscan.HistoryError, match="forked") as caught:
            list(chunks)
        return str(caught.value), table_of(list(build())).num_rows

    assert in_fork(build_in_child)[1] == 270
    assert table_of([*taken, *chunks]).column("step").to_pylist() == list(range(270))


# What runs have beside their scans


def test_while_another_thread_computes_a_property_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: GraphQLServer
) -> None:
    hold = Hold(3)
    parquet_scan(tmp_path, hold, monkeypatch, server)
    run, other = (histscan.ParquetRun(tmp_path / "run.parquet") for _ in range(2))
    with hold.thread_at(lambda: run.summary):
        assert in_fork(lambda: (run.summary, other.summary)) == ({"_step": 199, "text": "row 199"},) * 2
    assert run.summary == other.summary


def test_while_another_thread_lists_runs(server: GraphQLServer) -> None:
    client = client_of(server, hold := Hold(1))
    server.respond = lambda request: data_answer({"project": project_of(request.payload["variables"])})
    runs = ProjectRuns(client, "team", "vision", per_page=10)
    listed: list[str] = []
    with hold.thread_at(lambda: listed.extend(run.id for run in runs)):
        assert in_fork(lambda: [run.id for run in runs]) == RUN_IDS
    assert listed == RUN_IDS
    assert len(server.received) == 3 + 2


@pytest.mark.parametrize("reuses", [True, False])
def test_the_child_leaves_the_connections_of_its_parent_alone(
    server: GraphQLServer, monkeypatch: pytest.MonkeyPatch, reuses: bool
) -> None:
    """A thread of the parent may hold a lock of the pool that has them; closing the pool would wait for it."""
    closed: list[int] = []
    monkeypatch.setattr(urllib3.connectionpool, "_close_pool_connections", lambda pool: closed.append(os.getpid()))
    server.respond = lambda request: data_answer({"viewer": {"id": "me"}})
    users: list[Callable[[], object]] = [ClientUser(server), FileUser(server)]
    use_all(users)

    def drop() -> bool:
        if reuses:
            use_all(users)
        users.clear()
        gc.collect()
        # Those that the child opened are closed.
        return len(closed) == 2 * reuses

    assert in_fork(drop)
    assert closed == []
    use_all(users)
    users.clear()
    gc.collect()
    assert len(closed) == 2


def use_all(users: list[Callable[[], object]]) -> None:
    for use in users:
        use()


class ClientUser:
    def __init__(self, server: GraphQLServer) -> None:
        self._client = histscan.Client(server.url)

    def __call__(self) -> None:
        self._client.execute("query Viewer { viewer { id } }")


class FileUser:
    def __init__(self, server: GraphQLServer) -> None:
        self._file = FileRequests(f"{server.url}/file", allow_http=True)

    def __call__(self) -> None:
        self._file.get({}, (200,), lambda response: response.content)
