"""The real wandb client, with the real wandb-core, gets from `histscan serve` what is in the logs."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import histscan
from tests.support.monitored_run import SYSTEM_ROWS, monitored_log
from tests.support.paths import DATA, EXAMPLE
from tests.support.served_runs import KEYS, LISSAJOUS, NESTED_KEYS, ODD, TYPED, exported, log_of, same
from tests.support.server_process import ServerProcess, serving
from tests.support.wandb_client import Failure, Question, ask_wandb

MONITORED = "histscan/machines/monitored"
GROWING = TYPED
KEY = "f0" * 20
FILES = {
    "media/plot é.txt": b"\x00\xff" * 1000,
    "output.log": b"one\ntwo\n",
    "wandb-metadata.json": b'{"python": "CPython 3.11.2", "git": {"commit": "a1b2"}}',
    "wandb-summary.json": b'{"loss": NaN}',
}
READ_ONLY = "histscan serve is read-only"
# The values of these keys have no common type: their exported columns are text.
TEXT_COLUMNS = {"changes type", "list"}


class Asked:
    """Collects questions, asks them all in one client process, and looks up each answer."""

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}
        self.answers: dict[str, Any] = {}

    def add(self, label: str, name: str, run: str | None = None, **rest: Any) -> None:
        self.questions[label] = Question(name, run, **rest)

    def ask(self, url: str, **options: Any) -> None:
        self.answers = dict(zip(self.questions, ask_wandb(url, list(self.questions.values()), **options), strict=True))

    def __getitem__(self, label: str) -> Any:
        answer = self.answers[label]
        assert not isinstance(answer, Failure), answer
        return answer

    def failure(self, label: str) -> Failure:
        answer = self.answers[label]
        assert isinstance(answer, Failure), answer
        return answer


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log without its end, as of a running run."""
    path = tmp_path_factory.mktemp("growing") / "run-growing.wandb"
    path.write_bytes((DATA / "typed-encoding.wandb").read_bytes()[:70_000])
    for name, content in FILES.items():
        file = path.parent / "files" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with system metrics."""
    return monitored_log(tmp_path_factory.mktemp("monitored") / "run-monitored.wandb")


@pytest.fixture(scope="module")
def server(growing: Path, monitored: Path) -> Iterator[ServerProcess]:
    with serving(
        DATA / "default-encoding.wandb", EXAMPLE, growing, monitored, "--export-rows", "2000", "--api-key", KEY
    ) as running:
        yield running


@pytest.fixture(scope="module")
def asked(server: ServerProcess) -> Asked:
    """The questions of all tests, for one client: it takes a while to start."""
    asked = Asked()
    for run in (LISSAJOUS, ODD):
        for name in ("config", "summary", "lastHistoryStep", "name", "state", "tags"):
            asked.add(f"{run} {name}", name, run)
        asked.add(f"{run} scan", "scan_history", run, arguments={})
        asked.add(f"{run} beta", "beta_scan_history", run, arguments={"page_size": 700})
    asked.add(f"{GROWING} state", "state", GROWING)
    asked.add(f"{GROWING} scan", "scan_history", GROWING, arguments={"page_size": 7})
    asked.add(f"{GROWING} beta", "beta_scan_history", GROWING, arguments={})
    asked.add(f"{GROWING} beta keys", "beta_scan_history", GROWING, arguments={"keys": KEYS, "page_size": 10_000})
    asked.add("keys", "scan_history", LISSAJOUS, arguments={"keys": KEYS, "page_size": 10_000})
    asked.add("nested keys", "scan_history", LISSAJOUS, arguments={"keys": NESTED_KEYS, "page_size": 10_000})
    asked.add("odd keys", "scan_history", ODD, arguments={"keys": ["_step", "not finite"], "page_size": 10_000})
    asked.add("small pages", "scan_history", LISSAJOUS, arguments={"page_size": 77, "min_step": 33, "max_step": 555})
    asked.add("range", "scan_history", LISSAJOUS, arguments={"min_step": 10, "max_step": 20})
    asked.add("beyond", "scan_history", LISSAJOUS, arguments={"min_step": 4990, "max_step": 10**12})
    asked.add("beta keys", "beta_scan_history", LISSAJOUS, arguments={"keys": KEYS, "use_cache": False})
    asked.add("beta range", "beta_scan_history", LISSAJOUS, arguments={"min_step": 4000, "max_step": 4010})
    asked.add("history", "history", LISSAJOUS, arguments={"samples": 100, "pandas": False})
    asked.add("history keys", "history", LISSAJOUS, arguments={"samples": 50, "keys": ["loss"], "pandas": False})
    asked.add("events", "history", MONITORED, arguments={"stream": "system", "pandas": False})
    asked.add("some events", "history", MONITORED, arguments={"stream": "system", "pandas": False, "samples": 2})
    asked.add("system metrics", "system_metrics", MONITORED)
    asked.add("no events", "history", LISSAJOUS, arguments={"stream": "system", "pandas": False})
    asked.add("files", "files", GROWING, arguments={"per_page": 3}, take=("name", "size", "md5", "mimetype"))
    asked.add("count of files", "files", GROWING, arguments={}, then="__len__")
    asked.add("files like", "files", GROWING, arguments={"pattern": "wandb-%.json"}, take=("name",))
    asked.add("files named", "files", GROWING, arguments={"names": ["output.log"]}, take=("name",))
    asked.add("download", "file", GROWING, arguments={"name": "wandb-summary.json"}, then="download")
    asked.add("missing file", "file", GROWING, arguments={"name": "../secret"}, then="download")
    asked.add("metadata", "metadata", GROWING)
    asked.add("no metadata", "metadata", LISSAJOUS)
    asked.add("no files", "files", LISSAJOUS, arguments={})
    for name in ("logged_artifacts", "used_artifacts"):
        asked.add(name, name, LISSAJOUS, arguments={})
        asked.add(f"count of {name}", name, LISSAJOUS, arguments={}, then="__len__")
    asked.add("sweep", "sweep", LISSAJOUS)
    asked.add("reports", "reports", arguments={"path": "histscan/examples"})
    asked.add("artifact types", "artifact_types", arguments={"project": "histscan/examples"})
    asked.add("sweeps", "project", arguments={"name": "examples", "entity": "histscan"}, then="sweeps")
    asked.add("projects", "projects", arguments={"entity": "histscan"}, take=("name",))
    asked.add("team", "team", arguments={"team": "histscan"}, then="__repr__")
    asked.add("automations", "automations", arguments={"entity": "histscan"})
    asked.add("has artifact", "artifact_exists", arguments={"name": "histscan/examples/model:v0"})
    for name in ("update", "delete"):
        asked.add(name, name, LISSAJOUS, arguments={})
    asked.add("delete file", "file", GROWING, arguments={"name": "output.log"}, then="delete")
    asked.add("missing run", "config", "histscan/examples/nobody")
    asked.add("missing project", "runs", arguments={"path": "histscan/nothing"})
    asked.add("traversal", "config", "histscan/examples/..%2f..%2fetc")
    asked.add("viewer", "viewer.username")
    asked.add("entity", "default_entity")
    listed: dict[str, Any] = {"path": "histscan/fixtures", "per_page": 1}
    asked.add("runs", "runs", arguments=listed, take=("id",))
    asked.add("newest first", "runs", arguments={**listed, "order": "-created_at"}, take=("id", "state"))
    asked.add(
        "filtered",
        "runs",
        arguments={
            **listed,
            "filters": {
                "$and": [
                    {"config.optimizer.name": "adam"},
                    {"display_name": {"$regex": "^default"}},
                    {"summary_metrics.best": {"$lt": 1}},
                    {"state": {"$in": ["finished", "running"]}},
                    {"created_at": {"$gt": "2020-01-01"}},
                ]
            },
        },
        take=("id", "lastHistoryStep", "config"),
    )
    asked.add("filtered out", "runs", arguments={**listed, "filters": {"config.learning_rate": 17}}, take=("id",))
    asked.add("wrong filter", "runs", arguments={**listed, "filters": {"state": {"$near": 1}}}, take=("id",))
    asked.ask(server.url, api_key=KEY)
    return asked


def assert_same_rows(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        assert same(row, other), row.get("_step")


def assert_same_export(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [row["_step"] for row in rows] == [row["_step"] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert same(exported(row), exported(other)), row["_step"]


@pytest.mark.parametrize("run", [LISSAJOUS, ODD])
class TestRun:
    def test_scan(self, asked: Asked, run: str) -> None:
        assert_same_rows(asked[f"{run} scan"], list(log_of(run).scan_history()))

    def test_description(self, asked: Asked, run: str) -> None:
        log = log_of(run)
        assert same(asked[f"{run} config"], log.config)
        assert same(asked[f"{run} summary"], log.summary)
        assert asked[f"{run} lastHistoryStep"] == log.lastHistoryStep
        assert asked[f"{run} name"] == log.name
        assert asked[f"{run} tags"] == log.tags
        assert asked[f"{run} state"] == "finished"

    def test_beta_scan_of_exported_files(self, asked: Asked, run: str) -> None:
        expected = list(log_of(run).scan_history())
        rows = asked[f"{run} beta"]
        for row, other in zip(rows, expected, strict=True):
            for key in TEXT_COLUMNS & other.keys():
                if not isinstance(other[key], str) and row[key] is not None:
                    row[key] = json.loads(row[key])
        assert_same_export(rows, expected)


def test_scan_of_keys(asked: Asked) -> None:
    assert_same_rows(asked["keys"], list(log_of(LISSAJOUS).scan_history(KEYS)))


def test_scan_of_nested_keys(asked: Asked) -> None:
    expected = list(log_of(LISSAJOUS).scan_history(NESTED_KEYS))
    assert 0 < len(expected) < 5000
    assert_same_rows(asked["nested keys"], expected)


def test_nonfinite_numbers_of_a_scan_of_keys_are_strings(asked: Asked) -> None:
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    expected = list(log_of(ODD).scan_history(["_step", "not finite"]))
    assert any(math.isnan(row["not finite"]) for row in expected)
    assert asked["odd keys"] == [{**row, "not finite": names[str(row["not finite"])]} for row in expected]


def test_ranges(asked: Asked) -> None:
    log = log_of(LISSAJOUS)
    assert_same_rows(asked["small pages"], list(log.scan_history(min_step=33, max_step=555)))
    assert_same_rows(asked["range"], list(log.scan_history(min_step=10, max_step=20)))
    assert_same_rows(asked["beyond"], list(log.scan_history(min_step=4990)))
    assert_same_export(asked["beta range"], list(log.scan_history(min_step=4000, max_step=4010)))


def test_beta_scan_of_keys_by_ranges_of_files(asked: Asked, server: ServerProcess) -> None:
    assert_same_export(asked["beta keys"], list(log_of(LISSAJOUS).scan_history(KEYS)))
    assert server.traffic(auth=("api", KEY))["statuses"]["206"] > 0


def test_sampled_history(asked: Asked) -> None:
    rows = list(log_of(LISSAJOUS).scan_history())
    assert len(asked["history"]) == 100
    assert all(same(row, rows[row["_step"]]) for row in asked["history"])
    assert [asked["history"][place]["_step"] for place in (0, -1)] == [0, 4999]
    assert len(asked["history keys"]) == 50
    assert asked["history keys"][-1] == {"_step": 4999, "loss": rows[-1]["loss"]}


def test_listings(asked: Asked) -> None:
    assert asked["runs"] == [("default-encoding",), ("typed-encoding",)]
    assert asked["newest first"] == [("typed-encoding", "running"), ("default-encoding", "finished")]
    assert asked["filtered"] == [("default-encoding", log_of(ODD).lastHistoryStep, log_of(ODD).config)]
    assert asked["filtered out"] == []


def test_files(asked: Asked) -> None:
    types = ["text/plain", "application/octet-stream", "application/json", "application/json"]
    digests = [base64.b64encode(hashlib.md5(content).digest()).decode() for content in FILES.values()]
    sizes = [len(content) for content in FILES.values()]
    found = asked["files"]
    assert [file[:3] for file in found] == list(zip(FILES, sizes, digests, strict=True))
    assert [file[3] for file in found] == [mimetypes.guess_type(name)[0] or types[1] for name in FILES]
    assert asked["count of files"] == 4
    assert asked["files like"] == [("wandb-metadata.json",), ("wandb-summary.json",)]
    assert asked["files named"] == [("output.log",)]
    assert asked["download"] == ['{"loss": NaN}']
    assert asked["metadata"] == json.loads(FILES["wandb-metadata.json"])
    assert "there is no such file" in asked.failure("missing file").message


def test_system_metrics(asked: Asked, monitored: Path) -> None:
    rows = list(histscan.LogRun(monitored).system_metrics())
    assert len(rows) == len(SYSTEM_ROWS)
    assert_same_rows(asked["events"], rows)
    assert_same_rows(asked["some events"], [rows[0], rows[-1]])
    last = {f"system.{name}": value for row in SYSTEM_ROWS for name, value in row.items()}
    assert same(asked["system metrics"], last)
    assert asked["no events"] == []


def test_histscan_client_reads_the_same(server: ServerProcess, monitored: Path) -> None:
    api = histscan.Api(base_url=server.url, api_key=KEY)
    run, saved = api.run(MONITORED), api.run(GROWING)
    assert_same_rows(list(run.system_metrics()), list(histscan.LogRun(monitored).system_metrics()))
    assert run.metadata is None
    assert saved.metadata == json.loads(FILES["wandb-metadata.json"])
    assert [line.text.strip() for line in saved.console()] == FILES["output.log"].decode().split()


def test_empty_fields(asked: Asked) -> None:
    nothing = ["no files", "logged_artifacts", "used_artifacts", "reports", "artifact types", "sweeps", "automations"]
    assert [asked[label] for label in nothing] == [[]] * len(nothing)
    assert [asked[f"count of {name}"] for name in ("logged_artifacts", "used_artifacts")] == [0, 0]
    assert asked["sweep"] is None
    assert asked["no metadata"] is None
    assert asked["has artifact"] is False
    assert asked["team"] == "<Team histscan>"
    assert asked["projects"] == [("examples",), ("fixtures",), ("machines",)]


@pytest.mark.parametrize("label", ["update", "delete", "delete file"])
def test_mutations_are_rejected(asked: Asked, label: str) -> None:
    assert READ_ONLY in asked.failure(label).message


def test_viewer(asked: Asked) -> None:
    assert asked["viewer"] == "histscan"
    assert asked["entity"] == "histscan"


@pytest.mark.parametrize("label", ["missing run", "traversal"])
def test_missing_run(asked: Asked, label: str) -> None:
    assert "Could not find run" in asked.failure(label).message


def test_missing_project(asked: Asked) -> None:
    assert "Could not find project" in asked.failure("missing project").message


def test_wrong_filter(asked: Asked) -> None:
    assert "there is no operator $near" in asked.failure("wrong filter").message


@pytest.mark.filterwarnings("ignore::histscan.LogTruncatedWarning")
def test_running_run_is_scanned_live(asked: Asked, growing: Path) -> None:
    log = histscan.open(growing)
    expected = list(log.scan_history())
    assert asked[f"{GROWING} state"] == "running"
    assert 20 < len(expected) < 50
    assert_same_rows(asked[f"{GROWING} scan"], expected)
    assert_same_export(asked[f"{GROWING} beta"], expected)
    assert_same_export(asked[f"{GROWING} beta keys"], list(log.scan_history(KEYS)))


def test_wrong_api_key(server: ServerProcess) -> None:
    (refused,) = ask_wandb(server.url, [Question("lastHistoryStep", LISSAJOUS)], api_key="e" * 40)
    assert isinstance(refused, Failure)
    assert KEY not in "".join(server.printed + server.complaints)


def test_faults_rate_limits_and_live_rows_behind_exported_files() -> None:
    faults = ("--fault", "503@HistoryPage:first=1", "--fault", "429@RunHistoryKeys:first=1")
    asked = Asked()
    asked.add("scan", "scan_history", LISSAJOUS, arguments={"page_size": 500})
    asked.add("beta", "beta_scan_history", LISSAJOUS, arguments={"page_size": 600})
    with serving(EXAMPLE, "--live-rows", "150", "--rate-limit", "10/s", *faults) as server:
        asked.ask(server.url)
        traffic = server.traffic()
    expected = list(log_of(LISSAJOUS).scan_history())
    assert_same_rows(asked["scan"], expected)
    # For a page with exported and live rows, this release returns the exported rows twice.
    steps = {row["_step"]: row for row in asked["beta"]}
    assert len(asked["beta"]) == 5050
    assert_same_export(list(steps.values()), expected)
    assert traffic["statuses"]["503"] == 1
    assert traffic["statuses"]["429"] >= 1
    assert traffic["operations"]["files"] == 1


def test_exported_files_are_served_as_a_run(server: ServerProcess, tmp_path: Path) -> None:
    query = """{ project(name: "examples", entityName: "histscan") { run(name: "lissajous") {
        parquetHistory(liveKeys: ["_step"]) { parquetUrls } } } }"""
    urls = server.query(query, auth=("api", KEY))["project"]["run"]["parquetHistory"]["parquetUrls"]
    assert len(urls) == 3
    for number, url in enumerate(reversed(urls)):
        name = f"histscan_examples_lissajous_{number}.runhistory.parquet"
        (tmp_path / name).write_bytes(requests.get(url, timeout=30).content)
    asked = Asked()
    asked.add("scan", "scan_history", LISSAJOUS, arguments={})
    asked.add(f"{GROWING} state", "state", GROWING)
    asked.add(f"{GROWING} scan", "scan_history", GROWING, arguments={"page_size": 7})
    asked.add(f"{GROWING} beta", "beta_scan_history", GROWING, arguments={})
    asked.add(f"{GROWING} beta keys", "beta_scan_history", GROWING, arguments={"keys": KEYS, "page_size": 10_000})
    asked.add("keys", "scan_history", LISSAJOUS, arguments={"keys": NESTED_KEYS, "page_size": 10_000})
    asked.add("beta", "beta_scan_history", LISSAJOUS, arguments={})
    asked.add("last", "lastHistoryStep", LISSAJOUS)
    asked.add("summary", "summary", LISSAJOUS)
    with serving(tmp_path) as exports:
        asked.ask(exports.url)
    log = log_of(LISSAJOUS)
    expected = list(log.scan_history())
    assert_same_export(asked["scan"], expected)
    assert_same_export(asked["beta"], expected)
    assert_same_export(asked["keys"], list(log.scan_history(NESTED_KEYS)))
    assert asked["last"] == 4999
    assert asked["summary"]["loss"] == expected[-1]["loss"]
