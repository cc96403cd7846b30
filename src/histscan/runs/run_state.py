"""Whether a recorded run has ended, and how."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SILENCE", "run_state"]

SILENCE = 300.0
"""Seconds after which a run that has not ended, and writes nothing, counts as crashed; as W&B has it."""


def run_state(exit_code: int | None, last_write: float, clock: Callable[[], float] = time.time) -> str:
    """Names the state of a run in W&B's words.

    Args:
        exit_code: What the run ended with; None if it has not ended, or not properly.
        last_write: When its log was last written to, in seconds since 1970.
        clock: The time now, in seconds since 1970.

    Returns:
        ``"finished"``, ``"failed"``, ``"crashed"`` or ``"running"``.
    """
    if exit_code is not None:
        return "finished" if exit_code == 0 else "failed"
    return "crashed" if clock() - last_write > SILENCE else "running"
