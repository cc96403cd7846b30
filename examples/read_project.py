"""Read a project of many runs from a server: its table, its keys, one frame, the mean over seeds, and a mirror.

Six small runs are recorded with the real wandb client (three seeds, two learning rates) unless a folder of logs is
given; `histscan serve` is the server. Nothing leaves the machine, and no account is needed:

    python examples/read_project.py [FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import histscan

RECORD = Path(__file__).resolve().parent / "record_run.py"
SEEDS = (1, 2, 3)
LEARNING_RATES = (0.003, 0.03)


def main() -> None:
    """Records, serves and reads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="a folder of .wandb logs (default: record six runs)")
    parser.add_argument("--steps", type=int, default=300, help="steps of each recorded run (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=Path("out"), help="where the results go (default: out/)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="read-project-") as workspace:
        folder = arguments.folder or record(Path(workspace), arguments.steps)
        with serving(folder) as address:
            read(histscan.Api(address, "0" * 40), arguments.output)


def record(workspace: Path, steps: int) -> Path:
    """Records runs that differ in seed and learning rate.

    Args:
        workspace: Where their logs go.
        steps: Steps of each run.

    Returns:
        The folder.
    """
    for rate in LEARNING_RATES:
        for seed in SEEDS:
            run_id = f"lr{rate}-seed{seed}"
            command = [sys.executable, str(RECORD), "--steps", str(steps), "--seed", str(seed), "--id", run_id]
            command += ["--learning-rate", str(rate), "--output", str(workspace / f"run-{run_id}.wandb")]
            subprocess.run(command, check=True)
    return workspace


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves a folder of logs while the block runs.

    Args:
        folder: The folder.

    Yields:
        The server's address.
    """
    command = [sys.executable, "-m", "histscan", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as server:
        assert server.stdout is not None
        try:
            # It prints the two settings of a client, and its address is the first.
            line = next(line for line in server.stdout if "WANDB_BASE_URL" in line)
            yield line.split("WANDB_BASE_URL=")[1].split()[0].strip("'\"")
        finally:
            server.terminate()


def read(api: histscan.Api, output: Path) -> None:
    """Reads the project of the server's first run in every way.

    Args:
        api: The server.
        output: Where the results go.
    """
    runs = api.runs("histscan/examples")
    print(runs.table())
    print("\nkeys:", ", ".join(key.name for key in runs.keys("validation*")))

    frame = runs.to_polars(["loss", "validation.loss"], config=["peak_learning_rate", "seed"])
    print(f"\n{frame.height:,} rows of {len(runs)} runs in one frame:\n{frame.tail(3)}")

    last = runs.to_polars(["loss"], tail=1)
    print(f"\nthe last loss of each run:\n{last}")

    seeds = runs.aggregate(["loss"], by="config.peak_learning_rate", over="seed", buckets=5, statistics=["mean", "std"])
    print(f"\nloss over seeds, in five parts of the steps:\n{seeds.to_pandas().to_string(index=False)}")

    mirror = output / "mirror"
    histscan.mirror(runs, mirror)
    again = histscan.open_runs(mirror)
    print(f"\n{len(again)} runs are mirrored in {mirror}/, where polars, DuckDB and Spark can read them, too")


if __name__ == "__main__":
    main()
