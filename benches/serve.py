"""Load on `histscan serve`: `python -m benches serve`, optionally against another checkout in turn.

Clients in a process of their own each scan runs of a project, as wandb does: the list of runs, a run, its pages, and
some of its keys. Every answer is checked against that of the first request for it, so that all servers do equal work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benches.small_runs import SmallRuns, written_logs
from benches.text_table import format_cells
from tests.support.paths import ROOT

__all__ = ["SERVE", "main"]

SERVE = "serve"
RUNS = SmallRuns(1_000, runs=50)
CLIENTS = 50


@dataclass(frozen=True)
class Round:
    """One round of load on one server.

    Attributes:
        requests: The number of answered requests.
        errors: The number of requests without the right answer.
        seconds: The duration.
        p50: The median time of a request in seconds.
        p99: The time that 99 of 100 requests take at most, in seconds.
        cpu: The server's processor time in seconds.
        rss: The server's highest memory so far, in bytes.
    """

    requests: int
    errors: int
    seconds: float
    p50: float
    p99: float
    cpu: float
    rss: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def main(arguments: Sequence[str]) -> int:
    """Runs the bench.

    Args:
        arguments: The command line after ``serve``.

    Returns:
        The exit code: 1 if a request failed.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benches {SERVE}", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of load for each round (default: 60)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds of each server (default: 1)")
    parser.add_argument("--clients", type=int, default=CLIENTS, help=f"clients at once (default: {CLIENTS})")
    parser.add_argument("--other", type=Path, metavar="CHECKOUT", help="also a server of another checkout, in turn")
    parser.add_argument("--quick", action="store_true", help="5 seconds of 10 clients, for a rough check")
    options = parser.parse_args(arguments)
    seconds, clients = (5.0, 10) if options.quick else (options.seconds, options.clients)
    checkouts = [ROOT] if options.other is None else [options.other, ROOT]
    logs = written_logs(RUNS)
    with contextlib.ExitStack() as opened:
        servers = {checkout: opened.enter_context(_serving(checkout, logs)) for checkout in checkouts}
        rounds: dict[Path, list[Round]] = {checkout: [] for checkout in checkouts}
        for url, _ in servers.values():
            # Reads each run once, before anything is timed.
            _load(url, 1, 2.0)
        for number in range(options.rounds):
            for checkout, (url, process) in servers.items():
                print(f"round {number + 1} of {options.rounds}: {checkout} …", file=sys.stderr, flush=True)
                before = _cpu_seconds(process)
                told = _load(url, clients, seconds)
                rounds[checkout].append(Round(**told, cpu=_cpu_seconds(process) - before, rss=_highest_memory(process)))
    print(_table(rounds))
    return int(any(one.errors for some in rounds.values() for one in some))


@contextlib.contextmanager
def _serving(checkout: Path, logs: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "histscan", "serve", str(logs), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=checkout
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().partition("=")[2].rstrip("\n"), process
    finally:
        process.terminate()
        process.wait()


def _load(url: str, clients: int, seconds: float) -> Any:
    command = [sys.executable, "-m", "benches.serve_client", url, RUNS.project, str(clients), str(seconds)]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def _cpu_seconds(process: subprocess.Popen[str]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _highest_memory(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (highest,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(highest) << 10


_HEADINGS = ("server", "requests/s", "ratio", "CPU ms/request", "p50 ms", "p99 ms", "errors", "memory MB")


def _table(rounds: dict[Path, list[Round]]) -> str:
    base = median(one.rate for one in next(iter(rounds.values())))
    lines = []
    for checkout, some in rounds.items():
        rate = median(one.rate for one in some)
        lines.append(
            (
                checkout.name,
                f"{rate:.0f}",
                f"{rate / base:.2f}x",
                f"{median(one.cpu / one.requests for one in some) * 1e3:.2f}",
                f"{median(one.p50 for one in some) * 1e3:.1f}",
                f"{median(one.p99 for one in some) * 1e3:.1f}",
                str(sum(one.errors for one in some)),
                f"{max(one.rss for one in some) / 1e6:.0f}",
            )
        )
    return "\n".join(format_cells(_HEADINGS, lines, right_aligned=range(1, len(_HEADINGS))))
