"""The files and the project that the code in the documentation reads: `my-team/my-project`, in logs and on a server."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.support import wire
from tests.support.paths import EXAMPLE, SEGMENTS
from tests.support.stream_records import exit_record, output_record, stats_record

__all__ = ["LIVE_RUN", "finish_run", "write_project", "write_run", "write_workspace"]

LIVE_RUN = "live0001"
"""The id of the run that is still running."""

_ENTITY, _PROJECT = "my-team", "my-project"
_RATES = (0.003, 0.01, 0.03)
_START = 1_767_225_600
_LIVE_START = _START + 48 * 3_600
_TAGS, _DISPLAY_NAME, _START_TIME = 10, 8, 17
"""Numbers of fields in wandb's `RunRecord`."""


def write_project(
    folder: Path,
    rates: Sequence[float] = _RATES,
    seeds: int = 4,
    steps: int = 120,
    bins: int = 16,
    large: Mapping[int, int] | None = None,
) -> Path:
    """Writes the logs of a sweep over learning rates and seeds.

    Args:
        folder: Where the logs go.
        rates: The learning rates.
        seeds: Runs for each of them.
        steps: Steps of each run.
        bins: Bins of the histograms.
        large: Steps of some runs, by their number.

    Returns:
        The folder.
    """
    choices = [(rate, seed) for rate in rates for seed in range(1, seeds + 1)]
    for number, (rate, seed) in enumerate(choices):
        run_steps = (large or {}).get(number, steps)
        write_run(folder, number, f"run{number:05}", f"lr{rate:g}-seed{seed}", rate, seed, run_steps, bins)
    return folder


def write_run(
    folder: Path, number: int, run_id: str, name: str, rate: float, seed: int, steps: int, bins: int = 16
) -> Path:
    """Writes the log of a run that has ended.

    It has `loss` and `epoch` at each step, `val/loss` and `val/accuracy` at every tenth, a histogram `weights` at every
    twentieth, system metrics every fifteen seconds, and a line of output.

    Args:
        folder: Where the log goes.
        number: Tells runs apart: their start and their noise.
        run_id: The run's id.
        name: The run's display name.
        rate: The learning rate.
        seed: The seed.
        steps: Steps, of a second each.
        bins: Bins of the histograms.

    Returns:
        The log.
    """
    start = _START + number * 3_600
    rows = list(_rows(rate, random.Random(number), start, steps, bins))
    records = [_run_record(run_id, name, rate, seed, start), *_history(rows)]
    for second in range(15, steps, 15):
        values = {"cpu": f"{20 + second % 7}.5", "memory": f"{40 + second % 11}.0"}
        records.append(stats_record(values, start + second))
    records.append(output_record(f"epoch 0: loss {rows[0]['loss']:.3f}\n", seconds=start + 1))
    records.append(exit_record())
    return _write(folder, run_id, start, wire.write_log(records))


def write_workspace(folder: Path) -> Path:
    """Writes everything that pages read: `wandb/`, `resumed/` and `examples/`.

    Args:
        folder: The folder in which the code of pages runs.

    Returns:
        The folder with the logs of the project.
    """
    logs = write_project(folder / "wandb")
    start = _LIVE_START
    run = _run_record(LIVE_RUN, "live", 0.01, 9, start)
    rows = list(_rows(0.01, random.Random(99), start, 30, 16))
    _write(logs, LIVE_RUN, start, wire.write_log([run, *_history(rows)]))
    newest = max(logs.iterdir())
    (logs / "latest-run").symlink_to(newest.name)
    for segment in SEGMENTS:
        name = segment.stem.removeprefix("resumed-")
        place = folder / "resumed" / f"run-{name}"
        place.mkdir(parents=True)
        (place / f"run-{name.rpartition('-')[2]}.wandb").symlink_to(segment)
    (folder / "examples").mkdir()
    (folder / "examples" / EXAMPLE.name).symlink_to(EXAMPLE)
    return logs


def finish_run(logs: Path, rows: int = 10) -> None:
    """Appends rows to the log of the running run, and ends it.

    Args:
        logs: The folder of logs.
        rows: How many rows.
    """
    (log,) = logs.glob(f"run-*-{LIVE_RUN}/*.wandb")
    content = before = log.read_bytes()
    added = list(_rows(0.01, random.Random(99), _LIVE_START, 30 + rows, 16))[30:]
    for record in [*_history(added), exit_record()]:
        content = wire.append_record(content, record)
    with log.open("ab") as output:
        output.write(content[len(before) :])


def _rows(rate: float, chance: random.Random, start: int, steps: int, bins: int) -> Iterator[dict[str, Any]]:
    speed = 1.5 + math.log10(rate) * 0.35
    for step in range(steps):
        share = step / max(steps, 120)
        loss = 0.08 + 2.2 * math.exp(-5 * speed * share) + chance.gauss(0, 0.05) * (1.4 - share)
        row: dict[str, Any] = {"_step": step, "_runtime": float(step), "_timestamp": float(start + step)}
        row |= {"loss": loss, "epoch": step // 20}
        if step % 10 == 9:
            row |= {"val/loss": loss + 0.05, "val/accuracy": 1 - 0.85 * math.exp(-4 * speed * share)}
        if step % 20 == 0:
            width = 1 + share
            edges = [-width + 2 * width * place / bins for place in range(bins + 1)]
            row["weights"] = {
                "_type": "histogram",
                "values": [chance.randrange(50) for _ in range(bins)],
                "bins": edges,
            }
        yield row


def _history(rows: Iterable[dict[str, Any]]) -> list[bytes]:
    records = []
    last: dict[str, Any] = {}
    for row in rows:
        last |= row
        items = [([key], json.dumps(value)) for key, value in row.items() if not isinstance(value, dict)]
        nested = [
            ([key, name], json.dumps(member))
            for key, value in row.items()
            if isinstance(value, dict)
            for name, member in value.items()
        ]
        records.append(wire.history_record([*items, *nested], row["_step"]))
    updates = [([key], json.dumps(value)) for key, value in last.items()]
    return [*records, wire.update_record(wire.SUMMARY, updates)]


def _run_record(run_id: str, name: str, rate: float, seed: int, start: int) -> bytes:
    config = {"lr": rate, "seed": seed, "optimizer": {"name": "adam", "beta": 0.9}}
    items = b"".join(wire.field(1, wire.item(key, json.dumps(value))) for key, value in config.items())
    run = wire.field(1, run_id) + wire.field(2, _ENTITY) + wire.field(3, _PROJECT) + wire.field(4, items)
    run += wire.field(_DISPLAY_NAME, name) + wire.field(_TAGS, "sweep")
    run += wire.field(_START_TIME, wire.varint_field(1, start))
    return wire.field(wire.RUN, run)


def _write(folder: Path, run_id: str, start: int, log: bytes) -> Path:
    started = datetime.fromtimestamp(start, timezone.utc)
    place = folder / f"run-{started:%Y%m%d_%H%M%S}-{run_id}"
    place.mkdir(parents=True)
    file = place / f"run-{run_id}.wandb"
    file.write_bytes(log)
    return file
