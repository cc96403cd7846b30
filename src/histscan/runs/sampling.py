"""Samples rows that are spread evenly over a history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from histscan._core.pages.page import Page

__all__ = ["even_places", "sample_rows"]


def even_places(count: int, samples: int) -> list[int]:
    """Chooses evenly spread indices. The result depends on the arguments only.

    Args:
        count: The number of items.
        samples: The number of indices to choose, less than `count`.

    Returns:
        The indices, ascending, including the first and the last if there are two or more.
    """
    if samples <= 0:
        return []
    if samples == 1:
        return [0]
    return [place * (count - 1) // (samples - 1) for place in range(samples)]


def sample_rows(pages: Iterable[Page | list[Any]], count: int, samples: int) -> list[dict[str, Any]]:
    """Decodes evenly spread rows of a scan, and no other rows.

    Args:
        pages: The scan's pages.
        count: The number of rows of all pages.
        samples: The largest number of rows to return, including the first and the last.

    Returns:
        The rows.

    Raises:
        HistoryError: A page or a sampled row can't be read.
    """
    places = list(range(count)) if count <= samples else even_places(count, samples)
    rows: list[dict[str, Any]] = []
    first = 0
    for page in pages:
        end = first + len(page)
        while len(rows) < len(places) and places[len(rows)] < end:
            place = places[len(rows)] - first
            rows.append(page.row(place) if isinstance(page, Page) else page[place])
        first = end
    return rows
