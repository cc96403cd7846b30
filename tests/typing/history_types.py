"""Types of the classes that stand in for wandb's, and of the errors, for mypy to check; never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

import histscan
from histscan.history import RunIdentity


class Run:
    """The little of wandb's run that a scan needs."""

    entity = "team"
    project = "vision"
    id = "r1"


def scan_history(client: histscan.Client, run: RunIdentity, service: Any) -> None:
    """Uses each class as scripts do."""
    history = histscan.HistoryScan(client, run, 0, 100)
    assert_type(next(history), dict[str, Any])
    assert_type(iter(history), histscan.HistoryScan)
    assert_type(history.rows, list[dict[str, Any]])
    assert_type(history.max_step, int)
    sampled = histscan.SampledHistoryScan(client, run, ["loss"], 0, 100, page_size=10)
    assert_type(next(sampled), dict[str, Any])
    beta = histscan.BetaHistoryScan(service, run, 0, 100, keys=["loss"], page_size=500, use_cache=False)
    assert_type(list(beta), list[dict[str, Any]])
    histscan.HistoryScan(client, run, "0", 100)  # type: ignore[arg-type]
    histscan.SampledHistoryScan(client, run)  # type: ignore[call-arg]


def name_the_place(error: histscan.HistoryError) -> None:
    """Reads what errors tell."""
    assert_type(error.reason, str)
    assert_type(error.row, int | None)
    assert_type(error.byte, int | None)
    assert_type(error.path, str | None)
    assert_type(error.run, str | None)


scan_history(histscan.Client(), Run(), None)
assert_type(histscan.__version__, str)
caught: type[ValueError] = histscan.HistoryDecodeError
log_errors: type[histscan.HistoryDecodeError] = histscan.LogFormatError
warnings: list[type[UserWarning]] = [histscan.LogTruncatedWarning, histscan.LogCorruptWarning]
