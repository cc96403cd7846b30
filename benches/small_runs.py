"""Many small runs, one after the other, as most scripts read a project.

The real wandb client and a server on loopback run in separate processes. Each pass is a new process; its clock runs
from ``api.runs()`` to the last row of the last run. wandb alone, wandb with histscan installed, and `histscan.Api`
alternate, after one pass each to compare their rows.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benches.data import plain_rows, value_text
from benches.large_log import LogWriter
from benches.record_log import DEFAULT_DIRECTORY
from benches.text_table import format_cells
from histscan.common.atomic import atomic_output
from tests.support import wire
from tests.support.paths import ROOT
from tests.support.releases import python_of
from tests.support.server_process import ServerProcess, serving
from tests.support.wandb_client import client_environment

__all__ = ["SMALL_RUNS", "SmallRuns", "SmallRunsOutcome", "format_small_runs", "measure_small_runs", "written_logs"]

_ENTITY = "team"
_RELEASE = "0.26.1"
_FLOOR = 1.2
_EXIT = 18
"""A field number of wandb's `Record`: a log with this record is finished, so the server exports it."""


@dataclass(frozen=True)
class SmallRuns:
    """Runs to be scanned.

    Attributes:
        rows: Rows of each run.
        runs: How many runs there are.
    """

    rows: int
    runs: int = 200

    @property
    def project(self) -> str:
        """The project that has them."""
        return f"small-runs-{self.runs}-{self.rows}"


@dataclass(frozen=True)
class SmallRunsOutcome:
    """The measurements of one of our ways to read the runs.

    Attributes:
        rows: Rows of each run.
        runs: How many runs there are.
        way: ``"install"`` or ``"api"``.
        stock_seconds: The median of wandb's passes.
        our_seconds: The median of ours.
        stock_requests: HTTP requests of one pass of wandb's.
        our_requests: HTTP requests of one pass of ours.
    """

    rows: int
    runs: int
    way: str
    stock_seconds: float
    our_seconds: float
    stock_requests: int
    our_requests: int

    @property
    def time_ratio(self) -> float:
        """wandb's time divided by ours."""
        return self.stock_seconds / self.our_seconds

    @property
    def request_ratio(self) -> float:
        """wandb's number of requests divided by ours."""
        return self.stock_requests / self.our_requests

    def as_json(self) -> dict[str, Any]:
        """Returns the numbers as a JSON object."""
        return asdict(self) | {"time_ratio": self.time_ratio, "request_ratio": self.request_ratio}


SMALL_RUNS = {f"small-runs-{rows}": SmallRuns(rows) for rows in (10, 100, 1_000)}


def measure_small_runs(small: SmallRuns, rounds: int, say: Callable[[str], None]) -> list[SmallRunsOutcome]:
    """Measures both of our ways against wandb's.

    Args:
        small: The runs.
        rounds: Passes of each.
        say: Called with progress messages.

    Returns:
        The measurements of ``"install"`` and of ``"api"``.

    Raises:
        AssertionError: The rows differ.
        RuntimeError: The client failed.
    """
    python = python_of(_RELEASE)
    with serving(written_logs(small)) as server:
        say(f"{small.project}: comparing …")
        # These passes also make the server index and export each run, before anything is timed.
        told = {way: _pass(python, server, small, way, "--digest") for way in ("stock", "install", "api")}
        if any(answer != told["stock"] for answer in told.values()) or told["stock"]["rows"] != small.rows * small.runs:
            raise AssertionError(f"{small.project}: the rows differ: {told}")
        seconds: dict[str, list[float]] = {way: [] for way in told}
        requests = dict.fromkeys(told, 0)
        for turn in range(rounds):
            say(f"{small.project}: round {turn + 1} of {rounds} …")
            for way in told:
                server.forget_traffic()
                seconds[way].append(_pass(python, server, small, way)["seconds"])
                requests[way] = server.traffic()["requests"]
    return [
        SmallRunsOutcome(
            small.rows,
            small.runs,
            way,
            median(seconds["stock"]),
            median(seconds[way]),
            requests["stock"],
            requests[way],
        )
        for way in ("install", "api")
    ]


def _pass(python: Path, server: ServerProcess, small: SmallRuns, way: str, *options: str) -> Any:
    with tempfile.TemporaryDirectory(prefix="histscan-bench-") as workspace:
        environment = client_environment(server.url, Path(workspace))
        environment["PYTHONPATH"] = str(ROOT / "src")
        environment["HISTSCAN_CACHE_DIR"] = workspace
        command = [str(python), "-m", "benches.small_runs_client", f"{_ENTITY}/{small.project}", way, *options]
        finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"{small.project}: the client failed:\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])


def written_logs(small: SmallRuns) -> Path:
    """Writes the logs of runs that are missing.

    Args:
        small: The runs.

    Returns:
        The folder of the logs.
    """
    folder = DEFAULT_DIRECTORY / small.project
    for number in range(small.runs):
        run_id = f"run{number:04}"
        log = folder / run_id / f"run-{run_id}.wandb"
        if log.is_file():
            continue
        log.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(log) as output:
            writer = LogWriter(output)
            writer.write(wire.run_record(run_id, entity=_ENTITY, project=small.project))
            for row in plain_rows(range(small.rows), seed=number):
                items = [([key], value_text(value)) for key, value in row.items()]
                writer.write(wire.history_record(items, row["_step"]))
            writer.write(wire.field(_EXIT, wire.varint_field(1, 0)))
    return folder


_HEADINGS = ("runs x rows", "way", "stock s", "ours s", "ratio", "requests", "ratio", "")


def format_small_runs(outcomes: Sequence[SmallRunsOutcome]) -> str:
    """Formats the outcomes as a table.

    Args:
        outcomes: The outcomes.

    Returns:
        The table.
    """
    return "\n".join(format_cells(_HEADINGS, map(_cells, outcomes)))


def _cells(outcome: SmallRunsOutcome) -> tuple[str, ...]:
    return (
        f"{outcome.runs} x {outcome.rows:,}",
        {"install": "install()", "api": "histscan.Api"}[outcome.way],
        f"{outcome.stock_seconds:.2f}",
        f"{outcome.our_seconds:.2f}",
        f"{outcome.time_ratio:.2f}x",
        f"{outcome.stock_requests:,} → {outcome.our_requests:,}",
        f"{outcome.request_ratio:.2f}x",
        f"← below {_FLOOR}x" if min(outcome.time_ratio, outcome.request_ratio) < _FLOOR else "",
    )
