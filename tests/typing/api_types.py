"""Types of runs by name, for mypy to check; never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import histscan
from histscan.api.runs import ProjectRuns
from histscan.columns.scan import Scan
from histscan.many.runs import RunList
from histscan.runs import contracts, file_run

assert_type(histscan.open("entity/project/run_id"), contracts.Run)
assert_type(histscan.open(Path("entity/project/run_id")), file_run.FileRun)

api = histscan.Api(base_url="https://api.wandb.ai", api_key=None, timeout=10)
runs = api.runs("entity/project", filters={"state": "finished"}, order="-created_at", per_page=10)
assert_type(runs, ProjectRuns)
assert_type(len(runs), int)
many: histscan.Runs[histscan.Run] = runs.filter({"tags": "best"})
assert_type(runs[0], histscan.Run)
assert_type(runs[:2], RunList[histscan.Run])
for run in runs:
    assert_type(run, histscan.Run)

run = api.run("entity/project/run_id")
assert_type(run.path, list[str])
assert_type(run.tags, list[str])
assert_type(run.config, dict[str, Any])
assert_type(run.summary["loss"], Any)
assert_type(run.lastHistoryStep, int)
scan = run.scan_history(keys=["loss"], page_size=500, min_step=3, max_step=None, any_key=True)
assert_type(scan, Scan)
assert_type(next(scan), dict[str, Any])
run.scan_history(source="files")  # type: ignore[arg-type]
run.scan_history(steps=3)  # type: ignore[call-arg]
run.scan_history("loss")  # type: ignore[arg-type]
run.state = "finished"  # type: ignore[misc]
api.runs(filters="state")  # type: ignore[arg-type]
