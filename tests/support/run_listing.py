"""The answers of a server that lists the runs of a project."""

from __future__ import annotations

from typing import Any

RUN_IDS = [f"run{number}" for number in range(30)]


def project_of(variables: Any) -> Any:
    """The requested part of a listing of RUN_IDS."""
    first = int(variables["after"] or 0)
    stop = first + variables["first"]
    edges = [{"node": {"name": name}} for name in RUN_IDS[first:stop]]
    page = {"hasNextPage": stop < len(RUN_IDS), "endCursor": str(stop)}
    return {"runCount": len(RUN_IDS), "runs": {"edges": edges, "pageInfo": page}}
