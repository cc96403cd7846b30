"""Simulated rate limits and faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from histscan.server.simulation import Fault, FaultPlan, RateLimiter, parse_fault
from tests.support.asgi_client import AsgiClient, client_of
from tests.support.paths import EXAMPLE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("503", Fault("503")),
        ("429@HistoryPage", Fault("429", "HistoryPage")),
        ("truncate@files:first=2", Fault("truncate", "files", first=2)),
        ("errors:every=10", Fault("errors", every=10)),
        ("500:at=1,3", Fault("500", at=frozenset({1, 3}))),
        ("502@Run:rate=0.25", Fault("502", "Run", rate=0.25)),
    ],
)
def test_faults_of_the_command_line(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    "text",
    ["", "200", "600", "boom", "503:", "503:every=0", "503:first=x", "503:at=", "503:rate=0.1.2", "503 ", "@Run"],
)
def test_invalid_faults(text: str) -> None:
    with pytest.raises(ValueError, match="is not a fault"):
        parse_fault(text)


def test_requests_affected_by_a_fault() -> None:
    def struck(fault: Fault) -> list[int]:
        plan = FaultPlan([fault])
        return [number for number in range(1, 11) if plan.next_fault("Run")]

    assert struck(Fault("503")) == list(range(1, 11))
    assert struck(Fault("503", every=3)) == [3, 6, 9]
    assert struck(Fault("503", first=2)) == [1, 2]
    assert struck(Fault("503", at=frozenset({2, 9}))) == [2, 9]
    assert struck(Fault("503", "Runs")) == []
    assert struck(Fault("503", rate=0.0)) == []
    assert struck(Fault("503", rate=1.0)) == list(range(1, 11))
    assert struck(Fault("503", rate=0.5)) == struck(Fault("503", rate=0.5))


def test_first_matching_fault_is_used_and_operations_are_counted_separately() -> None:
    plan = FaultPlan([Fault("500", "A", at=frozenset({2})), Fault("503", every=2)])
    assert [plan.next_fault(name) for name in "ABABAB"] == [None, "503", "500", "503", None, "503"]


def test_rate_limiter_allows_its_rate() -> None:
    now = [0.0]
    limiter = RateLimiter(2.0, lambda: now[0])
    assert [limiter.take().is_exceeded for _ in range(4)] == [False, False, True, True]
    limit = limiter.take()
    assert (limit.limit, limit.remaining) == (2, 0)
    assert limit.retry_after == pytest.approx(0.5)
    assert limit.reset == pytest.approx(1.0)
    now[0] = 0.5
    assert [limiter.take().is_exceeded for _ in range(2)] == [False, True]
    now[0] = 100.0
    assert [limiter.take().is_exceeded for _ in range(3)] == [False, False, True]


def test_rates_below_one_allow_single_requests() -> None:
    now = [0.0]
    limiter = RateLimiter(0.1, lambda: now[0])
    assert [limiter.take().is_exceeded for _ in range(2)] == [False, True]
    now[0] = 10.0
    assert not limiter.take().is_exceeded


def faulty(tmp_path: Path, *texts: str, **settings: float) -> AsgiClient:
    return client_of(EXAMPLE, folder=tmp_path, faults=[parse_fault(text) for text in texts], **settings)


VIEWER = {"query": "query Viewer { viewer { username } }"}


def test_statuses(tmp_path: Path) -> None:
    client = faulty(tmp_path, "503:at=1", "429:at=2", "404:at=3")
    replies = [client.post(VIEWER) for _ in range(4)]
    assert [reply.status for reply in replies] == [503, 429, 404, 200]
    assert [reply.headers.get("retry-after") for reply in replies] == [None, "1", None, None]
    assert replies[0].json()["errors"] == [{"message": "simulated fault (--fault)"}]


def test_graphql_errors(tmp_path: Path) -> None:
    reply = faulty(tmp_path, "errors@Viewer").post(VIEWER)
    assert reply.status == 200
    assert reply.json() == {"data": None, "errors": [{"message": "simulated fault (--fault)"}]}


def test_truncated_bodies(tmp_path: Path) -> None:
    reply = faulty(tmp_path, "truncate").post(VIEWER)
    assert not reply.is_complete
    assert len(reply.body) == int(reply.headers["content-length"]) // 2


def test_truncated_files(tmp_path: Path) -> None:
    client = faulty(tmp_path, "truncate@files")
    query = (
        """{ project(name: "examples") { run(name: "lissajous") { parquetHistory(liveKeys: []) { parquetUrls } } } }"""
    )
    (url,) = client.query(query)["project"]["run"]["parquetHistory"]["parquetUrls"]
    reply = client.request("GET", url)
    assert not reply.is_complete
    assert len(reply.body) == int(reply.headers["content-length"]) // 2


def test_rate_limit(tmp_path: Path) -> None:
    # A rate so low that no further request is allowed during the test.
    client = client_of(EXAMPLE, folder=tmp_path, rate_limit=0.001)
    allowed, refused = client.post(VIEWER), client.post(VIEWER)
    assert allowed.status == 200
    assert allowed.headers["ratelimit-remaining"] == "0"
    assert refused.status == 429
    assert refused.headers["ratelimit-limit"] == "1"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert 0 < int(refused.headers["retry-after"]) <= 1000
    assert 0 < int(refused.headers["ratelimit-reset"]) <= 1000
    assert client.request("GET", "/traffic").json()["statuses"] == {"200": 1, "429": 1}


def test_latency_delays_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("histscan.server.app.asyncio.sleep", wait)
    client = client_of(EXAMPLE, folder=tmp_path, latency=0.05)
    assert client.post(VIEWER).status == 200
    assert waited == [0.05]
