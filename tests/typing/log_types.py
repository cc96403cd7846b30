"""Types of runs and scans of `.wandb` and Parquet files, for mypy to check; never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import histscan
from histscan.runs.file_run import FileRun
from histscan.runs.file_scan import FileScan

assert_type(histscan.open(Path("run.wandb"), on_corrupt="skip"), FileRun)
opened = histscan.open(["history/0.parquet", Path("history/1.parquet")])
assert_type(opened.scan_history(["loss"]), FileScan)
assert_type(opened.file, Path)
assert_type(opened.summary, dict[str, Any])
for row in opened.scan_history():
    assert_type(row, dict[str, Any])

exported = histscan.ParquetRun("history/*.parquet")
assert_type(exported.files, list[Path])
assert_type(next(exported.scan_history(min_step=3)), dict[str, Any])

run = histscan.LogRun("wandb/offline-run-20260131_120000-abc")
assert_type(run.file, Path)
assert_type(run.entity, str)
assert_type(run.project, str)
assert_type(run.id, str)
assert_type(run.name, str)
assert_type(run.tags, list[str])
assert_type(run.path, list[str])
assert_type(run.config, dict[str, Any])
assert_type(run.summary, dict[str, Any])
assert_type(run.lastHistoryStep, int)

assert_type(run.state, str)
assert_type(run.exit_code, int | None)
assert_type(run.duration, float | None)
assert_type(run.axes, dict[str, str])
assert_type(run.metadata, dict[str, Any] | None)
assert_type(run.system_metrics(["system.cpu"]), histscan.SystemMetricsScan)
assert_type(next(run.system_metrics()), dict[str, Any])
for line in run.console():
    assert_type(line, histscan.ConsoleLine)

scan = run.scan_history(keys=["loss"], min_step=3, max_step=None)
assert_type(scan, histscan.LogScan)
assert_type(next(scan), dict[str, Any])
assert_type(iter(scan), histscan.LogScan)
assert_type(list(scan), list[dict[str, Any]])
assert_type(scan.rows, list[dict[str, Any]])
assert_type(scan.bytes_read, int)
assert_type(scan.size, int)
assert_type(scan.max_step, int)
for row in scan:
    assert_type(row, dict[str, Any])

histscan.open(7)  # type: ignore[call-overload]
run.scan_history(keys="loss", step=3)  # type: ignore[call-arg, arg-type]
run.id = "other"  # type: ignore[misc]
scan.max_step = 7  # type: ignore[misc]
