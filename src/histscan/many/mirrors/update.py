"""Brings a mirror up to date: finds what is new, reads it several runs at a time, and writes it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from histscan.common.printable import printable
from histscan.errors import HistoryError, RunNotFoundError, RunSkippedWarning
from histscan.many.members import Member
from histscan.many.mirrors.layouts import Layouts, layout_hash
from histscan.many.mirrors.lock import locked
from histscan.many.mirrors.mirrored_runs import write_runs_table
from histscan.many.mirrors.names import (
    HISTORY_FOLDER,
    LOCK_FILE,
    PARTIAL_SUFFIX,
    RUNS_FILE,
    STATE_FILE,
    SYSTEM_FOLDER,
    file_name,
)
from histscan.many.mirrors.run_task import MirrorFolder, MirrorTask, RunReadError, RunResult
from histscan.many.mirrors.state import MirroredRunEntry, MirrorState, RunKey
from histscan.many.options import FrameOptions, RunsProgress
from histscan.many.progress import Watch, open_progress
from histscan.many.task_pool import run_tasks
from histscan.runs.contracts import Run
from histscan.runs.file_run import FileRun

if TYPE_CHECKING:
    from histscan.many.run_chunks import Failures
    from histscan.many.runs import Runs

_RUNS_TOGETHER = 50
"""Runs that are described, and whose last steps are requested, together."""

__all__ = ["MirrorOptions", "MirrorResult", "update_mirror"]


@dataclass(frozen=True)
class MirrorOptions:
    """What to mirror, and how; `histscan.mirror` describes the attributes."""

    frame: FrameOptions
    system: bool = False
    on_error: Literal["raise", "skip"] = "raise"
    threads: int | None = None
    progress: bool | Watch = False

    @property
    def keys(self) -> list[str] | None:
        """The chosen keys and patterns, as the state has them."""
        if self.frame.keys is None:
            return None
        return [item if isinstance(item, str) else f"regex:{item.pattern}" for item in self.frame.keys.items]


@dataclass
class MirrorResult:
    """The result of `histscan.mirror`.

    Attributes:
        folder: The mirror.
        runs: The number of runs in the mirror.
        new: Runs that were read for the first time, or again because their rows had changed.
        extended: Runs of which only later rows were read.
        unchanged: Runs that were not read.
        deleted: Runs in the mirror that the server does not have any more.
        rows: Rows that were read.
        failures: The runs that could not be read (``on_error="skip"``), and why, by their paths.
    """

    folder: Path
    runs: int = 0
    new: int = 0
    extended: int = 0
    unchanged: int = 0
    deleted: int = 0
    rows: int = 0
    failures: Failures = field(default_factory=dict)


def update_mirror(runs: Runs[Any], folder: Path, options: MirrorOptions) -> MirrorResult:
    """Brings a mirror up to date.

    Args:
        runs: The runs.
        folder: The mirror, which is created if it does not exist.
        options: What to mirror.

    Returns:
        What was done.

    Raises:
        HistoryError: A run can't be read, and `options` do not skip it; or the folder is no mirror.
        OSError: A file can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) as is_locked:
        _check_folder(folder)
        if is_locked:
            _remove_partial_files(folder)
        state = MirrorState.read(folder)
        if state.server and runs.server and state.server != runs.server:
            raise HistoryError(f"{folder} has runs of {state.server}: mirror runs of {runs.server} to another folder")
        state.server = state.server or runs.server
        if not (folder / STATE_FILE).exists():
            state.save()
        for name in (HISTORY_FOLDER, SYSTEM_FOLDER)[: 1 + options.system]:
            (folder / name).mkdir(exist_ok=True)
        try:
            return _Update(runs, state, options).run()
        finally:
            state.close()


def _check_folder(folder: Path) -> None:
    """Raises an error if a folder has other files."""
    names = {entry.name for entry in os.scandir(folder)}
    if STATE_FILE not in names and any(name != LOCK_FILE and not name.startswith(".") for name in names):
        raise HistoryError(f"{str(folder)!r} has other files, and is no mirror: pass a new folder, or an empty one")


def _remove_partial_files(folder: Path) -> None:
    """Removes what killed processes have left."""
    for place in (folder, folder / HISTORY_FOLDER, folder / SYSTEM_FOLDER):
        for file in place.glob(f".*{PARTIAL_SUFFIX}"):
            file.unlink(missing_ok=True)


