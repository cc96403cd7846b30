"""The table of outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benches.case import Scale
from benches.outcome import CaseOutcome, StreamOutcome
from benches.streaming import TOLERANCE
from benches.text_table import format_cells

__all__ = ["format_table"]

_HEADINGS = ("case", "what", "peer", "peer ms", "ours ms", "ratio", "at least", "peer MB", "ours MB", "")
_RIGHT_ALIGNED = range(3, 9)

_LEGEND = """\
ratio    median time of the peer divided by the median of ours, or the best rounds where noted. Rounds alternate in one
         process, after a check that both give equal rows. A round is {pages} pages of {page_rows:,} rows (20 times as
         many for threads), or the whole log of {log_rows:,} rows.
MB       peak growth of resident memory during one pass in a separate process; the input is not counted.
stream   resident memory of a process that scans {streamed_rows:,} rows: after the first three pages (peer), and the
         highest or lowest value later (ours); the ratio is the change."""


def format_table(cases: Sequence[CaseOutcome], streams: Sequence[StreamOutcome], scale: Scale) -> str:
    """Formats the outcomes as a table.

    Args:
        cases: Outcomes of cases.
        streams: Outcomes of streams.
        scale: The scale of the measurements.

    Returns:
        The table and its legend.
    """
    rows = [*map(_case_cells, cases), *map(_stream_cells, streams)]
    legend = _LEGEND.format(
        pages=scale.pages, page_rows=scale.page_rows, log_rows=scale.log_rows, streamed_rows=scale.streamed_rows
    )
    return "\n".join([*format_cells(_HEADINGS, rows, _RIGHT_ALIGNED), "", legend])


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
