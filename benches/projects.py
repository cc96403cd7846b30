"""Whole projects: all runs of a server in one frame, the table of runs, and folders of many logs.

A server on loopback, with a delay before each response, and each reader run in separate processes. A pass is a new
process; its clock runs from the call to the finished frame, after imports and the first connection. The readers
alternate, after one pass each to compare what they read.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benches.data import plain_rows, value_text
from benches.large_log import LogWriter
from benches.projects_client import one_log
from benches.record_log import DEFAULT_DIRECTORY
from benches.text_table import format_cells
from histscan.common.atomic import atomic_output
from tests.support import wire
from tests.support.paths import ROOT
from tests.support.releases import python_of
from tests.support.server_process import ServerProcess, serving
from tests.support.wandb_client import client_environment

__all__ = ["ENTITY", "PROJECTS", "Project", "ProjectOutcome", "format_projects", "measure_project", "written_logs"]

ENTITY = "team"
"""The entity of the projects."""

_RELEASE = "0.31.0"
_EXIT = 18
"""A field number of wandb's `Record`: a log with this record is finished, so the server exports it."""


@dataclass(frozen=True)
class Project:
    """Runs to be read together.

    Attributes:
        what: What the readers make: ``"frame"`` of all rows, ``"table"`` of runs, or ``"logs"``, a frame of some keys
            of logs without a server.
        runs: How many runs there are.
        rows: Rows of each run.
        keys: Keys of each row.
        floor: How many times faster than the peer histscan has to be.
        options: Options of the server.
        peer: What histscan is compared with: ``"wandb"``; or for logs ``"loop"`` over ``histscan.open()``, ``"bytes"``,
            reading and parsing their bytes in one thread, and ``"one"`` log of the same bytes.
    """

    what: str
    runs: int
    rows: int
    keys: int
    floor: float
    options: Sequence[str] = ()
    peer: str = "wandb"

    @property
    def name(self) -> str:
        """The name of the project on the server."""
        return f"project-{self.runs}-{self.rows}-{self.keys}"


@dataclass(frozen=True)
class ProjectOutcome:
    """The measurements of a project.

    Attributes:
        case: The name of the case.
        peer: The peer.
        runs: How many runs there are.
        rows: Rows of each run.
        peer_seconds: The median of the peer's passes.
        our_seconds: The median of ours.
        peer_requests: HTTP requests of one pass of the peer's; 0 without a server.
        our_requests: HTTP requests of one pass of ours.
        floor: How many times faster than the peer histscan has to be.
    """

    case: str
    peer: str
    runs: int
    rows: int
    peer_seconds: float
    our_seconds: float
    peer_requests: int
    our_requests: int
    floor: float

    @property
    def ratio(self) -> float:
        """The peer's time divided by ours."""
        return self.peer_seconds / self.our_seconds

    def as_json(self) -> dict[str, Any]:
        """Returns the numbers as a JSON object."""
        return asdict(self) | {"ratio": self.ratio}


_LATENCY = ("--latency", "20ms")

PROJECTS = {
    "project-pages": Project("frame", 200, 1_000, 10, 15.0, (*_LATENCY, "--export", "none")),
    "project-exports": Project("frame", 200, 1_000, 10, 15.0, (*_LATENCY, "--export", "all")),
    "project-table": Project("table", 5_000, 2, 3, 5.0, _LATENCY),
    "project-logs": Project("logs", 1_000, 1_000, 10, 3.0, peer="loop"),
    "project-logs-bytes": Project("logs", 1_000, 1_000, 10, 1 / 1.3, peer="bytes"),
    "project-logs-one": Project("logs", 1_000, 1_000, 10, 1 / 1.2, peer="one"),
}

_PEERS = {
    "wandb": f"wandb {_RELEASE}",
    "loop": "a loop over histscan.open()",
    "bytes": "reading and parsing the bytes",
    "one": "one log of the same bytes",
}


def measure_project(case: str, rounds: int, say: Callable[[str], None]) -> ProjectOutcome:
    """Measures histscan against its peer.

    Args:
        case: The name of the case.
        rounds: Passes of each.
        say: Called with progress messages.

    Returns:
        The measurements.

    Raises:
        AssertionError: The readers' results differ.
        RuntimeError: A reader failed.
    """
    project = PROJECTS[case]
    folder = written_logs(project)
    if project.peer == "one":
        _write_one_log(project, one_log(folder))
    peer = python_of(_RELEASE, "pandas") if project.peer == "wandb" else Path(sys.executable)
    pythons = {"ours": Path(sys.executable), project.peer: peer}
    with _server(project, folder) as server:
        say(f"{case}: comparing …")
        # These passes also make the server index and export each run, before anything is timed.
        told = {way: _pass(python, server, project, folder, way, "--digest") for way, python in pythons.items()}
        if told["ours"] != told[project.peer] or not told["ours"]["rows"]:
            raise AssertionError(f"{case}: the results differ: {told}")
        seconds: dict[str, list[float]] = {way: [] for way in pythons}
        requests = dict.fromkeys(pythons, 0)
        for turn in range(rounds):
            say(f"{case}: round {turn + 1} of {rounds} …")
            for way, python in pythons.items():
                if server is not None:
                    server.forget_traffic()
                seconds[way].append(_pass(python, server, project, folder, way)["seconds"])
                requests[way] = 0 if server is None else server.traffic()["requests"]
    return ProjectOutcome(
        case,
        _PEERS[project.peer],
        project.runs,
        project.rows,
        median(seconds[project.peer]),
        median(seconds["ours"]),
        requests[project.peer],
        requests["ours"],
        project.floor,
    )


