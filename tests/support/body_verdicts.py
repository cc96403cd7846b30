"""What a GraphQL body is by `json.loads`: rows, or the reason why it has none."""

from __future__ import annotations

import json
from typing import Any

from histscan.errors import GraphQLResponseError, HistoryError, ResponseShapeError, RunNotFoundError


def judge(kind: str, text: str) -> tuple[str, object]:
    """What a body is by `json.loads`, in the order in which histscan looks."""
    parsed = json.loads(text)
    if not isinstance(parsed, dict):
        return "shape", None
    level: Any = parsed
    failure = ""
    for name in ("data", "project", "run", kind):
        if not isinstance(level, dict):
            failure = failure or "shape"
            break
        if name in level and level[name] is None and name in ("project", "run"):
            failure = "absent"
            break
        level = level.get(name)
    rows = None
    if not failure:
        if not isinstance(level, list) or (kind == "sampledHistory" and not (level and isinstance(level[0], list))):
            failure = "shape"
        else:
            rows = level if kind == "history" else level[0]
    if kind == "history" and rows is not None and not all(isinstance(row, str) for row in rows):
        failure = "shape"
    if parsed.get("errors"):
        failure = "errors" if failure != "shape" else "shape or errors"
    return (failure, None) if failure else ("rows", rows)


FAILURES: dict[str, tuple[type[HistoryError], ...]] = {
    "shape": (ResponseShapeError,),
    "absent": (RunNotFoundError,),
    "errors": (GraphQLResponseError,),
    "shape or errors": (ResponseShapeError, GraphQLResponseError),
}
