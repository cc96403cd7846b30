"""Measured numbers of cases and streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benches.case import Case
from benches.machine import describe_machine
from benches.streaming import Stream, StreamMemory

__all__ = ["CaseOutcome", "StreamOutcome", "as_json"]


@dataclass(frozen=True)
class CaseOutcome:
    """A case's measurements.

    Attributes:
        case: The case.
        peer_rounds: The seconds that each of the peer's rounds took.
        our_rounds: The seconds of ours.
        peer_peak: The peer's peak memory beyond its input, in bytes; None if not measured.
        our_peak: Ours.
    """

    case: Case[Any]
    peer_rounds: Sequence[float]
    our_rounds: Sequence[float]
    peer_peak: int | None
    our_peak: int | None

    @property
    def peer_seconds(self) -> float:
        """The peer's time, estimated from its rounds."""
        return self.case.estimate(self.peer_rounds)

    @property
    def our_seconds(self) -> float:
        """Our time, estimated from our rounds."""
        return self.case.estimate(self.our_rounds)

    @property
    def ratio_of_medians(self) -> float:
        """The median of the peer's rounds divided by the median of ours, whatever the case's estimate is."""
        return median(self.peer_rounds) / median(self.our_rounds)

    @property
    def ratio(self) -> float:
        """The peer's time divided by ours."""
        return self.peer_seconds / self.our_seconds

    @property
    def is_below_floor(self) -> bool:
        """True if the ratio is below its floor."""
        return self.case.floor is not None and self.ratio < self.case.floor


@dataclass(frozen=True)
class StreamOutcome:
    """A stream's measurements.

    Attributes:
        stream: The stream.
        rows: The number of streamed rows.
        memory: The memory use.
    """

    stream: Stream
    rows: int
    memory: StreamMemory


def as_json(cases: Sequence[CaseOutcome], streams: Sequence[StreamOutcome]) -> dict[str, Any]:
    """Returns all outcomes as a JSON object, with the machine and the versions of the compared packages."""
    return {
        "machine": describe_machine(),
        "cases": [
            {
                "name": outcome.case.name,
                "subject": outcome.case.subject,
                "peer": outcome.case.peer.name,
                "peer_seconds": outcome.peer_seconds,
                "our_seconds": outcome.our_seconds,
                "ratio": outcome.ratio,
                "ratio_of_medians": outcome.ratio_of_medians,
                "floor": outcome.case.floor,
                "is_below_floor": outcome.is_below_floor,
                "peer_peak_bytes": outcome.peer_peak,
                "our_peak_bytes": outcome.our_peak,
            }
            for outcome in cases
        ],
        "streams": [
            {
                "name": outcome.stream.name,
                "subject": outcome.stream.subject,
                "rows": outcome.rows,
                "bytes_at_first": outcome.memory.at_first,
                "lowest_bytes": outcome.memory.lowest,
                "highest_bytes": outcome.memory.highest,
                "drift": outcome.memory.drift,
                "is_flat": outcome.memory.is_flat,
            }
            for outcome in streams
        ],
    }
