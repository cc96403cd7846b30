"""Some rows of a history, spread evenly over it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from histscan._core.pages.page import Page

__all__ = ["even_places", "sample_rows"]


def even_places(count: int, samples: int) -> list[int]:
    """Chooses places that are spread evenly; always the same ones for the same numbers.

    Args:
        count: Of how many places.
        samples: How many to choose, less than `count`.

    Returns:
        The places, ascending, with the first and the last among them if there are two or more.
    """
    if samples <= 0:
        return []
    if samples == 1:
        return [0]
    return [place * (count - 1) // (samples - 1) for place in range(samples)]


def sample_rows(pages: Iterable[Page | list[Any]], count: int, samples: int) -> list[dict[str, Any]]:
    """Decodes some rows of a scan, and no others.

    Args:
        pages: The scan's pages.
        count: How many rows they have together.
        samples: How many rows to take at most; first and last row included.

    Returns:
        The rows.

    Raises:
        HistoryError: A page, or a row that is taken, can't be read.
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
