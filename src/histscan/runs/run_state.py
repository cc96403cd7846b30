"""Finds the state of a recorded run."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SILENCE", "run_state"]

SILENCE = 300.0
"""Seconds without writes after which a run that has not ended counts as crashed, as on W&B's server."""


def run_state(exit_code: int | None, last_write: float, clock: Callable[[], float] = time.time) -> str:
    """Returns the state of a run in W&B's terms.

    Args:
        exit_code: The exit code of the run; None if it has not ended, or was killed.
        last_write: When its log was last written to, in seconds since 1970.
        clock: Returns the current time, in seconds since 1970.

    Returns:
        ``"finished"``, ``"failed"``, ``"crashed"`` or ``"running"``.
    """
    if exit_code is not None:
        return "finished" if exit_code == 0 else "failed"
    return "crashed" if clock() - last_write > SILENCE else "running"
