"""The table of outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benches.case import Scale
from benches.outcome import CaseOutcome, StreamOutcome
from benches.streaming import TOLERANCE

__all__ = ["format_table"]

_HEADINGS = ("case", "what", "peer", "peer ms", "ours ms", "ratio", "at least", "peer MB", "ours MB", "")
_LEFT_ALIGNED = (0, 1, 2, 9)

_LEGEND = """\
ratio    median time of the peer over the median of ours; both did their rounds in turn, in one process, after their
         rows had been found equal. Where it says so, the best round of each instead. A pass is {pages} pages of
         {page_rows:,} rows (20 times as many for threads), or the whole log of {log_rows:,}.
MB       by how much resident memory rose at its peak during one pass, in a process of its own, above what it was with
         the input in memory.
stream   resident memory of a process that scans {streamed_rows:,} rows: after the first three pages (peer) and at its
         highest or lowest from then on (ours); the ratio is the change."""


def format_table(cases: Sequence[CaseOutcome], streams: Sequence[StreamOutcome], scale: Scale) -> str:
    """Writes the outcomes as a table for people.

    Args:
        cases: Outcomes of cases.
        streams: Outcomes of streams.
        scale: What they were measured at.

    Returns:
        The lines of the table and of its legend.
    """
    lines = [_HEADINGS, *map(_case_cells, cases), *map(_stream_cells, streams)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [lines[0], tuple("─" * width for width in widths), *lines[1:]]
    legend = _LEGEND.format(
        pages=scale.pages, page_rows=scale.page_rows, log_rows=scale.log_rows, streamed_rows=scale.streamed_rows
    )
    return "\n".join([*(_align(cells, widths) for cells in ruled), "", legend])


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        cell.ljust(width) if column in _LEFT_ALIGNED else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(aligned).rstrip()


def _case_cells(outcome: CaseOutcome) -> tuple[str, ...]:
    case = outcome.case
    return (
        case.name,
        case.subject,
        case.peer.name,
        _milliseconds(outcome.peer_seconds),
        _milliseconds(outcome.our_seconds),
        f"{outcome.ratio:.2f}x",
        "" if case.floor is None else f"{case.floor:.3g}x",
        _megabytes(outcome.peer_peak),
        _megabytes(outcome.our_peak),
        " ".join(_remarks(outcome)),
    )


def _remarks(outcome: CaseOutcome) -> Iterator[str]:
    if outcome.is_below_floor:
        yield "← below"
    if outcome.case.estimate is not median:
        yield f"(best rounds; medians: {outcome.ratio_of_medians:.2f}x)"


def _stream_cells(outcome: StreamOutcome) -> tuple[str, ...]:
    memory = outcome.memory
    return (
        outcome.stream.name,
        outcome.stream.subject,
        "its first pages",
        "",
        "",
        f"{memory.drift:+.1%}",
        f"±{TOLERANCE:.0%}",
        _megabytes(memory.at_first),
        _megabytes(memory.extreme),
        "" if memory.is_flat else "← not flat",
    )


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:,.0f}" if milliseconds >= 1e3 else f"{milliseconds:.3g}"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.1f}"
