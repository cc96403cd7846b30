"""System metrics, console output and metadata of runs on a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, cast

import pytest

import histscan
from tests.support.graphql_server import Answer, GraphQLServer, Received, data_answer, json_answer, serving

KEY = "5e" * 20
EVENTS: list[dict[str, Any]] = [
    {"system.cpu": 1.5 * step, "_wandb": True, "_timestamp": 1e9 + step, "_runtime": float(step)}
    | ({"system.gpu.0.temp": step} if step % 2 else {"nan": float("inf")})
    for step in range(5)
]
RUN = {
    "state": "finished",
    "config": json.dumps(
        {
            "_wandb": {
                "value": {
                    "cli_version": "0.26.1",
                    "m": [{"1": "epoch"}, {"1": "loss", "5": 1}, {"2": "val/*", "4": "clock"}, {"1": "a", "5": 9}, 7],
                }
            },
            "lr": {"value": 0.1},
        }
    ),
    "summaryMetrics": json.dumps({"_runtime": 4, "_wandb": {"runtime": 5}}),
}
OUTPUT = "first\nsecond \x1b[31mred\x1b[0m\n\ntab\there caf\u00e9\nwithout end"
STREAMED = (
    "ERROR 2026-11-28T02:51:23.011823 to stderr\n"
    "2026-11-28T02:51:24.000001 to stdout\n"
    "2026-99-99T02:51:24.000001 no time\n"
)


class RunServer:
    """A server of one run, with files that a test may change."""

    def __init__(self, server: GraphQLServer) -> None:
        self.server = server
        self.files: dict[str, bytes] = {}
        self.listed: dict[str, dict[str, Any]] = {}
        self.run = histscan.Run(histscan.Client(server.url, KEY, retries=0), histscan.api.names.RunName("e", "p", "r1"))
        server.respond = self.respond

    def respond(self, request: Received) -> Answer:
        if request.path.startswith("/files/"):
            name = request.path.partition("?")[0].removeprefix("/files/")
            body = self.files.get(name)
            return Answer(b"no such file", 404) if body is None else Answer(body)
        variables = request.payload["variables"]
        if request.operation == "DescribeRun":
            return data_answer({"project": {"run": RUN}})
        if request.operation == "SampledEvents":
            texts = [json.dumps(row) for row in EVENTS[: variables["samples"]]]
            return data_answer({"project": {"run": {"history": texts}}})
        assert request.operation == "RunFile"
        name = variables["file"]
        node = {
            "name": name,
            "sizeBytes": str(len(self.files.get(name, b""))),
            "directUrl": f"{self.server.url}/files/{name}?signature=abc",
            "url": "http://127.0.0.1:1/never",
        } | self.listed.get(name, {})
        edges = [{"node": node}] if name in self.files or name in self.listed else []
        return data_answer({"project": {"run": {"files": {"edges": edges}}}})


@pytest.fixture
def served() -> Iterator[RunServer]:
    with serving(lambda _: Answer(b"")) as server:
        yield RunServer(server)


def test_system_metrics(served: RunServer) -> None:
    scan = served.run.system_metrics()
    for _ in range(2):
        assert list(scan) == EVENTS
    assert served.server.received[-1].payload["variables"]["samples"] == 100_000
    assert "events(samples: $samples)" in served.server.received[-1].payload["query"]
    keys = ["_runtime", "system.gpu.0.temp"]
    expected = [{key: row[key] for key in keys} for row in EVENTS if "system.gpu.0.temp" in row]
    assert list(served.run.system_metrics(keys)) == expected
    table = served.run.system_metrics().to_arrow()
    assert table.column("system.cpu").to_pylist() == [row["system.cpu"] for row in EVENTS]
    assert list(served.run.system_metrics(samples=2)) == EVENTS[:2]
    assert served.run.history(samples=3, stream="system", pandas=False) == EVENTS[:3]
    frame: Any = served.run.history(stream="events")
    assert frame["system.cpu"].tolist() == [row["system.cpu"] for row in EVENTS]
    with pytest.raises(ValueError, match="stream"):
        served.run.history(stream=cast(Any, "other"))
    with pytest.raises(ValueError, match="keys"):
        served.run.history(stream="system", keys=["system.cpu"])


def test_a_server_without_events(served: RunServer) -> None:
    served.server.respond = lambda _: json_answer(
        {"errors": [{"message": "Cannot query field 'events' on type 'Run'"}]}
    )
    with pytest.raises(histscan.GraphQLResponseError, match="events") as caught:
        list(served.run.system_metrics())
    assert caught.value.run == "e/p/r1"


def test_console(served: RunServer) -> None:
    assert list(served.run.console()) == []
    served.files["output.log"] = OUTPUT.encode()
    lines = [(text, stream, time) for text, stream, time in served.run.console()]
    shown = ["first", "second red", "", "tab\there caf\u00e9", "without end"]
    assert lines == [(text, "stdout", None) for text in shown]
    assert "".join(line.text for line in served.run.console(raw=True)) == OUTPUT


def test_console_of_a_run_that_goes_on(served: RunServer) -> None:
    served.files["output.log"] = STREAMED.encode()
    assert list(served.run.console()) == [
        ("to stderr", "stderr", datetime(2026, 11, 28, 2, 51, 23, 11823, timezone.utc)),
        ("to stdout", "stdout", datetime(2026, 11, 28, 2, 51, 24, 1, timezone.utc)),
        ("2026-99-99T02:51:24.000001 no time", "stdout", None),
    ]


def test_metadata(served: RunServer) -> None:
    assert served.run.metadata is None
    metadata = {"program": "train.py", "host": "h", "git": {"commit": "c"}}
    served.files["wandb-metadata.json"] = json.dumps(metadata).encode()
    assert served.run.metadata == metadata
    count = len(served.server.received)
    assert served.run.metadata == metadata
    assert len(served.server.received) == count
    served.files["wandb-metadata.json"] = b"{}"
    served.run.refresh()
    assert served.run.metadata == {}


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff"])
def test_metadata_that_is_no_object(served: RunServer, content: bytes) -> None:
    served.files["wandb-metadata.json"] = content
    with pytest.raises(histscan.ResponseShapeError, match=r"wandb-metadata\.json"):
        _ = served.run.metadata


def test_files_that_are_listed_but_were_never_uploaded(served: RunServer) -> None:
    for node in ({"sizeBytes": 0}, {"sizeBytes": None}, {"sizeBytes": 10}):
        served.listed["wandb-metadata.json"] = node
        assert served.run.metadata is None


def test_a_list_of_files_of_the_wrong_shape(served: RunServer) -> None:
    nodes: list[dict[str, Any]] = [{"sizeBytes": "many"}, {"sizeBytes": [1]}]
    for node in nodes:
        served.listed["output.log"] = node
        with pytest.raises(histscan.ResponseShapeError, match="not a list of files"):
            list(served.run.console())
    served.server.respond = lambda _: data_answer({"project": {"run": {"files": None}}})
    with pytest.raises(histscan.ResponseShapeError, match="not a list of files"):
        list(served.run.console())


def test_the_key_does_not_go_where_files_are(served: RunServer) -> None:
    served.files["output.log"] = b"line\n"
    assert list(served.run.console())
    asked = [request for request in served.server.received if request.path.startswith("/files/")]
    assert asked
    assert all("Authorization" not in request.headers for request in asked)
    served.listed["output.log"] = {"directUrl": "ftp://127.0.0.1/output.log?signature=secret"}
    with pytest.raises(histscan.HistoryRequestError) as caught:
        list(served.run.console())
    assert "secret" not in str(caught.value)
    served.listed["output.log"] = {"directUrl": "http://127.0.0.1:1/output.log?signature=secret"}
    with pytest.raises(histscan.HistoryRequestError, match=r"the run's file output\.log") as caught:
        list(served.run.console())
    assert "secret" not in str(caught.value)


def test_what_config_and_summary_tell(served: RunServer) -> None:
    run = served.run
    assert (run.state, run.exit_code, run.wandb_version, run.duration) == ("finished", 0, "0.26.1", 5.0)
    assert run.axes == {"loss": "epoch", "val/*": "clock"}
    assert run.config == {"lr": 0.1}
    served.server.respond = lambda _: data_answer({"project": {"run": {"state": "failed", "config": None}}})
    run.refresh()
    assert (run.exit_code, run.wandb_version, run.duration, run.axes) == (None, "", None, {})
