"""Record the large `.wandb` log that the benches read, with the real wandb client, once.

Run it from the root of the project:

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
    """Yield rows such as a training run logs.

    Args:
        rows: Number of rows.
        keys: Items in each row of the log, the three that wandb adds among them.
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
    """Return a recorded log of `rows` rows, recording it when `directory` does not have it yet.

    Args:
        directory: Folder that keeps the log; made when it is missing.
        rows: Number of rows.
        keys: Items in each row, the three that wandb adds among them.

    Returns:
        The path of the log.

    Raises:
        ValueError: If `keys` leaves no room for the items that every row has.
        RuntimeError: If wandb fails to record.
    """
    if keys < _FEWEST_KEYS:
        raise ValueError(f"a row of the recorded log has at least {_FEWEST_KEYS} keys, not {keys}")
    run_id = f"bench-{rows}x{keys}"
    log = directory / f"run-{run_id}.wandb"
    if log.is_file():
        return log
    directory.mkdir(parents=True, exist_ok=True)
    # Recorded aside and moved into place, so that a log under its final name is always a whole one.
    with tempfile.TemporaryDirectory(prefix="recording-", dir=directory) as aside:
        recorded = record_run(
            Path(aside), logged_rows(rows, keys), run_id=run_id, project="benches", name=run_id, timeout=1800.0
        )
        return recorded.replace(log)


def main() -> None:
    """Record the log that the command line asks for, unless it is there."""
    parser = argparse.ArgumentParser(
        description="Record a large .wandb log with the wandb client, offline, unless it is there already.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("directory", type=Path, nargs="?", default=DEFAULT_DIRECTORY, help="folder that keeps the log")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the log")
    parser.add_argument("--keys", type=int, default=20, help="items in each row, wandb's own three among them")
    arguments = parser.parse_args()
    started = time.perf_counter()
    log = recorded_log(arguments.directory, arguments.rows, arguments.keys)
    print(f"{log}: {log.stat().st_size / 1e6:.1f} MB, ready after {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
