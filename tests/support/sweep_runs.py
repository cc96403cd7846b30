"""A folder of runs as a sweep leaves it: learning rates and seeds in the configs, noisy curves in the histories."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import wire
from tests.support.stream_records import exit_record

__all__ = ["write_run", "write_sweep"]


def write_run(
    folder: Path,
    run_id: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    config: Mapping[str, Any] | None = None,
    name: str = "",
    exit_code: int | None = 0,
    start: int = 1_700_000_000,
) -> Path:
    """Writes a log as wandb does, `run-<time>-<id>/run-<id>.wandb`; one without an exit code has not ended."""
    items = b"".join(wire.field(1, wire.item(key, json.dumps(value))) for key, value in (config or {}).items())
    run = wire.field(1, run_id) + wire.field(2, "e") + wire.field(3, "p") + wire.field(4, items)
    run += wire.field(8, name) if name else b""
    run += wire.field(17, wire.varint_field(1, start))
    records = [wire.field(wire.RUN, run)]
    for place, row in enumerate(rows):
        step = row.get("_step", place)
        items_of_row = [(key, json.dumps(value)) for key, value in {"_step": step, **row}.items()]
        records.append(wire.history_record(items_of_row, step))
    if exit_code is not None:
        records.append(exit_record(exit_code))
    place_of_run = folder / f"run-20260131_{start % 1_000_000:06}-{run_id}"
    place_of_run.mkdir(parents=True)
    log = place_of_run / f"run-{run_id}.wandb"
    log.write_bytes(wire.write_log(records))
    return log


def write_sweep(folder: Path, rates: Sequence[float], seeds: int, steps: int = 60, *, long_names: bool = False) -> Path:
    """Writes a run for each learning rate and seed, with `loss`, `val/accuracy` every tenth step, and `epoch`."""
    for number, (rate, seed) in enumerate((rate, seed) for rate in rates for seed in range(seeds)):
        chance = random.Random(number)
        speed = 1.5 + math.log10(rate) * 0.35
        rows: list[dict[str, Any]] = []
        for step in range(steps):
            share = step / steps
            loss = 0.08 + 2.2 * math.exp(-5 * speed * share) + chance.gauss(0, 0.05) * (1.4 - share)
            row: dict[str, Any] = {"_step": step, "_runtime": step * 2.5, "loss": loss, "epoch": step // 20}
            if not step % 10:
                row["val/accuracy"] = 1 - 0.85 * math.exp(-4 * speed * share) - abs(chance.gauss(0, 0.02))
                row["val/loss"] = loss + 0.05
            rows.append(row)
        name = f"resnet50-imagenet-lr{rate:g}-seed{seed}-cosine" if long_names else f"lr{rate:g}-s{seed}"
        config = {"lr": rate, "seed": seed, "optimizer": {"name": "adam" if seed % 2 else "sgd"}}
        write_run(folder, f"r{number:04}", rows, config=config, name=name, start=1_700_000_000 + number * 60)
    return folder
