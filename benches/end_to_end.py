"""End-to-end scans: the real wandb client, a server on loopback in a separate process, and HTTP between them.

Each pass is a new process. Its clock runs from the call of ``run.scan_history()`` to the last row, with all requests of
the client, and a cold file cache. The sides alternate, after one pass each to compare their rows. Each wandb release
has its own virtual environment, which is created on first use.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

__all__ = ["END_TO_END", "EndToEnd", "EndToEndOutcome", "end_to_end_as_json", "format_end_to_end", "measure_end_to_end"]

_ENTITY, _PROJECT = "team", "benches"


@dataclass(frozen=True)
class EndToEnd:
    """A scan to be measured.

    Attributes:
        name: The name on the command line.
        subject: What is measured, in a few words.
        release: The wandb release.
        rows: The number of rows of the run.
        apart: Steps from one row to the next.
        server: Options of the server.
        floor: The minimum ratio.
        source: The `source` of install().
        frame: True to make columns: a pandas frame of wandb's rows, an Arrow table by histscan.
    """

    name: str
    subject: str
    release: str
    rows: int
    apart: int
    server: Sequence[str]
    floor: float
    source: str = "pages"
    frame: bool = False

    @property
    def our_options(self) -> list[str]:
        """The client's options for our side."""
        return ["--install", f"--source={self.source}"]

    @property
    def run_id(self) -> str:
        """The run's id."""
        return f"end-to-end-{self.rows}-{self.apart}"


@dataclass(frozen=True)
class EndToEndOutcome:
    """A scan's measurements.

    Attributes:
        scan: The scan.
        stock_seconds: The median of wandb's passes.
        our_seconds: The median of the passes with histscan installed.
        stock_requests: HTTP requests of one pass of wandb's.
        our_requests: HTTP requests of one pass of ours.
    """

    scan: EndToEnd
    stock_seconds: float
    our_seconds: float
    stock_requests: int
    our_requests: int

    @property
    def ratio(self) -> float:
        """wandb's time divided by ours."""
        return self.stock_seconds / self.our_seconds

    @property
    def is_below_floor(self) -> bool:
        """True if the ratio is below its floor."""
        return self.ratio < self.scan.floor


_SCANS = (
    EndToEnd("wandb-core", "100,000 rows x 23, wandb-core", "0.31.0", 100_000, 1, ["--export=all"], 3.0),
    EndToEnd(
        "exported", "100,000 rows x 23, source='parquet'", "0.31.0", 100_000, 1, ["--export=all"], 10.0, "parquet"
    ),
    EndToEnd(
        "exported-arrow",
        "the same, Arrow / pandas",
        "0.31.0",
        100_000,
        1,
        ["--export=all"],
        30.0,
        "parquet",
        frame=True,
    ),
    EndToEnd("http", "100,000 rows x 23, GraphQL", "0.26.1", 100_000, 1, [], 2.5),
    EndToEnd("http-50ms", "100 pages, GraphQL, 50 ms latency", "0.26.1", 100_000, 1, ["--latency=50ms"], 6.0),
    EndToEnd("sparse-20ms", "1,000 rows in 1,000,000 steps, 20 ms", "0.26.1", 1_000, 1_000, ["--latency=20ms"], 20.0),
)

END_TO_END = {scan.name: scan for scan in _SCANS}


