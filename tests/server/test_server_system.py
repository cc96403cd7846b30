"""The server's fields for system metrics, metadata and the end of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import histscan
from tests.support import wire
from tests.support.asgi_client import client_of
from tests.support.monitored_run import SYSTEM_ROWS, metrics_record, monitored_log
from tests.support.paths import DATA
from tests.support.stream_records import exit_record

EVENTS = """
query RunFullHistory($name: String!, $samples: Int) {
    project(name: "machines", entityName: "histscan") { run(name: $name) {
        events(samples: $samples) eventsLineCount systemMetrics
        state exitcode running failed commit history
        runInfo { program args os python colab executable codeSaved cpuCount gpuCount gpu git { remote commit } }
    } }
}
"""


def ask(path: Path, folder: Path, **variables: Any) -> Any:
    return client_of(path, folder=folder).query(EVENTS, name="monitored", **variables)["project"]["run"]


def test_events_are_the_rows_of_the_log(tmp_path: Path) -> None:
    path = monitored_log(tmp_path / "run.wandb")
    run = ask(path, tmp_path)
    rows = [json.loads(text) for text in run["events"]]
    assert repr(rows) == repr(list(histscan.LogRun(path).system_metrics()))
    assert [
        {name: row[f"system.{name}"] for name in logged} for row, logged in zip(rows, SYSTEM_ROWS, strict=True)
    ] == [dict(logged) for logged in SYSTEM_ROWS]
    assert run["eventsLineCount"] == len(SYSTEM_ROWS)
    assert len(run["history"]) == 3


def test_events_are_sampled(tmp_path: Path) -> None:
    path = monitored_log(tmp_path / "run.wandb")
    rows = list(histscan.LogRun(path).system_metrics())
    for samples, places in ((1, [0]), (2, [0, -1]), (0, [])):
        events = [json.loads(text) for text in ask(path, tmp_path, samples=samples)["events"]]
        assert events == [rows[place] for place in places]


def test_system_metrics_are_the_last_values(tmp_path: Path) -> None:
    last: dict[str, Any] = {}
    for row in SYSTEM_ROWS:
        last.update({f"system.{name}": value for name, value in row.items()})
    assert json.loads(ask(monitored_log(tmp_path / "run.wandb"), tmp_path)["systemMetrics"]) == last


def test_events_of_a_log_that_grows(tmp_path: Path) -> None:
    path = monitored_log(tmp_path / "run.wandb")
    client = client_of(path, folder=tmp_path)

    def asked() -> tuple[int, Any]:
        run = client.query(EVENTS, name="monitored")["project"]["run"]
        return len(run["events"]), json.loads(run["systemMetrics"]).get("system.new")

    assert asked() == (len(SYSTEM_ROWS), None)
    path.write_bytes(wire.append_record(path.read_bytes(), metrics_record(9, {"new": 1})))
    assert asked() == (len(SYSTEM_ROWS) + 1, 1)


@pytest.mark.parametrize(
    ("code", "state", "failed"), [(0, "finished", False), (1, "failed", True), (255, "failed", True)]
)
def test_state_of_a_finished_run(tmp_path: Path, code: int, state: str, failed: bool) -> None:
    run = ask(monitored_log(tmp_path / "run.wandb", exit_record(code)), tmp_path)
    assert [run[name] for name in ("state", "exitcode", "running", "failed")] == [state, code, False, failed]


@pytest.mark.parametrize("more", [[], [exit_record(0, not_complete=True)]])
def test_state_of_a_running_run(tmp_path: Path, more: list[bytes]) -> None:
    run = ask(monitored_log(tmp_path / "run.wandb", *more), tmp_path)
    assert [run[name] for name in ("state", "exitcode", "running", "failed")] == ["running", None, True, False]


def test_commit(tmp_path: Path) -> None:
    path = monitored_log(tmp_path / "run.wandb")
    assert ask(path, tmp_path)["commit"] is None
    (tmp_path / "files").mkdir()
    metadata = tmp_path / "files" / "wandb-metadata.json"
    for content, commit in (('{"git": {"commit": "a1b2"}}', "a1b2"), ('{"git": {"commit": [1]}}', None)):
        metadata.write_text(content)
        assert ask(path, tmp_path)["commit"] == commit


def test_run_info(tmp_path: Path) -> None:
    path = monitored_log(tmp_path / "run.wandb")
    assert ask(path, tmp_path)["runInfo"] is None
    (tmp_path / "files").mkdir()
    told = {
        "program": "train.py",
        "args": ["--lr", "1"],
        "os": "Linux",
        "python": "3.11",
        "gpu": "T4",
        "gpu_count": 2,
        "git": {"remote": "https://example.com/x.git", "commit": "a1b2"},
    }
    metadata = tmp_path / "files" / "wandb-metadata.json"
    metadata.write_text(json.dumps(told))
    found = ask(path, tmp_path)["runInfo"]
    counts = {"gpuCount": 2, "cpuCount": None, "codeSaved": False, "executable": None, "colab": None}
    assert found == {name: value for name, value in told.items() if name != "gpu_count"} | counts
    # The file may hold unexpected types.
    metadata.write_text(json.dumps({name: {"x": [1]} for name in told} | {"cpu_count": 1 << 40}))
    odd = ask(path, tmp_path)["runInfo"]
    assert odd.pop("git") == {"remote": None, "commit": None}
    assert odd.pop("codeSaved") is False
    assert set(odd.values()) == {None}


def test_a_log_without_system_metrics(tmp_path: Path) -> None:
    query = EVENTS.replace('"machines"', '"fixtures"')
    client = client_of(DATA / "default-encoding.wandb", folder=tmp_path)
    run = client.query(query, name="default-encoding")["project"]["run"]
    assert (run["events"], run["eventsLineCount"], run["systemMetrics"]) == ([], 0, "{}")
