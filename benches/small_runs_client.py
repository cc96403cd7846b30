"""Scan all runs of a project, one after the other, and print how long it took, or a digest of the rows."""

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
    """Scan as the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", help="the project's path")
    parser.add_argument("way", choices=("stock", "install", "api"), help="wandb, with histscan installed, or without")
    parser.add_argument("--digest", action="store_true", help="print a digest of the rows")
    arguments = parser.parse_args()
    api: Any = histscan.Api() if arguments.way == "api" else wandb.Api()
    # Connects, and imports what takes long to import.
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
