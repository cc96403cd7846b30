"""Scans of every kind that all have the same rows, and what their columns should be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import histscan
from histscan._core.pages.formats import TextPage
from histscan._core.pages.page import Page
from histscan.columns.scan import Scan
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from tests.support import wire
from tests.support.column_rows import FLOATS, JSON, TEXT
from tests.support.fake_service import FakeService, service_rows
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient
from tests.support.log_samples import Row, write_run

ROWS: list[Row] = [
    {
        "_step": step,
        "loss": math.nan if step == 3 else 1 / (step + 1),
        "epoch": float(step) if step % 2 else step,
        "text": f"é {step}\n\0",
        "big": 2**53 + 1 + step,
        "unsigned": 2**64 - 1 - step,
        "flag": step % 2 == 0,
        "list": [step, None][: step % 3],
        "mixed": step if step else "none",
        "nested": {"a": {"b": step}, "c": [f"{step}"]},
        "null": None,
        **({"late": "x"} if step > 17 else {}),
    }
    for step in range(20)
]
TYPES = {
    "_step": "int64",
    "loss": FLOATS,
    "epoch": FLOATS,
    "text": TEXT,
    "big": "int64",
    "unsigned": "uint64",
    "flag": "bool",
    "list": "list<item: int64>",
    "mixed": JSON,
    "nested": JSON,
    "null": "null",
    "late": TEXT,
}


class PageScan(Scan):
    """A scan over pages that a function makes."""

    def __init__(self, make_page: Callable[[int], Page | None]) -> None:
        self.make_page = make_page
        super().__init__(0, 1_000)

    def _load_next(self) -> None:
        page = self.make_page(self.page_offset)
        if page is None:
            self.page_offset = self._stop_step
            self._take_rows([])
        else:
            self.page_offset += 1
            self._take_page(page)


def text_scan(rows: Sequence[Row] = ROWS, page_size: int = 7) -> PageScan:
    """A scan of rows in pages of a size."""
    texts = [json.dumps(row) for row in rows]
    parts = [texts[start : start + page_size] for start in range(0, len(texts), page_size)]
    return PageScan(lambda index: TextPage(parts[index]) if index < len(parts) else None)


def write_log(path: Path, rows: Sequence[Row] = ROWS) -> Path:
    """Writes rows as a log, nested values as nested items."""
    records = []
    for row in rows:
        items: list[tuple[str | list[str], str]] = []
        for key, value in row.items():
            if isinstance(value, dict):
                items += [([key, name], json.dumps(below)) for name, below in value.items()]
            else:
                items.append((key, json.dumps(value)))
        records.append(wire.history_record(items, row["_step"]))
    return write_run(path, records)


SCANS: dict[str, Callable[[Path], Any]] = {
    "pages": lambda folder: text_scan(),
    "log": lambda folder: histscan.open(write_log(folder / "run-a.wandb")).scan_history(),
    "log's run": lambda folder: histscan.open(write_log(folder / "run-a.wandb")),
    "history": lambda folder: HistoryScan(MemoryClient(HistoryBackend(ROWS)), RUN, 0, 100, 7),
    "sampled": lambda folder: SampledHistoryScan(MemoryClient(HistoryBackend(ROWS)), RUN, list(ROWS[0]), 0, 100, 7),
    "service": lambda folder: BetaHistoryScan(FakeService(service_rows(ROWS)), RUN, 0, 100, None, 7),
    "service, raw": lambda folder: BetaHistoryScan(
        FakeService(service_rows(ROWS), raw_pages=True), RUN, 0, 100, None, 7
    ),
}