def measure_end_to_end(scan: EndToEnd, rounds: int, say: Callable[[str], None]) -> EndToEndOutcome:
    """Measures a scan.

    Args:
        scan: The scan.
        rounds: Passes of each side.
        say: Called with progress messages.

    Returns:
        The measurements.

    Raises:
        AssertionError: The rows of both sides differ.
        RuntimeError: The client failed.
    """
    python = python_of(scan.release, "pandas" if scan.frame else "arrow")
    say(f"{scan.name}: comparing …")
    with serving(_written_log(scan), *scan.server) as server:
        # These passes also make the server index and export the log, before anything is timed.
        stock = _pass(python, server, scan, "--digest")
        ours = _pass(python, server, scan, "--digest", *scan.our_options)
        if (stock["rows"], stock["digest"]) != (ours["rows"], ours["digest"]) or stock["rows"] != scan.rows:
            raise AssertionError(f"{scan.name}: {stock} differs from {ours}")
        if stock["class"].startswith("histscan") or not ours["class"].startswith("histscan"):
            raise AssertionError(f"{scan.name}: scanned with {stock['class']} and {ours['class']}")
        stock_seconds, our_seconds = [], []
        stock_requests = our_requests = 0
        for turn in range(rounds):
            say(f"{scan.name}: round {turn + 1} of {rounds} …")
            server.forget_traffic()
            stock_seconds.append(_pass(python, server, scan)["seconds"])
            stock_requests = sum(server.traffic()["operations"].values())
            server.forget_traffic()
            our_seconds.append(_pass(python, server, scan, *scan.our_options)["seconds"])
            our_requests = sum(server.traffic()["operations"].values())
    return EndToEndOutcome(scan, median(stock_seconds), median(our_seconds), stock_requests, our_requests)


def _pass(python: Path, server: ServerProcess, scan: EndToEnd, *options: str) -> Any:
    with tempfile.TemporaryDirectory(prefix="histscan-bench-") as workspace:
        environment = client_environment(server.url, Path(workspace))
        environment["PYTHONPATH"] = str(ROOT / "src")
        environment["HISTSCAN_CACHE_DIR"] = workspace
        command = [str(python), "-m", "benches.real_client", f"{_ENTITY}/{_PROJECT}/{scan.run_id}", *options]
        if scan.frame:
            command.append("--frame")
        finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"{scan.name}: the client failed:\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])


def _written_log(scan: EndToEnd) -> Path:
    """Returns the run's log; writes it on first use."""
    log = DEFAULT_DIRECTORY / scan.run_id / f"run-{scan.run_id}.wandb"
    if not log.is_file():
        log.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(log) as output:
            writer = LogWriter(output)
            writer.write(wire.run_record(scan.run_id, entity=_ENTITY, project=_PROJECT))
            for row in plain_rows(range(0, scan.rows * scan.apart, scan.apart)):
                items = [([key], value_text(value)) for key, value in row.items()]
                writer.write(wire.history_record(items, row["_step"]))
    return log


_HEADINGS = ("scan", "what", "wandb", "stock s", "installed s", "ratio", "at least", "requests", "")


def format_end_to_end(outcomes: Sequence[EndToEndOutcome]) -> str:
    """Formats the outcomes as a table.

    Args:
        outcomes: The outcomes.

    Returns:
        The table.
    """
    return "\n".join(format_cells(_HEADINGS, map(_cells, outcomes)))


def _cells(outcome: EndToEndOutcome) -> tuple[str, ...]:
    return (
        outcome.scan.name,
        outcome.scan.subject,
        outcome.scan.release,
        f"{outcome.stock_seconds:.2f}",
        f"{outcome.our_seconds:.2f}",
        f"{outcome.ratio:.2f}x",
        f"{outcome.scan.floor:.3g}x",
        f"{outcome.stock_requests:,} → {outcome.our_requests:,}",
        "← below" if outcome.is_below_floor else "",
    )


def end_to_end_as_json(outcomes: Sequence[EndToEndOutcome]) -> list[dict[str, Any]]:
    """Returns the outcomes as JSON objects.

    Args:
        outcomes: The outcomes.
    """
    return [
        {
            "name": outcome.scan.name,
            "subject": outcome.scan.subject,
            "wandb": outcome.scan.release,
            "stock_seconds": outcome.stock_seconds,
            "our_seconds": outcome.our_seconds,
            "ratio": outcome.ratio,
            "floor": outcome.scan.floor,
            "is_below_floor": outcome.is_below_floor,
            "stock_requests": outcome.stock_requests,
            "our_requests": outcome.our_requests,
        }
        for outcome in outcomes
    ]
