"""Record the large `.wandb` log of the benches with the real wandb client, on first use.

Run it from the project's root:

    python -m benches.record_log --help
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.recording import record_run

DEFAULT_DIRECTORY = Path(__file__).resolve().parent.parent / "build" / "bench-data"

# wandb adds `_step`, `_runtime` and `_timestamp` to every row that is logged.
_KEYS_OF_WANDB = 3
_COUNTERS = ("epoch", "samples_seen", "tokens_seen")
_NAN_KEYS = ("eval/rouge", "eval/perplexity")
_PHASES = ("warm-up", "train", "cool-down")
_GROUPS = ("loss", "accuracy", "grad_norm", "weight_norm", "activation", "throughput")
_FEWEST_KEYS = _KEYS_OF_WANDB + len(_COUNTERS) + len(_NAN_KEYS) + 1


def logged_rows(rows: int, keys: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yields rows like those of a training run.

    Args:
        rows: Number of rows.
        keys: Items in each row of the log, including the three that wandb adds.
        seed: Seed of the values.

    Yields:
        One mapping for each `run.log` call: three counters, a short text, two metrics of which 5 % of the values are
        NaN, and float metrics for the rest.
    """
    draw = random.Random(seed)
    metrics = [f"train/{_GROUPS[index % len(_GROUPS)]}_{index:02}" for index in range(keys - _FEWEST_KEYS)]
    levels = {metric: draw.uniform(0.1, 10.0) for metric in metrics}
    for step in range(rows):
        decay = 1.0 / (1.0 + 20.0 * step / rows)
        row: dict[str, Any] = {metric: level * decay * draw.gauss(1.0, 0.05) for metric, level in levels.items()}
        row.update(zip(_COUNTERS, (step * 64 // 50_000, step * 64, step * 64 * 512), strict=True))
        row.update({key: math.nan if draw.random() < 0.05 else draw.random() for key in _NAN_KEYS})
        row["phase"] = _PHASES[min(step * len(_PHASES) // rows, len(_PHASES) - 1)]
        yield row


def recorded_log(directory: Path, rows: int = 100_000, keys: int = 20) -> Path:
    """Returns a recorded log; records it if `directory` does not have it yet.

    Args:
        directory: Folder of the log; created if missing.
        rows: Number of rows.
        keys: Items in each row, including the three that wandb adds.

    Returns:
        The path of the log.

    Raises:
        ValueError: `keys` is less than the number of items that every row has.
        RuntimeError: wandb failed to record.
    """
    if keys < _FEWEST_KEYS:
        raise ValueError(f"keys must be at least {_FEWEST_KEYS}, not {keys}")
    run_id = f"bench-{rows}x{keys}"
    log = directory / f"run-{run_id}.wandb"
    if log.is_file():
        return log
    directory.mkdir(parents=True, exist_ok=True)
    # Recorded in a temporary folder and then moved, so that a log under its final name is always complete.
    with tempfile.TemporaryDirectory(prefix="recording-", dir=directory) as aside:
        recorded = record_run(
            Path(aside), logged_rows(rows, keys), run_id=run_id, project="benches", name=run_id, timeout=1800.0
        )
        return recorded.replace(log)


def main() -> None:
    """Records a log with the options of the command line, unless it exists."""
    parser = argparse.ArgumentParser(
        description="Record a large .wandb log with the wandb client, offline, unless it exists.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("directory", type=Path, nargs="?", default=DEFAULT_DIRECTORY, help="folder of the log")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the log")
    parser.add_argument("--keys", type=int, default=20, help="items in each row, including wandb's own three")
    arguments = parser.parse_args()
    started = time.perf_counter()
    log = recorded_log(arguments.directory, arguments.rows, arguments.keys)
    print(f"{log}: {log.stat().st_size / 1e6:.1f} MB, ready after {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
