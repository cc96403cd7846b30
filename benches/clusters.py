"""How reading many runs scales with workers: `python -m benches.clusters FOLDER`, after `make test-clusters`.

Reads the runs of a folder on Dask clusters of one and of two worker processes with one thread each, from the files and
from `histscan serve` with 20 ms latency, and prints the ratios of the fastest rounds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import histscan
from benches.text_table import format_cells
from tests.support.server_process import serving

ROUNDS = 4
TARGET_BYTES = 4 << 20
KEYS = ["_step", "metric_0", "metric_1", "metric_2"]


def seconds_for(runs: Any, workers: int) -> float:
    """The time of the fastest round: reading all rows, and one number of each partition back."""
    import distributed

    from histscan.many.dask import read_histories

    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster),
    ):
        types = dict.fromkeys(KEYS, "float64") | {"_step": "int64"}
        times = []
        for _ in range(ROUNDS):
            # Another frame each time: workers may still have the results of the one before.
            frame = read_histories(runs, KEYS, types=types, target_bytes=TARGET_BYTES)
            start = time.perf_counter()
            frame.map_partitions(len).compute()
            times.append(time.perf_counter() - start)
    return min(times[1:])  # the first round imports the packages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    rows = []
    with (
        serving(folder, "--latency", "20ms") as server,
        serving(folder, "--latency", "20ms", "--rate-limit", "20/s") as limited,
    ):
        run = next(iter(histscan.open_runs(folder)))
        project = f"{run.entity}/{run.project}"
        sources: dict[str, Any] = {
            "files": histscan.open_runs(folder),
            "server": histscan.Api(server.url).runs(project),
            "server, 20 requests a second": histscan.Api(limited.url).runs(project),
        }
        for name, runs in sources.items():
            if name != "files":
                runs = runs[:200]
            one, two = seconds_for(runs, 1), seconds_for(runs, 2)
            print(name, f"{one:.2f} {two:.2f}", flush=True)
            rows.append([name, f"{one:.2f}", f"{two:.2f}", f"{one / two:.2f}x"])
    headings = ("source", "1 worker, s", "2 workers, s", "ratio")
    print("\n".join(format_cells(headings, rows, right_aligned=range(1, 4))))


if __name__ == "__main__":
    main()
