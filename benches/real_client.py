"""Scan a run with the real wandb client, and print the time. Runs in the virtual environment of the wandb release."""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
from collections import deque
from collections.abc import Iterable
from time import perf_counter
from typing import Any

import wandb

import histscan
from tests.support.wandb_client import leave


def main() -> None:
    """Scans with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="the run's path")
    parser.add_argument("--install", action="store_true", help="scan with histscan installed")
    parser.add_argument("--source", default="pages", help="the source of install()")
    parser.add_argument("--frame", action="store_true", help="make columns: a pandas frame, or histscan's Arrow table")
    parser.add_argument("--digest", action="store_true", help="print a digest of the rows, with ints as floats")
    arguments = parser.parse_args()
    run = wandb.Api().run(arguments.run)
    if arguments.install:
        histscan.install(source=arguments.source)
    if arguments.frame and not arguments.install:
        import pandas
    gc.collect()
    started = perf_counter()
    scan = run.scan_history()
    found: Any = None
    if arguments.frame:
        found = scan.to_arrow() if arguments.install else pandas.DataFrame(scan)
    elif arguments.digest:
        found = scan
    else:
        deque(scan, maxlen=0)
    seconds = perf_counter() - started
    if arguments.digest:
        print(json.dumps({**_digest(_rows(found)), "class": type(scan).__module__}))
    else:
        print(json.dumps({"seconds": seconds}))


def _rows(found: Any) -> Iterable[dict[str, Any]]:
    """Returns the rows of a scan, a pandas frame, or an Arrow table."""
    if hasattr(found, "to_pylist"):
        found = found.to_pylist()
    elif hasattr(found, "to_dict"):
        found = found.to_dict("records")
    rows: Iterable[dict[str, Any]] = found
    return rows


def _digest(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    digest = hashlib.sha256()
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - returned after the loop
        digest.update(repr({key: _exported(row[key]) for key in row}).encode())
    return {"rows": count, "digest": digest.hexdigest()}


def _exported(value: Any) -> Any:
    """Returns ints as floats: from Parquet files, wandb-core returns 1.0 as 1."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


if __name__ == "__main__":
    main()
    leave()
