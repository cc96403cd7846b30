# ruff: noqa: T201
"""A script as users write it, for mypy --strict and pyright to check; never run."""

from __future__ import annotations

import re
from typing import Any

import histscan

run = histscan.open("wandb/latest-run")
print(run.name, run.config["lr"], run.summary.get("loss"), run.lastHistoryStep)
for key in run.keys("val/*"):
    print(key.name, key.type, key.count, key.upper())

losses: list[float] = [row["loss"] for row in run.scan_history(keys=["loss"], min_step=100)]
sampled: list[dict[str, Any]] = run.history(samples=100, keys=["loss", "val/*"], pandas=False)
frame = run.history(samples=100)
print(frame.describe(), sampled[0]["loss"])

table = run.to_arrow(["loss", re.compile("^val/")], nested="flatten", timestamps="datetime")
print(table.num_rows, run.to_pandas(dtype_backend="pyarrow").columns, run.to_polars(["loss"], with_step=False).columns)
for batch in run.batches(["loss"], rows=1_000):
    print(batch.num_rows)
run.to_parquet("history.parquet", run.keys("val/*"), compression="snappy")
print(run.scan_polars(["loss"], types={"loss": "float64"}).collect())

runs = histscan.open_runs("wandb/").filter({"state": "finished"}).sort("-summary_metrics.acc")[:10]
print(len(runs), runs[0].id, runs.table().to_pandas().columns)
best = runs.to_polars(["loss"], config=["lr"], align="ffill", samples=500, on_error="skip")
runs.to_parquet("all.parquet", ["loss"])
print(best.columns, runs.aggregate(["loss"], by="config.lr", statistics=["mean", "ci95"]).num_rows)

try:
    histscan.Api(base_url="https://api.wandb.ai").run("team/project/id").to_pandas(["loss"], tail=10)
except histscan.UnknownKeyError as error:
    print(error.run, error)
