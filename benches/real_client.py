"""Scan a run with the real wandb client, and print how long it took: run by the interpreter that has the release."""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
from collections import deque
from time import perf_counter

import wandb

import histscan
from tests.wandb_client import leave


def main() -> None:
    """Scan as the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="the run's path")
    parser.add_argument("--install", action="store_true", help="scan with histscan installed")
    parser.add_argument("--digest", action="store_true", help="go through the rows and tell them by a digest")
    arguments = parser.parse_args()
    run = wandb.Api().run(arguments.run)
    if arguments.install:
        histscan.install()
    gc.collect()
    started = perf_counter()
    scan = run.scan_history()
    if arguments.digest:
        digest = hashlib.sha256()
        count = 0
        for count, row in enumerate(scan, 1):  # noqa: B007 - it is printed below
            digest.update(repr(row).encode())
        print(json.dumps({"rows": count, "digest": digest.hexdigest(), "class": type(scan).__module__}))
    else:
        deque(scan, maxlen=0)
        print(json.dumps({"seconds": perf_counter() - started}))


if __name__ == "__main__":
    main()
    leave()
