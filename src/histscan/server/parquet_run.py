"""Serves a run from exported Parquet files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from histscan.common.install_hint import install_hint
from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.runs.parquet_run import ParquetRun
from histscan.server.history_rows import HistoryRows, RowCache
from histscan.server.row_texts import json_literal, strict_json
from histscan.server.served_run import (
    ExportedFiles,
    FileVersion,
    HistorySize,
    RunDescription,
    RunDetails,
    RunKey,
    ServedRun,
)

__all__ = ["ServedParquet"]

NUMBER_BYTES = 22
"""The estimated size of a value in a row, without its key."""


class ServedParquet(ServedRun):
    """A run whose history is in Parquet files, as W&B exports it. The files are not expected to change.

    Nothing else is known of the run: it has no config, and its summary is the last value of each key.

    Args:
        key: The run's names.
        paths: The files.
        cache: The cache of rows.

    Raises:
        HistoryError: A file is no exported history, or pyarrow is not installed.
        OSError: A file can't be read.
    """

    def __init__(self, key: RunKey, paths: Sequence[Path], *, cache: RowCache) -> None:
        super().__init__(key)
        self._cache = cache
        try:
            run = ParquetRun(paths)
        except ImportError as error:
            raise HistoryError(f"Parquet files need pyarrow: {install_hint('arrow')}") from error
        self._paths = run.files_by_step
        self._types = {field.name: _type_name(field.type) for schema in run.schemas for field in schema}
        self._row_count = run.rows
        self._last_step = run.lastHistoryStep
        self._summary: Mapping[str, Any] | None = None
        self._lock = threading.Lock()

    def final_version(self) -> FileVersion | None:
        """See `ServedRun.final_version`."""
        try:
            return FileVersion.of(*self._paths)
        except OSError:
            return None

    def description(self) -> RunDescription:
        """Describes the run; see `ServedRun.description`."""
        return RunDescription(self.key.id, created_at=min(FileVersion.of(path).modified_at for path in self._paths))

    def details(self) -> RunDetails:
        """Describes the run's state; see `ServedRun.details`."""
        with self._lock:
            if self._summary is None:
                self._summary = ParquetRun(self._paths).summary

        return RunDetails(
            state="finished",
            heartbeat_at=FileVersion.of(*self._paths).modified_at,
            config={},
            summary=self._summary,
            last_step=self._last_step,
            row_count=self._row_count,
            key_types=self._types,
        )

    def history_size(self) -> HistorySize:
        """Estimates the size of the history; see `ServedRun.history_size`."""
        row_bytes = sum(len(name) + NUMBER_BYTES for name in self._types)
        return HistorySize(self._row_count, self._row_count * row_bytes, is_exported=True)

    def rows(self, keys: tuple[str, ...] | None, stop_step: int | None) -> HistoryRows:  # noqa: ARG002
        """The run's history; see `ServedRun.rows`."""
        versions = tuple(FileVersion.of(path) for path in self._paths)
        return self._cache.get((self._paths[0], keys, versions), lambda: HistoryRows(self._texts(keys)))

    def _texts(self, keys: tuple[str, ...] | None) -> Iterator[tuple[int, bytes]]:
        # Opened again, as the files may have been replaced since the server started.
        run = ParquetRun(self._paths)
        if keys is None:
            for row in run.scan_history():
                yield row[STEP], json_literal(row)
            return
        for row in run.scan_history([*keys, STEP]):
            step = row[STEP]
            if STEP not in keys:
                del row[STEP]
            yield step, strict_json(row)

    def exported_files(self) -> ExportedFiles:
        """The files themselves."""
        return ExportedFiles(self._paths, live_from=None)


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
