"""``async for row in scan``: the rows of ``for row in scan``, without blocking the event loop."""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import histscan
from histscan.errors import HistoryError
from histscan.history import HistoryScan
from histscan.sources.client import Client
from tests.support import wire
from tests.support.client_answers import KEY
from tests.support.export_backend import Backend
from tests.support.graphql_server import GraphQLServer, answer_from
from tests.support.history_backend import RUN, row_texts
from tests.support.log_samples import step_rows, write_run
from tests.support.prefetching import BACKEND, PATIENCE, Gate, assert_threads_end


async def rows_of(scan: Any) -> list[Any]:
    return [row async for row in scan]


def read(scan: Any) -> list[Any]:
    return asyncio.run(rows_of(scan))


def log_scan(tmp_path: Path, server: GraphQLServer) -> Any:
    return histscan.open(write_run(tmp_path / "run.wandb", step_rows(range(200), size=30_000))).scan_history()


def selected_log_scan(tmp_path: Path, server: GraphQLServer) -> Any:
    path = write_run(tmp_path / "run.wandb", step_rows(range(200), size=30_000))
    return histscan.open(path).scan_history(keys=["text"], min_step=50, max_step=170)


def parquet_scan(tmp_path: Path, server: GraphQLServer) -> Any:
    table = pyarrow.table({"_step": range(200), "a": [str(step) for step in range(200)]})
    pyarrow.parquet.write_table(table, tmp_path / "run.parquet", row_group_size=30)
    return histscan.open(tmp_path / "run.parquet").scan_history(min_step=7)


def json_scan(tmp_path: Path, server: GraphQLServer) -> Any:
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps({"_step": step, "a": [step]}) + "\n" for step in range(200)))
    return histscan.open(path).scan_history()


def paged_scan(tmp_path: Path, server: GraphQLServer) -> Any:
    server.respond = answer_from(BACKEND)
    return HistoryScan(Client(server.url, KEY), RUN, 0, 200, page_size=30)


def prefetching_scan(tmp_path: Path, server: GraphQLServer) -> Any:
    server.respond = answer_from(BACKEND)
    return HistoryScan(Client(server.url, KEY), RUN, 3, 180, page_size=30, prefetch=3)


def exported_scan(tmp_path: Path, server: GraphQLServer) -> Any:
    return Backend(server).scan()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))


SOURCES = [log_scan, selected_log_scan, parquet_scan, json_scan, paged_scan, prefetching_scan, exported_scan]


@pytest.mark.parametrize("open_scan", SOURCES)
def test_rows_are_those_of_the_scan(tmp_path: Path, server: GraphQLServer, open_scan: Any) -> None:
    scan = open_scan(tmp_path, server)
    # Their texts, because NaN does not equal itself.
    expected = list(map(repr, scan))
    assert expected
    assert list(map(repr, read(scan))) == expected
    # A scan that has started goes on where it was.
    assert repr(next(iter(scan))) == expected[0]
    assert list(map(repr, read(scan))) == expected
    assert repr(next(scan)) == expected[1]


@pytest.mark.parametrize("size", [10, 30_000])
def test_rows_before_an_error(tmp_path: Path, size: int) -> None:
    rows = step_rows(range(40), size=size)
    rows[25] = wire.history_record([(["_step"], "25"), (["a"], "{bad")], 25)
    scan = histscan.open(write_run(tmp_path / "run.wandb", rows)).scan_history()

    def rows_and_error(iterate: Any) -> tuple[list[Any], str]:
        found: list[Any] = []
        with pytest.raises(HistoryError) as failure:
            iterate(found)
        return found, str(failure.value)

    async def collect(found: list[Any]) -> None:
        async for row in scan:
            found.append(row)

    expected, error = rows_and_error(lambda found: [found.append(row) for row in scan])
    assert len(expected) == 25
    assert rows_and_error(lambda found: asyncio.run(collect(found))) == (expected, error)


def test_event_loop_is_not_blocked(server: GraphQLServer) -> None:
    gate = Gate()
    server.respond = gate
    scan = HistoryScan(Client(server.url, KEY), RUN, 0, 200, page_size=50)

    async def main() -> int:
        reading = asyncio.create_task(rows_of(scan))
        # The second page waits until this task, in the same thread, opens the gate.
        await asyncio.to_thread(gate.wait_for, 1)
        assert not reading.done()
        gate.is_open.set()
        return len(await reading)

    assert asyncio.run(main()) == 200


def test_scans_at_the_same_time(server: GraphQLServer) -> None:
    server.respond = answer_from(BACKEND)
    client = Client(server.url, KEY)
    scans = [HistoryScan(client, RUN, 0, 200, page_size=20) for _ in range(8)]

    async def main() -> list[list[Any]]:
        return await asyncio.gather(*map(rows_of, scans))

    assert list(map(row_texts, asyncio.run(main()))) == [row_texts(BACKEND.rows)] * 8


@pytest.mark.parametrize("prefetch", [0, 2])
def test_cancelled_task_ends_the_request(server: GraphQLServer, prefetch: int) -> None:
    gate = Gate()
    server.respond = gate
    scan = HistoryScan(
        Client(server.url, KEY, timeout=PATIENCE, retries=0), RUN, 0, 200, page_size=50, prefetch=prefetch
    )

    async def main() -> int:
        rows = []

        async def collect() -> None:
            async for row in scan:
                rows.append(row)

        reading = asyncio.create_task(collect())
        await asyncio.to_thread(gate.wait_for, 1)
        while len(rows) < 50:
            await asyncio.sleep(0.001)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        return len(rows)

    # asyncio.run() waits for its threads: it returns only if the request, which is never answered, was cancelled.
    assert asyncio.run(main()) == 50
    gate.is_open.set()
    assert_threads_end()
    # The scan is free again.
    assert len(list(scan)) == 200


def test_early_end(tmp_path: Path, server: GraphQLServer) -> None:
    scan = log_scan(tmp_path, server)

    async def main() -> list[int]:
        steps = []
        async with aclosing(scan.__aiter__()) as rows:
            async for row in rows:
                steps.append(row["_step"])
                if len(steps) == 3:
                    break
        return steps

    assert asyncio.run(main()) == [0, 1, 2]
    gc.collect()
    assert len(list(scan)) == 200
