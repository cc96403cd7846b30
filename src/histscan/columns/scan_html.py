"""What a notebook shows of a scan. No row is read, and the iteration stays where it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from histscan.common.steps import UNBOUNDED
from histscan.errors import HistoryError
from histscan.notebooks.markup import block, note, pairs

if TYPE_CHECKING:
    from histscan.columns.scan import Scan

__all__ = ["describe_scan", "scan_html"]


def describe_scan(scan: Scan) -> Iterator[tuple[str, str]]:
    """Describes what a scan reads, and how far it is.

    Args:
        scan: The scan.

    Yields:
        Names and texts.
    """
    # The scan says in errors where its rows come from.
    place = HistoryError("")
    scan.add_location(place)
    if place.run:
        yield "run", place.run
    keys: Any = getattr(scan, "keys", None)
    yield "keys", "all" if keys is None else ", ".join(map(str, keys))
    last = "the end" if scan.max_step >= UNBOUNDED - 1 else f"{scan.max_step:,} (exclusive)"
    yield "steps", f"{scan.min_step:,} to {last}"
    if scan.size:
        yield "read", f"{min(scan.bytes_read, scan.size) / 1e6:,.1f} of {scan.size / 1e6:,.1f} MB"


def scan_html(scan: Scan) -> str:
    """Describes a scan.

    Args:
        scan: The scan.

    Returns:
        HTML, in which everything from the run is escaped.
    """
    advice = "no row was read for this view; iterate over the scan, or use to_pandas(), to_polars() or to_arrow()"
    return block(type(scan).__name__, pairs(describe_scan(scan)), note(advice))
