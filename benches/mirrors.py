"""Mirrors: the requests and the time of the first call, and of the second one of an unchanged project.

A server on loopback, with a delay before each response, runs in a separate process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import histscan
from benches.projects import ENTITY, PROJECTS, written_logs
from benches.text_table import format_cells
from tests.support.server_process import serving

__all__ = ["MIRRORS", "MirrorOutcome", "format_mirrors", "measure_mirror"]

MIRRORS = {"mirror-pages": "project-pages", "mirror-exports": "project-exports"}
"""The project of each case."""

_FLOOR = 20.0


@dataclass(frozen=True)
class MirrorOutcome:
    """The measurements of a mirror.

    Attributes:
        case: The name of the case.
        runs: How many runs there are.
        rows: Rows of each run.
        first_seconds: The time of the first call.
        second_seconds: The time of the second call.
        first_requests: HTTP requests of the first call.
        second_requests: HTTP requests of the second call.
    """

    case: str
    runs: int
    rows: int
    first_seconds: float
    second_seconds: float
    first_requests: int
    second_requests: int

    @property
    def ratio(self) -> float:
        """The first call's requests divided by those of the second one."""
        return self.first_requests / self.second_requests

    def as_json(self) -> dict[str, Any]:
        """Returns the numbers as a JSON object."""
        return asdict(self) | {"ratio": self.ratio}


def measure_mirror(case: str, say: Callable[[str], None]) -> MirrorOutcome:
    """Mirrors a project twice.

    Args:
        case: The name of the case.
        say: Called with progress messages.

    Returns:
        The measurements.

    Raises:
        AssertionError: The mirror lacks rows.
    """
    project = PROJECTS[MIRRORS[case]]
    seconds: list[float] = []
    requests: list[int] = []
    with (
        serving(written_logs(project), *project.options) as server,
        tempfile.TemporaryDirectory(prefix="histscan-bench-") as workspace,
    ):
        api = histscan.Api(server.url, "0" * 40)
        say(f"{case}: indexing …")
        api.runs(f"{ENTITY}/{project.name}").table()
        for call in ("first", "second"):
            say(f"{case}: {call} call …")
            server.forget_traffic()
            started = perf_counter()
            histscan.mirror(api.runs(f"{ENTITY}/{project.name}"), Path(workspace) / "mirror")
            seconds.append(perf_counter() - started)
            requests.append(server.traffic()["requests"])
        rows = len(histscan.open_runs(Path(workspace) / "mirror").to_arrow(["_step"]))
    if rows != project.runs * project.rows:
        raise AssertionError(f"{case}: the mirror has {rows:,} rows")
    return MirrorOutcome(case, project.runs, project.rows, seconds[0], seconds[1], requests[0], requests[1])


_HEADINGS = ("case", "runs x rows", "first s", "second s", "requests", "ratio", "")


def format_mirrors(outcomes: Sequence[MirrorOutcome]) -> str:
    """Formats the outcomes as a table.

    Args:
        outcomes: The outcomes.

    Returns:
        The table.
    """
    return "\n".join(format_cells(_HEADINGS, map(_cells, outcomes)))


def _cells(outcome: MirrorOutcome) -> tuple[str, ...]:
    return (
        outcome.case,
        f"{outcome.runs:,} x {outcome.rows:,}",
        f"{outcome.first_seconds:.2f}",
        f"{outcome.second_seconds:.2f}",
        f"{outcome.first_requests:,} → {outcome.second_requests:,}",
        f"{outcome.ratio:.1f}x",
        f"← below {_FLOOR:g}x" if outcome.ratio < _FLOOR else "",
    )
