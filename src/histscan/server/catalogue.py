"""Which runs there are, and what they are called."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from histscan.errors import HistoryError
from histscan.runs.log_run import LogRun
from histscan.server.discovery import FoundExport, FoundLog, find_runs
from histscan.server.history_rows import RowCache
from histscan.server.log_run import ServedLog
from histscan.server.parquet_export import Exporter
from histscan.server.parquet_run import ServedExport
from histscan.server.served_run import FileVersion, RunKey, ServedRun
from histscan.server.settings import ServerSettings

__all__ = ["Catalogue"]

DEFAULT_ENTITY = "local"
SEARCH_INTERVAL = 1.0
"""Seconds between two searches of the folders: a script that lists run after run shall not cause one each."""

_log = logging.getLogger("histscan.server")


class Catalogue:
    """The runs under the paths given. Folders are searched again when runs are listed, or one is missed.

    Args:
        settings: The paths, and the names of runs without an entity or project.
        folder: Where exported Parquet files go.

    Raises:
        FileNotFoundError: There is nothing at one of the paths.
        HistoryError: A path is a file that can't be served.
    """

    def __init__(self, settings: ServerSettings, folder: Path) -> None:
        self._settings = settings
        self._cache = RowCache(settings.cache_size)
        self._exporter = Exporter(
            folder, which=settings.export, live_rows=settings.live_rows, rows_per_file=settings.export_rows
        )
        self._sources: dict[FoundLog | FoundExport, tuple[int, ServedRun]] = {}
        self._runs: dict[RunKey, ServedRun] = {}
        self._projects: set[tuple[str, str]] = set()
        # Runs in several logs, by their logs.
        self._joined: dict[tuple[FoundLog, ...], tuple[tuple[int, ...], ServedRun]] = {}
        self._told: set[str] = set()
        self._searched = 0.0
        self._lock = threading.RLock()
        self._search(is_first=True)

    @property
    def default_entity(self) -> str:
        """The viewer's entity, which a path without one means."""
        if self._settings.entity is not None:
            return self._settings.entity
        entities = {entity for entity, _ in self._projects}
        return entities.pop() if len(entities) == 1 else DEFAULT_ENTITY

    def run(self, entity: str | None, project: str, run_id: str) -> ServedRun | None:
        """Finds a run.

        Args:
            entity: Its entity; None for the default.
            project: Its project.
            run_id: Its id.

        Returns:
            The run; None if there is none.
        """
        key = RunKey(self.default_entity if entity is None else entity, project, run_id)
        with self._lock:
            if key not in self._runs:
                self._search()
            return self._runs.get(key)

    def runs(self, entity: str | None = None, project: str | None = None) -> Sequence[ServedRun]:
        """Lists runs.

        Args:
            entity: Only those of an entity; None for all.
            project: Only those of a project; None for all.

        Returns:
            The runs, in the order of their names.
        """
        with self._lock:
            self._search()
            return [
                run
                for key, run in sorted(self._runs.items())
                if entity in (None, key.entity) and project in (None, key.project)
            ]

    def has_project(self, entity: str, project: str) -> bool:
        """Returns True if a project has a run.

        Args:
            entity: The project's entity.
            project: Its name.
        """
        with self._lock:
            if (entity, project) not in self._projects:
                self._search()
            return (entity, project) in self._projects

    def _search(self, *, is_first: bool = False) -> None:
        """Searches the folders, unless that was done just now."""
        if not is_first and time.monotonic() - self._searched < SEARCH_INTERVAL:
            return
        sources: dict[FoundLog | FoundExport, tuple[int, ServedRun]] = {}
        for path in self._settings.paths:
            if is_first and not path.is_dir():
                for found in find_runs(path, self._tell):
                    sources[found] = self._open(found)
                continue
            for found in self._found(path):
                try:
                    known = self._sources.get(found)
                    if known is None or known[0] != _inode(found) or not known[1].is_named:
                        known = self._open(found)
                    sources[found] = known
                except (HistoryError, OSError) as error:
                    self._tell(f"{_path(found)} is not served: {error}")
        self._sources = sources
        self._runs = self._name_runs(self._join_segments())
        self._projects = {(key.entity, key.project) for key in self._runs}
        self._searched = time.monotonic()

    def _found(self, path: Path) -> Iterator[FoundLog | FoundExport]:
        try:
            yield from find_runs(path, self._tell)
        except OSError as error:
            self._tell(f"{path} can't be searched: {error}")

    def _join_segments(self) -> list[tuple[Path, ServedRun]]:
        """Makes one run of the logs of a resumed one; logs of one name that were started at one time are copies."""
        logs: dict[RunKey, dict[str, FoundLog]] = {}
        runs: list[tuple[Path, ServedRun]] = []
        for found, (_, run) in self._sources.items():
            if isinstance(found, FoundLog) and isinstance(run, ServedLog) and run.started_at:
                logs.setdefault(run.key, {}).setdefault(run.started_at, found)
            runs.append((_path(found), run))
        joined = {}
        for key, by_start in logs.items():
            if len(by_start) < 2:
                continue
            segments = tuple(by_start[start] for start in sorted(by_start))
            try:
                inodes = tuple(map(_inode, segments))
                known = self._joined.get(segments)
                if known is None or known[0] != inodes:
                    known = inodes, self._serve(key, LogRun([one.path for one in segments], on_corrupt="skip"))
            except (HistoryError, OSError) as error:
                self._tell(f"the logs of {'/'.join(key)} are served one by one: {error}")
                continue
            joined[segments] = known
            paths = {segment.path for segment in segments}
            runs = [(path, run) for path, run in runs if path not in paths]
            runs.append((segments[-1].path, known[1]))
        self._joined = joined
        return runs

    def _name_runs(self, served: Sequence[tuple[Path, ServedRun]]) -> dict[RunKey, ServedRun]:
        """Gives each name to one run: of several with the same name to that whose file changed last."""
        runs: dict[RunKey, tuple[float, Path, ServedRun]] = {}
        for path, run in served:
            try:
                candidate = (path.stat().st_mtime, path, run)
            except OSError:
                continue
            rival = runs.setdefault(run.key, candidate)
            if rival is not candidate:
                older, newer = sorted((rival, candidate), key=lambda one: one[:2])
                runs[run.key] = newer
                self._tell(f"{older[1]} is not served: {newer[1]} is the same run {'/'.join(run.key)}, and newer")
        return {key: run for key, (_, _, run) in runs.items()}

    def _open(self, found: FoundLog | FoundExport) -> tuple[int, ServedRun]:
        if isinstance(found, FoundExport):
            key = _export_key(found.name, self._settings.entity or DEFAULT_ENTITY, self._settings.project)
            return _inode(found), ServedExport(key, found.paths, cache=self._cache)
        log = LogRun(found.path, on_corrupt="skip")
        key = RunKey(
            log.entity or self._settings.entity or DEFAULT_ENTITY,
            log.project or self._settings.project,
            log.id or found.path.name.partition(".")[0].removeprefix("run-"),
        )
        return _inode(found), self._serve(key, log)

    def _serve(self, key: RunKey, log: LogRun) -> ServedLog:
        return ServedLog(key, log, cache=self._cache, exporter=self._exporter, skip_corrupt=self._settings.skip_corrupt)

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            _log.warning("%s", message)


def _path(found: FoundLog | FoundExport) -> Path:
    return found.paths[0] if isinstance(found, FoundExport) else found.path


def _inode(found: FoundLog | FoundExport) -> int:
    return FileVersion.of(_path(found)).inodes[0]


def _export_key(name: str, entity: str, project: str) -> RunKey:
    """What a file's or folder's name says of the run: wandb joins entity, project and run with underscores."""
    parts = name.split("_")
    if len(parts) == 3 and all(parts):
        return RunKey(*parts)
    return RunKey(entity, project, name)
