"""Clients that scan the runs of a project for some seconds, and print what happened as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

ROWS = 1_000
PAGE = 200

RUN_FIELDS = """
    fragment RunFragment on Run {
        id tags name displayName sweepName state config group jobType commit readOnly createdAt heartbeatAt description
        notes systemMetrics summaryMetrics historyLineCount user { name username } historyKeys
    }
"""
LIST = """
    query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int = 50, $filters: JSONString) {
        project(name: $project, entityName: $entity) {
            internalId runCount(filters: $filters) readOnly
            runs(filters: $filters, after: $cursor, first: $perPage) {
                edges { node { id name displayName state createdAt tags } cursor }
                pageInfo { endCursor hasNextPage }
            }
        }
    }
"""
RUN = (
    """
    query Run($project: String!, $entity: String!, $name: String!) {
        project(name: $project, entityName: $entity) { run(name: $name) { projectId ...RunFragment } }
    }
"""
    + RUN_FIELDS
)
PAGE_OF_ROWS = """
    query HistoryPage($entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!,
        $pageSize: Int!) {
        project(name: $project, entityName: $entity) {
            run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
        }
    }
"""
KEYS = """
    query SampledHistoryPage($entity: String!, $project: String!, $run: String!, $spec: JSONString!) {
        project(name: $project, entityName: $entity) { run(name: $run) { sampledHistory(specs: [$spec]) } }
    }
"""


def scan(project: str, run: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The queries of the scan of a run."""
    names = {"entity": "team", "project": project}
    yield RUN, names | {"name": run}
    for first in range(0, ROWS, PAGE):
        yield PAGE_OF_ROWS, names | {"run": run, "minStep": first, "maxStep": first + PAGE, "pageSize": PAGE}
    yield KEYS, names | {"run": run, "spec": json.dumps({"keys": ["_step", "metric_0"], "samples": 500})}


class Load:
    """Clients that share what they know of the right answers."""

    def __init__(self, url: str, project: str, until: float) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._address = (parts.hostname, parts.port or 80)
        self._project = project
        self._until = until
        self._right: dict[bytes, bytes] = {}
        self.times: list[float] = []
        self.errors = 0

    async def client(self, number: int) -> None:
        """Scans runs, beginning with another one than other clients."""
        reader, writer = await asyncio.open_connection(*self._address, limit=1 << 22)
        requests = {name: [self._request(*query) for query in scan(self._project, name)] for name in self._names()}
        listing = self._request(LIST, {"entity": "team", "project": self._project})
        turn = number
        while True:
            for request in (listing, *requests[f"run{turn % 50:04}"]):
                if time.perf_counter() > self._until:
                    writer.close()
                    return
                started = time.perf_counter()
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.times.append(time.perf_counter() - started)
                right = self._right.setdefault(request, body)
                if not head.startswith(b"HTTP/1.1 200 ") or body != right or b'"errors"' in body[-1000:]:
                    self.errors += 1
            turn += 7

    def _names(self) -> list[str]:
        return [f"run{number:04}" for number in range(50)]

    def _request(self, query: str, variables: dict[str, Any]) -> bytes:
        body = json.dumps({"query": query, "variables": variables}).encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: {self._address[0]}\r\nContent-Type: application/json\r\n"
        more = f"Accept-Encoding: gzip, deflate\r\nAuthorization: Basic YXBpOng=\r\nContent-Length: {len(body)}\r\n\r\n"
        return (head + more).encode() + body


async def main(url: str, project: str, clients: int, seconds: float) -> None:
    """Runs the clients, and prints the numbers."""
    started = time.perf_counter()
    load = Load(url, project, started + seconds)
    ended = await asyncio.gather(*map(load.client, range(clients)), return_exceptions=True)
    errors = load.errors + sum(isinstance(one, Exception) for one in ended)
    times = sorted(load.times)
    told = {
        "requests": len(times),
        "errors": errors,
        "seconds": time.perf_counter() - started,
        "p50": times[len(times) // 2],
        "p99": times[len(times) * 99 // 100],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