def _server(project: Project, folder: Path) -> contextlib.AbstractContextManager[ServerProcess | None]:
    return contextlib.nullcontext() if project.what == "logs" else serving(folder, *project.options)


def _pass(python: Path, server: ServerProcess | None, project: Project, folder: Path, way: str, *options: str) -> Any:
    with tempfile.TemporaryDirectory(prefix="histscan-bench-") as workspace:
        environment = client_environment("http://127.0.0.1:9" if server is None else server.url, Path(workspace))
        environment["PYTHONPATH"] = str(ROOT / "src")
        environment["HISTSCAN_CACHE_DIR"] = workspace
        where = str(folder) if server is None else f"{ENTITY}/{project.name}"
        command = [str(python), "-m", "benches.projects_client", where, project.what, way, *options]
        finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"{project.name}: {way} failed:\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])


def written_logs(project: Project) -> Path:
    """Writes the logs of a project, unless an earlier call has.

    Args:
        project: The project.

    Returns:
        The folder of the logs.
    """
    folder = DEFAULT_DIRECTORY / project.name
    for number in range(project.runs):
        run_id = f"run{number:04}"
        log = folder / run_id / f"run-{run_id}.wandb"
        if log.is_file():
            continue
        log.parent.mkdir(parents=True, exist_ok=True)
        config = b"".join(wire.field(1, wire.item(key, text)) for key, text in _config(number))
        with atomic_output(log) as output:
            writer = LogWriter(output)
            writer.write(wire.run_record(run_id, entity=ENTITY, project=project.name, config=config, started=number))
            for items, step in _rows(project, number):
                writer.write(wire.history_record(items, step))
            writer.write(wire.update_record(wire.SUMMARY, [("loss", str(1 / (number + 1))), ("accuracy", "0.5")]))
            writer.write(wire.field(_EXIT, wire.varint_field(1, 0)))
    return folder


def _write_one_log(project: Project, log: Path) -> None:
    """Writes a log with the rows of all runs, unless an earlier call has."""
    if log.is_file():
        return
    with atomic_output(log) as output:
        writer = LogWriter(output)
        writer.write(wire.run_record("one", entity=ENTITY, project=project.name, config=b"", started=0))
        for number in range(project.runs):
            for items, step in _rows(project, number):
                writer.write(wire.history_record(items, step))
        writer.write(wire.field(_EXIT, wire.varint_field(1, 0)))


def _config(number: int) -> Iterator[tuple[str, str]]:
    yield "lr", str(0.1 / (1 + number % 5))
    yield "seed", str(number % 7)
    yield "optimizer", json.dumps({"name": "adam", "betas": [0.9, 0.999], "weight_decay": 0.01})
    yield from ((f"option_{place}", json.dumps(f"value {place}")) for place in range(20))


def _rows(project: Project, number: int) -> Iterator[tuple[list[tuple[list[str], str]], int]]:
    for row in plain_rows(range(project.rows), seed=number):
        items = list(row.items())[: project.keys]
        yield [([key], value_text(value)) for key, value in items], row["_step"]


_HEADINGS = ("case", "runs x rows", "against", "peer s", "ours s", "ratio", "requests", "")


def format_projects(outcomes: Sequence[ProjectOutcome]) -> str:
    """Formats the outcomes as a table.

    Args:
        outcomes: The outcomes.

    Returns:
        The table.
    """
    return "\n".join(format_cells(_HEADINGS, map(_cells, outcomes)))


def _cells(outcome: ProjectOutcome) -> tuple[str, ...]:
    return (
        outcome.case,
        f"{outcome.runs:,} x {outcome.rows:,}",
        outcome.peer,
        f"{outcome.peer_seconds:.2f}",
        f"{outcome.our_seconds:.2f}",
        f"{outcome.ratio:.2f}x" if outcome.ratio < 2 else f"{outcome.ratio:.1f}x",
        f"{outcome.peer_requests:,} → {outcome.our_requests:,}" if outcome.our_requests else "",
        f"← below {outcome.floor:.3g}x" if outcome.ratio < outcome.floor else "",
    )
