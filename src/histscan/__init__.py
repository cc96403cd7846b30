"""histscan: the fastest way to read Weights & Biases run history.

The classes of wandb's ``wandb.apis.public.history`` with a compiled core, and runs read straight from ``.wandb`` logs.
Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from histscan._version import __version__

if sys.platform == "win32":
    raise ImportError(
        "histscan does not support Windows: install it in the Windows Subsystem for Linux (wsl --install). "
        "docs/reliability.md lists what is missing"
    )

if TYPE_CHECKING:
    from histscan.api.run import Run
    from histscan.api.server_api import Api
    from histscan.columns.scan import Scan
    from histscan.errors import (
        CredentialsWarning,
        ExportWarning,
        GraphQLResponseError,
        HistoryDeadlineError,
        HistoryDecodeError,
        HistoryError,
        HistoryRequestError,
        InstallError,
        LogCorruptWarning,
        LogFormatError,
        LogOverlapWarning,
        LogStepWarning,
        LogTruncatedWarning,
        MirrorWarning,
        ResponseShapeError,
        RunNotFoundError,
        RunSkippedWarning,
        UnknownKeyError,
        WandbMissingError,
    )
    from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
    from histscan.installing.installation import install, installed, uninstall
    from histscan.many.mirrors.update import MirrorResult
    from histscan.many.runs import Runs
    from histscan.mirroring import mirror
    from histscan.opening import open_run as open  # noqa: A004 - reads well as histscan.open
    from histscan.opening import open_runs
    from histscan.runs.console import ConsoleLine
    from histscan.runs.log_run import LogRun
    from histscan.runs.log_scan import LogScan
    from histscan.runs.parquet_run import ParquetRun, ParquetScan
    from histscan.runs.system_metrics import SystemMetricsScan
    from histscan.sources.client import Client

__all__ = [
    "Api",
    "BetaHistoryScan",
    "Client",
    "ConsoleLine",
    "CredentialsWarning",
    "ExportWarning",
    "GraphQLResponseError",
    "HistoryDeadlineError",
    "HistoryDecodeError",
    "HistoryError",
    "HistoryRequestError",
    "HistoryScan",
    "InstallError",
    "LogCorruptWarning",
    "LogFormatError",
    "LogOverlapWarning",
    "LogRun",
    "LogScan",
    "LogStepWarning",
    "LogTruncatedWarning",
    "MirrorResult",
    "MirrorWarning",
    "ParquetRun",
    "ParquetScan",
    "ResponseShapeError",
    "Run",
    "RunNotFoundError",
    "RunSkippedWarning",
    "Runs",
    "SampledHistoryScan",
    "Scan",
    "SystemMetricsScan",
    "UnknownKeyError",
    "WandbMissingError",
    "__version__",
    "install",
    "installed",
    "mirror",
    "open",
    "open_runs",
    "uninstall",
]

# Where each public name is defined, and under what name if not its own.
_HOMES = {
    "Api": "histscan.api.server_api",
    "BetaHistoryScan": "histscan.history",
    "Client": "histscan.sources.client",
    "ConsoleLine": "histscan.runs.console",
    "CredentialsWarning": "histscan.errors",
    "ExportWarning": "histscan.errors",
    "GraphQLResponseError": "histscan.errors",
    "HistoryDeadlineError": "histscan.errors",
    "HistoryDecodeError": "histscan.errors",
    "HistoryError": "histscan.errors",
    "HistoryRequestError": "histscan.errors",
    "HistoryScan": "histscan.history",
    "InstallError": "histscan.errors",
    "LogCorruptWarning": "histscan.errors",
    "LogFormatError": "histscan.errors",
    "LogOverlapWarning": "histscan.errors",
    "LogStepWarning": "histscan.errors",
    "LogRun": "histscan.runs.log_run",
    "LogScan": "histscan.runs.log_scan",
    "LogTruncatedWarning": "histscan.errors",
    "MirrorResult": "histscan.many.mirrors.update",
    "MirrorWarning": "histscan.errors",
    "ParquetRun": "histscan.runs.parquet_run",
    "ParquetScan": "histscan.runs.parquet_run",
    "ResponseShapeError": "histscan.errors",
    "Run": "histscan.api.run",
    "RunNotFoundError": "histscan.errors",
    "RunSkippedWarning": "histscan.errors",
    "Runs": "histscan.many.runs",
    "SampledHistoryScan": "histscan.history",
    "Scan": "histscan.columns.scan",
    "SystemMetricsScan": "histscan.runs.system_metrics",
    "UnknownKeyError": "histscan.errors",
    "WandbMissingError": "histscan.errors",
    "install": "histscan.installing.installation",
    "installed": "histscan.installing.installation",
    "mirror": "histscan.mirroring",
    "open": "histscan.opening:open_run",
    "open_runs": "histscan.opening",
    "uninstall": "histscan.installing.installation",
}


def __getattr__(name: str) -> Any:
    try:
        home, _, other_name = _HOMES[name].partition(":")
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(home), other_name or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
