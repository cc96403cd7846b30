"""Parts of responses: ids, times, and pages of connections."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Any

from graphql import GraphQLError

__all__ = ["global_id", "page_info", "page_of", "time_text"]


def global_id(*parts: str) -> str:
    """Makes a global id, as W&B does.

    Args:
        parts: The type, and the names that identify the object.

    Returns:
        The id.
    """
    return base64.b64encode(":".join(parts).encode()).decode()


def time_text(moment: datetime) -> str:
    """Formats a time as W&B does.

    Args:
        moment: The time.

    Returns:
        Text like ``2026-01-31T12:00:00Z``.
    """
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def page_info(edges: list[dict[str, Any]], *, has_next: bool, has_previous: bool) -> dict[str, Any]:
    """Describes a page of a connection.

    Args:
        edges: The page's edges.
        has_next: More edges follow the page.
        has_previous: Edges precede the page.

    Returns:
        The members of ``PageInfo``.
    """
    return {
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
        "hasNextPage": has_next,
        "hasPreviousPage": has_previous,
    }


def page_of(edges: list[dict[str, Any]], after: str | None, first: int | None) -> dict[str, Any]:
    """Returns one page of a list as a connection.

    Args:
        edges: The edges of the whole list.
        after: The cursor before the page; None or empty for the beginning.
        first: The maximum number of edges; None for all.

    Returns:
        The members of the connection.

    Raises:
        GraphQLError: The list has no such cursor.
    """
    start = 0
    if after:
        start = next((place + 1 for place, edge in enumerate(edges) if edge["cursor"] == after), 0)
        if start == 0:
            raise GraphQLError("unknown cursor: pass the endCursor of a page from this server")
    page = edges[start:] if first is None else edges[start : start + max(first, 0)]
    has_next = start + len(page) < len(edges)
    return {
        "edges": page,
        "pageInfo": page_info(page, has_next=has_next, has_previous=start > 0),
        "totalCount": len(edges),
    }
