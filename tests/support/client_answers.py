"""What a test's server answers `histscan.Client`, and what it was asked."""

from __future__ import annotations

import base64
from collections.abc import Callable

from tests.support.graphql_server import Answer, Received, data_answer

KEY = "0123456789abcdef0123456789abcdef01234567"
QUERY = "query Viewer { viewer { id } }"
OK = data_answer({"viewer": {"id": "me"}})
"""The answer to QUERY."""


def login_of(request: Received) -> str | None:
    """Returns user and password of a request, joined by a colon; None without."""
    header = request.headers.get("Authorization")
    return None if header is None else base64.b64decode(header.removeprefix("Basic ")).decode()


def in_turn(*answers: Answer) -> Callable[[Received], Answer]:
    """Returns each answer once, and then always the last one."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]
