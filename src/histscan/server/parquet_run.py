"""Runs that are served from the Parquet files that their history was exported to."""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timezone
from pathlib import Path
from typing import Any

from histscan.errors import HistoryError
from histscan.server.history_rows import HistoryRows, RowCache
from histscan.server.row_texts import json_literal, strict_json
from histscan.server.served_run import STEP, Export, FileVersion, RunDescription, RunDetails, RunKey, ServedRun

__all__ = ["ServedExport"]

BATCH_ROWS = 10_000


class ServedExport(ServedRun):
    """A run whose history lies in Parquet files, as W&B exports it. The files are not expected to change.

    Of such a run nothing else is known: it has no config, and its summary is the last value of each key.

    Args:
        key: The run's names.
        paths: The files.
        cache: Where rows are kept.

    Raises:
        HistoryError: A file is no export of a history, or pyarrow is not installed.
        OSError: A file can't be read.
    """

    def __init__(self, key: RunKey, paths: Sequence[Path], *, cache: RowCache) -> None:
        super().__init__(key)
        self._cache = cache
        try:
            import pyarrow
            import pyarrow.parquet as parquet
        except ImportError as error:
            raise HistoryError("Parquet files need pyarrow: pip install 'histscan[arrow]'") from error
        bounds = []
        self._types: dict[str, str] = {}
        self._row_count = 0
        for path in paths:
            try:
                with parquet.ParquetFile(path) as file:
                    schema = file.schema_arrow
                    steps = file.read([STEP]).column(STEP) if STEP in schema.names else None
            except pyarrow.ArrowException as error:
                raise HistoryError(f"not a Parquet file: {error}", run=str(path)) from error
            if steps is None:
                raise HistoryError(f"no exported history: it has no column {STEP}", run=str(path))
            self._types.update({field.name: _type_name(field.type) for field in schema})
            self._row_count += len(steps)
            known = [step for step in steps.to_pylist() if step is not None]
            bounds.append((min(known, default=math.inf), max(known, default=-1), path))
        bounds.sort()
        self._paths = [path for _, _, path in bounds]
        self._last_step = int(max((last for _, last, _ in bounds), default=-1))
        self._summary: Mapping[str, Any] | None = None
        self._lock = threading.Lock()

    def description(self) -> RunDescription:
        """Says what the run is; see `ServedRun.description`."""
        began = min(FileVersion.of(path).modified for path in self._paths)
        return RunDescription(self.key.id, datetime.fromtimestamp(began / 1e9, timezone.utc))

    def details(self) -> RunDetails:
        """Says what has become of the run; see `ServedRun.details`."""
        with self._lock:
            if self._summary is None:
                summary: dict[str, Any] = {}
                for row in self._rows():
                    summary.update(row)
                self._summary = summary
        ended = max(FileVersion.of(path).modified for path in self._paths)
        return RunDetails(
            state="finished",
            heartbeat_at=datetime.fromtimestamp(ended / 1e9, timezone.utc),
            config={},
            summary=self._summary,
            last_step=self._last_step,
            row_count=self._row_count,
            key_types=self._types,
        )

    def rows(self, keys: tuple[str, ...] | None, stop_step: int | None) -> HistoryRows:  # noqa: ARG002
        """The run's history; see `ServedRun.rows`."""
        versions = tuple(FileVersion.of(path) for path in self._paths)
        return self._cache.get((self._paths[0], keys, versions), lambda: HistoryRows(self._texts(keys)))

    def _texts(self, keys: tuple[str, ...] | None) -> Iterator[tuple[int, bytes]]:
        for row in self._rows():
            if keys is None:
                yield row[STEP], json_literal(row)
                continue
            chosen = {key: found[0] for key in keys if (found := _find(row, key))}
            if len(chosen) == len(set(keys)):
                yield row[STEP], strict_json(chosen)

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Yields the rows that have a step, without the cells that have no value."""
        import pyarrow.parquet as parquet

        for path in self._paths:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH_ROWS):
                    for cells in batch.to_pylist():
                        row = _as_json(cells)
                        if STEP in row:
                            row[STEP] = int(row[STEP])
                            yield row

    def export(self) -> Export:
        """The files themselves."""
        return Export(self._paths, live_from=None)


def _find(row: Mapping[str, Any], key: str) -> list[Any]:
    """The value of a key, which may be dotted to reach into nested values; empty where there is none."""
    if key in row:
        return [row[key]]
    for place, character in enumerate(key):
        inner = row.get(key[:place]) if character == "." else None
        if isinstance(inner, dict) and (found := _find(inner, key[place + 1 :])):
            return found
    return []


def _as_json(value: Any) -> Any:
    """The value as it would be in a log: without what is null in structs, and of JSON's types."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date | time):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _type_name(kind: Any) -> str:
    import pyarrow

    types = pyarrow.types
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_floating(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind):
        return "string"
    return "list" if types.is_list(kind) else "nil" if types.is_null(kind) else "other"