class _Update:
    """One call of `update_mirror`."""

    def __init__(self, runs: Runs[Any], state: MirrorState, options: MirrorOptions) -> None:
        self._runs = runs
        self._state = state
        self._options = options
        self._threads = options.threads or runs.reading_threads
        self._folder = MirrorFolder(state.folder, options.frame, options.keys)
        self._names: set[str] = set()
        self._ids: set[str] = set()
        for entry in state.entries.values():
            self._names.add(entry.file.lower())
            self._ids.add(entry.run_id)
            self._folder.add_columns(entry.columns)
        self._known = list(state.entries)
        # In the order of the runs.
        self._seen: dict[RunKey, None] = {}
        self._has_changed = not (state.folder / RUNS_FILE).exists()
        self._result = MirrorResult(state.folder)
        self._done = 0
        self._watch: Callable[[], object] = lambda: None

    def run(self) -> MirrorResult:
        """Updates the mirror.

        Returns:
            What was done.

        Raises:
            HistoryError: A run can't be read.
            OSError: A file can't be written.
        """
        with open_progress(self._options.progress, len(self._runs)) as watch:
            if watch is not None:
                self._watch = lambda: watch(RunsProgress(self._done, len(self._runs), self._result.rows))
            try:
                self._read_runs()
                self._note_deleted()
            except HistoryError:
                # What was read is complete, and the next call continues after it.
                self._finish()
                raise
        self._drop_missing()
        self._unify()
        self._finish()
        self._result.runs = len(self._state.entries)
        self._result.deleted = sum(entry.is_deleted for entry in self._state.entries.values())
        return self._result

    def _read_runs(self) -> None:
        tasks = run_tasks(self._tasks(), self._folder.run, self._threads)
        try:
            for task, future in tasks:
                try:
                    found = future.result()
                except RunReadError as failure:
                    self._note_failure(task.label, failure.error)
                else:
                    self._note(found)
                self._done += 1
                self._watch()
        finally:
            tasks.close()

    def _tasks(self) -> Iterator[MirrorTask]:
        """Yields what is to be read."""
        members = self._runs.members()
        while together := list(islice(members, _RUNS_TOGETHER)):
            tasks = list(filter(None, map(self._plan, together)))
            self._done += len(together) - len(tasks)
            self._watch()
            # If the server does not describe them together, each of them is described when it is read.
            with suppress(HistoryError):
                self._runs.load([task.run for task in tasks if task.is_changed])
            to_read = self._runs.members_of([task.run for task in tasks])
            for task, member in zip(tasks, to_read, strict=True):
                yield replace(task, member=member)

    def _plan(self, member: Member) -> MirrorTask | None:
        try:
            return self._task(member, member.run)
        except (HistoryError, OSError) as error:
            self._note_failure(member.name, error)
            return None

    def _task(self, member: Member, run: Run) -> MirrorTask | None:
        """Returns what is to be read of a run; None for nothing."""
        if isinstance(run, FileRun) and run.files[0].resolve().is_relative_to(self._state.folder.resolve()):
            return None
        key = self._key_of(run)
        self._seen[key] = None
        entry = self._state.entries.get(key)
        version = _version_of(run)
        what: Literal["all", "later", "system"] | None = "all"
        if entry is not None and self._is_whole(entry):
            was_running = entry.described.get("state") == "running"
            # Rows of a run on a server may arrive after the listing; a log becomes a crashed run by waiting.
            is_same = entry.version == version and not (was_running and _may_have_changed(run))
            if not is_same and not isinstance(run, FileRun) and entry.rows and entry.version[2:3] == version[2:3]:
                what = "later"
            elif is_same:
                what = "system" if self._options.system and not entry.system else None
        if what is None:
            assert entry is not None
            self._result.unchanged += 1
            self._refresh(entry, run)
            return None
        if entry is None:
            name = file_name(run.id, key, self._names)
            run_id = run.id if run.id not in self._ids else "/".join(filter(None, key))
            self._names.add(name.lower())
            self._ids.add(run_id)
        else:
            name, run_id = entry.file, entry.run_id
        return MirrorTask(member, run, key, entry, name, run_id, version, what, self._options.system)

    def _key_of(self, run: Run) -> RunKey:
        key: RunKey = (run.entity, run.project, run.id)
        if key in self._seen and isinstance(run, FileRun):
            # Another file of the same names, or of none.
            return (*key, str(run.files[0].absolute()))
        return key

    def _is_whole(self, entry: MirroredRunEntry) -> bool:
        """Returns True if the files of a run are there, and have the chosen keys."""
        if entry.keys != self._options.keys:
            return False
        folder = self._state.folder
        try:
            if (folder / HISTORY_FOLDER / entry.file).stat().st_size != entry.size:
                return False
            return not entry.has_system_file or (folder / SYSTEM_FOLDER / entry.file).is_file()
        except OSError:
            return False

    def _refresh(self, entry: MirroredRunEntry, run: Run) -> None:
        """Updates the description of a run that was not read, as far as the listing has it."""
        if isinstance(run, FileRun):
            return
        if run.is_loaded:
            described = self._folder.describe(run)
        else:
            listed = {
                "name": run.name,
                "group": run.group,
                "job_type": run.job_type,
                "tags": run.tags,
                "notes": run.notes,
                "state": run.state,
            }
            described = {**entry.described, **listed}
        if described != entry.described or entry.is_deleted:
            self._put(replace(entry, described=described, is_deleted=False))

    def _put(self, entry: MirroredRunEntry) -> None:
        self._state.put(entry)
        self._has_changed = True

    def _note(self, found: RunResult) -> None:
        self._put(found.entry)
        self._folder.add_columns(found.entry.columns)
        self._result.rows += found.rows
        if found.what == "all":
            self._result.new += 1
        elif found.what == "later":
            self._result.extended += 1
        else:
            self._result.unchanged += 1

    def _note_failure(self, name: str, error: Exception) -> None:
        if isinstance(error, RunNotFoundError):
            # It was deleted after it was listed; `_note_deleted` treats it as if it had not been listed.
            self._seen = {key: None for key in self._seen if "/".join(key) != name}
            return
        if isinstance(error, HistoryError):
            error.add_location(run=name)
        if self._options.on_error == "raise":
            raise error
        self._result.failures[name] = error
        warnings.warn(f"{printable(name)} is left out: {error}", RunSkippedWarning, stacklevel=7)

    def _note_deleted(self) -> None:
        """Marks the runs that the server does not have any more; their files stay."""
        project = self._runs.whole_project
        for key, entry in list(self._state.entries.items()):
            if project is not None and key[:2] == project and (key not in self._seen) != entry.is_deleted:
                self._put(replace(entry, is_deleted=not entry.is_deleted))

    def _drop_missing(self) -> None:
        """Forgets runs that were not read in this call, and whose files somebody has removed."""
        for key, entry in list(self._state.entries.items()):
            if key not in self._seen and not (self._state.folder / HISTORY_FOLDER / entry.file).exists():
                del self._state.entries[key]
                self._has_changed = True

    def _unify(self) -> None:
        """Rewrites the files that were written before all columns of the mirror were known."""
        # Found again, because runs that were read again may lack columns that they had.
        self._folder.type_flags = {}
        for columns in {id(entry.columns): entry.columns for entry in self._state.entries.values()}.values():
            self._folder.add_columns(columns)
        layouts = Layouts(self._folder.type_flags)
        hashes: dict[int, str] = {}

        def outdated() -> Iterator[MirroredRunEntry]:
            for entry in list(self._state.entries.values()):
                # Runs with the same columns share one dict.
                wanted = hashes.get(id(entry.columns))
                if wanted is None:
                    wanted = hashes[id(entry.columns)] = layout_hash(layouts.of(entry.columns))
                if entry.layout != wanted:
                    yield entry

        tasks = run_tasks(outdated(), self._folder.rewrite, self._threads)
        try:
            for _, future in tasks:
                self._put(future.result())
        finally:
            tasks.close()

    def _finish(self) -> None:
        is_whole = self._runs.whole_project is not None or self._seen.keys() >= self._state.entries.keys()
        self._state.sort([*self._seen, *self._known] if is_whole else [*self._known, *self._seen])
        if self._has_changed:
            write_runs_table(self._state)
            self._state.save()


def _may_have_changed(run: Run) -> bool:
    """Returns True if a run of the same version as before, which was running then, may have changed."""
    return not isinstance(run, FileRun) or run.state != "running"


def _version_of(run: Run) -> list[Any]:
    """Returns values that change when a run changes at its source."""
    if isinstance(run, FileRun):
        statuses = [(file, file.stat()) for file in run.files]
        return [[file.name, status.st_size, status.st_mtime_ns] for file, status in statuses]
    return [run.heartbeat_at, run.state, run.created_at, run.row_count]
