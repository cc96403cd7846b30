"""Types of runs and scans of `.wandb` files, for mypy to check; never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import histscan

run = histscan.open("wandb/offline-run-20260131_120000-abc")
assert_type(run, histscan.LogRun)
assert_type(histscan.open(Path("run.wandb"), on_corrupt="skip"), histscan.LogRun)
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

histscan.open(7)  # type: ignore[arg-type]
run.scan_history(keys="loss", step=3)  # type: ignore[call-arg, arg-type]
run.id = "other"  # type: ignore[misc]
scan.max_step = 7  # type: ignore[misc]
