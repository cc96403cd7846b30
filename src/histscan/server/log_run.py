"""Serves a run from its ``.wandb`` logs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from histscan.common.steps import STEP, step_after
from histscan.runs.log_facts import moment
from histscan.runs.log_heads import read_head
from histscan.runs.log_run import LogRun
from histscan.runs.run_state import run_state
from histscan.server.history_rows import CHECK_ROWS, HistoryRows, RowCache
from histscan.server.log_outline import outline_log
from histscan.server.parquet_export import Exporter
from histscan.server.row_texts import json_literal, strict_json
from histscan.server.run_files import RunFile, find_files
from histscan.server.served_run import (
    ExportedFiles,
    FileVersion,
    HistorySize,
    RunDescription,
    RunDetails,
    RunKey,
    ServedRun,
)
from histscan.server.work import cancellable, check_cancelled

__all__ = ["ServedLog"]

# Takes the place of the keys in the cache key of system metrics.
_SYSTEM = "system"
_SYSTEM_PREFIX = "system."

# Clients choose the keys; how many of their choices a run remembers is limited.
MOST_INDEXED = 256
LONGEST_INDEXED = 16 << 10

ROW_BYTES = 64
"""The estimated size of a row while their number is unknown."""


class ServedLog(ServedRun):
    """A run in ``.wandb`` logs, which may still be written.

    Args:
        key: The run's names.
        log: The run, which must skip corrupt parts of its log: the run is then listed even if its history is corrupt.
        cache: The cache of rows.
        exporter: Exports the history to Parquet files.
        skip_corrupt: Skip corrupt parts of the history instead of raising an error.
    """

    def __init__(
        self, key: RunKey, log: LogRun, *, cache: RowCache, exporter: Exporter, skip_corrupt: bool = False
    ) -> None:
        super().__init__(key)
        self._files = tuple(log.files)
        self._inodes = FileVersion.of(*self._files).inodes
        # The log of a run that has just started may not contain its names yet.
        self.is_named = bool(log.id)
        self._cache = cache
        self._exporter = exporter
        self._log = log
        self._history = LogRun(log.files, on_corrupt="skip" if skip_corrupt else "raise")
        self._described: RunDescription | None = None
        self._surveyed: tuple[FileVersion, RunDetails] | None = None
        self._indexed: dict[tuple[str, ...] | None, tuple[FileVersion, int]] = {}
        self._system_version: FileVersion | None = None
        self._system_summary: tuple[FileVersion, Mapping[str, Any]] | None = None
        self._lock = threading.Lock()

    @property
    def started_at(self) -> str:
        """The start time of the run; empty if unknown."""
        return self._log.created_at

    def description(self) -> RunDescription:
        """Describes the run; see `ServedRun.description`."""
        with self._lock:
            check_cancelled()
            if self._described is None:
                record = read_head(self._files[0], skip_corrupt=True).record
                log = self._log
                self._described = RunDescription(
                    name=log.name or self.key.id,
                    created_at=moment(record.start_time) or self._version().modified_at,
                    tags=log.tags,
                    group=log.group,
                    job_type=log.job_type,
                    notes=log.notes,
                    host=record.host,
                    sweep=log.sweep_id,
                )
            return self._described

    def details(self) -> RunDetails:
        """Describes the run's state; see `ServedRun.details`."""
        version = self._version()
        with self._lock:
            check_cancelled()
            if self._surveyed is None or self._surveyed[0] != version:
                self._surveyed = (version, self._survey(version))
            details = self._surveyed[1]
        if details.exit_code is not None:
            return details
        # A running run becomes crashed by time alone, without a change of its log.
        return replace(details, state=run_state(details.exit_code, version.modified / 1e9))

    def is_current(self) -> bool:
        """See `ServedRun.is_current`."""
        try:
            self._version()
        except OSError:
            return False
        return True

    def final_version(self) -> FileVersion | None:
        """See `ServedRun.final_version`: a run without an exit code becomes crashed by time alone."""
        surveyed = self._surveyed
        if surveyed is None or surveyed[1].exit_code is None:
            return None
        try:
            version = self._version()
        except OSError:
            return None
        return version if version == surveyed[0] else None

    def _version(self) -> FileVersion:
        """Returns the version of the logs, which must be those that were found."""
        version = FileVersion.of(*self._files)
        if version.inodes != self._inodes:
            raise FileNotFoundError(f"the logs of {'/'.join(self.key)} were replaced: request the run again")
        return version

    def _survey(self, version: FileVersion) -> RunDetails:
        log, outline = self._log, outline_log(self._log)
        return RunDetails(
            state=run_state(log.exit_code, version.modified / 1e9),
            heartbeat_at=version.modified_at,
            config=log.config,
            summary=log.summary,
            last_step=log.lastHistoryStep,
            row_count=outline.row_count,
            key_types=outline.key_types,
            exit_code=log.exit_code,
            metadata=log.metadata or {},
        )

    def history_size(self) -> HistorySize:
        """Estimates the size of the history; see `ServedRun.history_size`."""
        try:
            size = self._version().size
        except OSError:
            return HistorySize(0, 0)
        surveyed = self._surveyed
        if surveyed is None:
            return HistorySize(size // ROW_BYTES, size)
        is_exported = self._exporter.exports(has_ended=surveyed[1].exit_code is not None)
        return HistorySize(surveyed[1].row_count, size, is_exported)

    def rows(self, keys: tuple[str, ...] | None, stop_step: int | None) -> HistoryRows:
        """The run's history; see `ServedRun.rows`. As the log grows, cached rows before `stop_step` are reused."""
        version = self._version()
        with self._lock:
            known = self._indexed.get(keys)
        if known is not None and known[0] != version:
            if stop_step is not None and stop_step <= known[1] and version.extends(known[0]):
                version = known[0]
            else:
                self._cache.discard((self._files, keys, known[0]))
        size = sum(map(len, keys or ()))
        rows = self._cache.get((self._files, keys, version), lambda: self._read(self._texts(keys)), key_size=size)
        with self._lock:
            if size <= LONGEST_INDEXED:
                self._indexed[keys] = (version, rows.steps[-1] if rows.steps else -1)
            if len(self._indexed) > MOST_INDEXED:
                del self._indexed[next(iter(self._indexed))]
        return rows

    def _read(self, texts: Iterator[tuple[int, bytes]]) -> HistoryRows:
        rows = HistoryRows(texts)
        # Raises if the logs that were read are not those that were found.
        self._version()
        return rows

    def _texts(self, keys: tuple[str, ...] | None) -> Iterator[tuple[int, bytes]]:
        step = -1
        for row in self._rows(keys):
            step = step_after(row.get(STEP), step)
            if keys is None:
                yield step, json_literal(row)
            else:
                if STEP not in keys:
                    row.pop(STEP, None)
                yield step, strict_json(row)

    def _rows(self, keys: tuple[str, ...] | None) -> Iterator[dict[str, Any]]:
        wanted = None if keys is None else [*keys, *([] if STEP in keys else [STEP])]
        return self._history.scan_history(wanted)

    def system_rows(self) -> HistoryRows:
        """The metrics of the machine; see `ServedRun.system_rows`."""
        version = self._version()
        with self._lock:
            known, self._system_version = self._system_version, version
        if known not in (None, version):
            self._cache.discard((self._files, _SYSTEM, known))
        return self._cache.get((self._files, _SYSTEM, version), lambda: self._read(self._system_texts()))

    def _system_texts(self) -> Iterator[tuple[int, bytes]]:
        for number, row in enumerate(self._history.system_metrics()):
            yield number, json_literal(row)

    def system_summary(self) -> Mapping[str, Any]:
        """The last value of each metric of the machine; see `ServedRun.system_summary`."""
        version = self._version()
        with self._lock:
            if self._system_summary is None or self._system_summary[0] != version:
                last: dict[str, Any] = {}
                for row in cancellable(self._log.system_metrics(), CHECK_ROWS):
                    last.update(row)
                metrics = {name: value for name, value in last.items() if name.startswith(_SYSTEM_PREFIX)}
                self._system_summary = (version, metrics)
            return self._system_summary[1]

    def files(self) -> Sequence[RunFile]:
        """The files in the folder beside the log; see `find_files`."""
        # Files of a later log replace those of an earlier one.
        found = {file.name: file for log in self._files for file in find_files(log)}
        return sorted(found.values(), key=lambda file: file.name)

    def exported_files(self) -> ExportedFiles:
        """The run's history as Parquet files; see `ServedRun.exported_files`."""
        has_ended = self.details().state != "running"
        return self._exporter.export_run(self._history, self._version(), has_ended=has_ended)
