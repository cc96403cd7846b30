"""Finds the runs to serve, and gives each its names."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from histscan.errors import HistoryError
from histscan.runs.log_run import LogRun
from histscan.server.history_rows import RowCache
from histscan.server.log_run import ServedLog
from histscan.server.parquet_export import Exporter
from histscan.server.parquet_run import ServedParquet
from histscan.server.served_run import FileVersion, RunKey, ServedRun
from histscan.server.settings import ServerSettings
from histscan.sources.discovery import FoundLog, FoundParquet, find_runs

__all__ = ["Catalogue"]

DEFAULT_ENTITY = "local"
SEARCH_INTERVAL = 1.0
"""Minimum seconds between two searches of the folders, as a script may list runs many times in a row."""

_log = logging.getLogger("histscan.server")


class Catalogue:
    """The runs under the given paths. Folders are searched again when runs are listed, or a run is not found.

    Args:
        settings: The paths, and the entity and project of runs recorded without one.
        folder: The folder of exported Parquet files.

    Attributes:
        generation: A number that changes with the runs.

    Raises:
        FileNotFoundError: One of the paths does not exist.
        HistoryError: A path is a file that can't be served.
    """

    def __init__(self, settings: ServerSettings, folder: Path) -> None:
        self._settings = settings
        self._paths = [path.resolve(strict=True) for path in settings.paths]
        self._cache = RowCache(settings.cache_size)
        self._exporter = Exporter(
            folder, which=settings.export, live_rows=settings.live_rows, rows_per_file=settings.export_rows
        )
        self._sources: dict[FoundLog | FoundParquet, tuple[int, ServedRun]] = {}
        self._runs: dict[RunKey, ServedRun] = {}
        self._projects: set[tuple[str, str]] = set()
        # Runs of several logs, by their logs.
        self._joined: dict[tuple[FoundLog, ...], tuple[tuple[int, ...], ServedRun]] = {}
        self._warned: set[str] = set()
        self._searched = 0.0
        self.generation = 0
        self._lock = threading.RLock()
        self._search(is_first=True)

    @property
    def default_entity(self) -> str:
        """The viewer's entity, which is used for a path without an entity."""
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
            known = self._runs.get(key)
            if known is None or not known.is_current():
                self._search(is_due=known is not None)
            return self._runs.get(key)

    def serves(self, run: ServedRun) -> bool:
        """Returns True if a run is still served under its name, as far as the last search found.

        Args:
            run: The run.
        """
        return self._runs.get(run.key) is run

    def is_generation(self, generation: int) -> bool:
        """Returns True if the runs are still those of a generation, and no search is due.

        Args:
            generation: An earlier value of `generation`.
        """
        return generation == self.generation and time.monotonic() - self._searched < SEARCH_INTERVAL

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

    def _search(self, *, is_first: bool = False, is_due: bool = False) -> None:
        """Searches the folders, unless it is not due: the last search was less than `SEARCH_INTERVAL` ago."""
        if not (is_first or is_due) and time.monotonic() - self._searched < SEARCH_INTERVAL:
            return
        sources: dict[FoundLog | FoundParquet, tuple[int, ServedRun]] = {}
        for path in self._paths:
            if path.is_symlink():
                self._warn_once(f"{path} is not served any more: it was replaced by a link")
                continue
            if is_first and not path.is_dir():
                for found in find_runs(path, self._warn_once):
                    sources[found] = self._open(found)
                continue
            for found in self._found(path):
                try:
                    known = self._sources.get(found)
                    if known is None or known[0] != _inode(found) or not known[1].is_named:
                        known = self._open(found)
                    sources[found] = known
                except (HistoryError, OSError) as error:
                    self._warn_once(f"{_path(found)} is not served: {error}")
        self._sources = sources
        runs = self._name_runs(self._join_segments())
        self.generation += runs != self._runs
        self._runs = runs
        self._projects = {(key.entity, key.project) for key in self._runs}
        self._searched = time.monotonic()

    def _found(self, path: Path) -> Iterator[FoundLog | FoundParquet]:
        try:
            yield from find_runs(path, self._warn_once)
        except OSError as error:
            self._warn_once(f"{path} can't be searched: {error}")

    def _join_segments(self) -> list[tuple[Path, ServedRun]]:
        """Joins the logs of a resumed run. Logs with the same name and start time are copies of each other."""
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
                self._warn_once(f"the logs of {'/'.join(key)} can't be joined, only the latest is served: {error}")
                continue
            joined[segments] = known
            paths = {segment.path for segment in segments}
            runs = [(path, run) for path, run in runs if path not in paths]
            runs.append((segments[-1].path, known[1]))
        self._joined = joined
        return runs

    def _name_runs(self, served: Sequence[tuple[Path, ServedRun]]) -> dict[RunKey, ServedRun]:
        """Maps each name to one run: of several with the same name, the one whose file changed last."""
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
                self._warn_once(f"{older[1]} is not served: {newer[1]} is the same run {'/'.join(run.key)}, and newer")
        return {key: run for key, (_, _, run) in runs.items()}

    def _open(self, found: FoundLog | FoundParquet) -> tuple[int, ServedRun]:
        if isinstance(found, FoundParquet):
            key = _parquet_key(found.name, self._settings.entity or DEFAULT_ENTITY, self._settings.project)
            return _inode(found), ServedParquet(key, found.paths, cache=self._cache)
        log = LogRun(found.path, on_corrupt="skip")
        key = RunKey(
            log.entity or self._settings.entity or DEFAULT_ENTITY,
            log.project or self._settings.project,
            log.id or found.path.name.partition(".")[0].removeprefix("run-"),
        )
        return _inode(found), self._serve(key, log)

    def _serve(self, key: RunKey, log: LogRun) -> ServedLog:
        return ServedLog(key, log, cache=self._cache, exporter=self._exporter, skip_corrupt=self._settings.skip_corrupt)

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            _log.warning("%s", message)


def _path(found: FoundLog | FoundParquet) -> Path:
    return found.paths[0] if isinstance(found, FoundParquet) else found.path


def _inode(found: FoundLog | FoundParquet) -> int:
    return FileVersion.of(_path(found)).inodes[0]


def _parquet_key(name: str, entity: str, project: str) -> RunKey:
    """Derives a run's names from a file or folder name: wandb joins entity, project and run with underscores."""
    parts = name.split("_")
    if len(parts) == 3 and all(parts):
        return RunKey(*parts)
    return RunKey(entity, project, name)
