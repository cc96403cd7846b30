"""Scan all runs of a project, one after the other, and print the time, or a digest of the rows."""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
from collections import deque
from time import perf_counter
from typing import Any

import wandb

import histscan
from tests.support.wandb_client import leave


def main() -> None:
    """Scans with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", help="the project's path")
    parser.add_argument(
        "way",
        choices=("stock", "install", "api"),
        help="wandb, wandb with install(), or histscan.Api",
    )
    parser.add_argument("--digest", action="store_true", help="print a digest of the rows")
    arguments = parser.parse_args()
    api: Any = histscan.Api() if arguments.way == "api" else wandb.Api()
    # Opens the connection and triggers slow imports before the clock starts.
    print(api.default_entity)
    if arguments.way == "install":
        histscan.install()
    digest, count = hashlib.sha256(), 0
    gc.collect()
    started = perf_counter()
    for run in api.runs(arguments.project):
        if arguments.digest:
            rows = list(run.scan_history())
            digest.update(repr((run.id, rows)).encode())
            count += len(rows)
        else:
            deque(run.scan_history(), maxlen=0)
    seconds = perf_counter() - started
    print(json.dumps({"rows": count, "digest": digest.hexdigest()} if arguments.digest else {"seconds": seconds}))


if __name__ == "__main__":
    main()
    leave()
