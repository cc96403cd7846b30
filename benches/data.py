"""Rows as training runs log them, and encoded pages of these rows."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benches.case import Scale
from histscan import proto

__all__ = [
    "RUN",
    "Pages",
    "RunName",
    "encoded",
    "history_body",
    "joined_rows",
    "mixed_rows",
    "numbered_rows",
    "plain_rows",
    "sampled_body",
    "service_page",
    "shuffled",
    "value_text",
]

Row = dict[str, Any]


@dataclass(frozen=True)
class RunName:
    """The names of a run, as scans need them."""

    entity: str
    project: str
    id: str


RUN = RunName("team", "vision", "a1b2c3d4")

_GROUPS = ("loss", "accuracy", "grad_norm", "weight_norm", "learning_rate", "throughput")
_ITEMS = 23
_METRICS = _ITEMS - 5
_START = 1_790_000_000.0
_PHASES = ("warm-up", "train", "größer als zuvor", 'said "stop"\n')
_NAN_SHARE = 0.05


@dataclass(frozen=True)
class Pages:
    """Pages of a scan, as bytes; the steps go from 0 without a gap.

    Attributes:
        pages: The bytes of each page.
        page_rows: The rows of each page.
        others: The pages in another encoding, if the contestants need different ones.
    """

    pages: list[bytes]
    page_rows: int
    others: list[bytes] | None = None

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return len(self.pages) * self.page_rows


def plain_rows(steps: Iterable[int], seed: int = 0) -> Iterator[Row]:
    """Yields rows of 23 items: wandb's own three, two counters, and floats of full precision."""
    draw = random.Random(seed)
    names = [f"train/{_GROUPS[index % len(_GROUPS)]}_{index:02}" for index in range(_METRICS)]
    levels = [10.0 ** draw.uniform(-5.0, 4.0) for _ in names]
    for step in steps:
        runtime = step * 0.25 + draw.random()
        yield {
            "_runtime": runtime,
            "_step": step,
            "_timestamp": _START + runtime,
            "epoch": step // 391,
            "samples_seen": step * 128,
            **{name: level * draw.gauss(1.0, 0.1) for name, level in zip(names, levels, strict=True)},
        }


def mixed_rows(steps: Iterable[int], seed: int = 0) -> Iterator[Row]:
    """Yields the same rows with 5 % NaN, two text keys, one nested key and one sparse key."""
    draw = random.Random(seed)
    for row in plain_rows(steps, seed):
        metrics = [key for key in row if key.startswith("train/")]
        for key in metrics:
            if draw.random() < _NAN_SHARE:
                row[key] = math.nan
        phase, sample, histogram, sparse = metrics[2::5]
        row[phase] = _PHASES[row["_step"] * len(_PHASES) // 10_000 % len(_PHASES)]
        row[sample] = f"validation sample {draw.randrange(1_000_000):06}, class {draw.randrange(1_000)}"
        row[histogram] = {
            "_type": "histogram",
            "values": [draw.randrange(100) for _ in range(4)],
            "bins": [draw.random() for _ in range(5)],
        }
        row[sparse] = draw.random() if row["_step"] % 2 else None
        yield row


def numbered_rows(steps: Iterable[int], seed: int = 0) -> Iterator[Row]:
    """Yields rows of 23 items whose keys differ only in a number at the end, like keys of layers."""
    draw = random.Random(seed)
    names = [f"train/metric_{index:02}" for index in range(_ITEMS - 1)]
    for step in steps:
        yield {"_step": step, **{name: draw.gauss(1.0, 0.1) for name in names}}


def shuffled(rows: Iterable[Row], seed: int = 0) -> Iterator[Row]:
    """Yields rows with the keys of each in random order, as in logs and in rows of a live run."""
    draw = random.Random(seed)
    for row in rows:
        items = list(row.items())
        draw.shuffle(items)
        yield dict(items)


def encoded(
    scale: Scale,
    rows: Callable[[Iterable[int]], Iterable[Row]],
    encode: Callable[[list[Row]], bytes],
    other: Callable[[list[Row]], bytes] | None = None,
) -> Pages:
    """Makes pages.

    Args:
        scale: The number of pages, and of rows per page.
        rows: Makes the rows of a range of steps.
        encode: Encodes rows as a page.
        other: Encodes rows in the other encoding.

    Returns:
        The pages.
    """
    every = list(rows(range(scale.pages * scale.page_rows)))
    parts = [every[first : first + scale.page_rows] for first in range(0, len(every), scale.page_rows)]
    others = None if other is None else [other(part) for part in parts]
    return Pages([encode(part) for part in parts], scale.page_rows, others)


def service_page(rows: Iterable[Row], *, ensure_ascii: bool = False) -> bytes:
    """Encodes a page of a wandb service: a serialised ``RunHistoryResponse``."""
    page = proto.RunHistoryResponse()
    for row in rows:
        items = [
            proto.ParquetHistoryItem(key=key, value_json=value_text(value, ensure_ascii=ensure_ascii))
            for key, value in row.items()
        ]
        page.history_rows.add(history_items=items)
    return page.SerializeToString()


def joined_rows(rows: Iterable[Row], *, ensure_ascii: bool = False) -> bytes:
    """Encodes rows as one JSON array."""
    return value_text(list(rows), ensure_ascii=ensure_ascii).encode()


def history_body(rows: Iterable[Row], *, ensure_ascii: bool = False) -> bytes:
    """Encodes the body of a GraphQL response to ``HistoryPage``: each row is JSON within a JSON string."""
    texts = [value_text(row, ensure_ascii=ensure_ascii) for row in rows]
    return value_text({"data": {"project": {"run": {"history": texts}}}}).encode()


def sampled_body(rows: Iterable[Row]) -> bytes:
    """Encodes the body of a GraphQL response to ``SampledHistoryPage``: rows are plain objects."""
    return value_text({"data": {"project": {"run": {"sampledHistory": [list(rows)]}}}}).encode()


def value_text(value: Any, *, ensure_ascii: bool = False) -> str:
    """Encodes a value as JSON without spaces.

    Args:
        value: The value.
        ensure_ascii: Escape what is beyond ASCII, as wandb's client does where it has no orjson. Otherwise there are as
            few escapes as possible.

    Returns:
        The text.
    """
    return json.dumps(value, ensure_ascii=ensure_ascii, separators=(",", ":"))
