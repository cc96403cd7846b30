"""What a mirror has: one line of JSON for each run, appended when its files are complete.

A process that is killed loses at most the end of the last line. The whole file is rewritten at the end of each call.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from histscan.common.atomic import atomic_output
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.many.mirrors.names import STATE_FILE
from histscan.sources.files import read_windows

__all__ = ["MirrorState", "MirroredRunEntry", "RunKey", "is_mirror"]

RunKey = tuple[str, ...]
"""Entity, project and id of a run; and the path of its file, if other files have the same names."""

_FORMAT = 1


@dataclass(frozen=True)
class MirroredRunEntry:
    """What a mirror has of a run.

    Attributes:
        key: What identifies the run.
        run_id: The value of the column ``run_id``.
        file: The name of its files.
        size: The size of the history file in bytes.
        version: Values that change when the run changes at its source.
        keys: The keys and patterns that were asked for; None for all.
        rows: The number of rows.
        last_step: The highest step; -1 without rows.
        columns: The type flags of each key that the run logged.
        layout: The hash of the columns of the history file.
        system: True if system metrics were asked for.
        has_system_file: True if there were any.
        is_deleted: True if the source did not have the run any more.
        described: The description of the run, with its summary.
    """

    key: RunKey
    run_id: str
    file: str
    size: int
    version: list[Any]
    keys: list[str] | None
    rows: int
    last_step: int
    columns: dict[str, int]
    layout: str
    system: bool
    has_system_file: bool
    is_deleted: bool
    described: dict[str, Any]


@dataclass
class MirrorState:
    """The state of a mirror. One thread may use it at a time.

    Attributes:
        folder: The mirror.
        server: The server of the runs; empty for files.
        entries: What the mirror has of each run, in the order in which they were added.
    """

    folder: Path
    server: str = ""
    entries: dict[RunKey, MirroredRunEntry] = field(default_factory=dict)
    # Most runs have the same columns: they share one dict, which is written once.
    _columns: dict[str, dict[str, int]] = field(default_factory=dict)
    _journal: BinaryIO | None = None
    _names_written: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, folder: Path) -> MirrorState:
        """Reads the state of a mirror.

        Args:
            folder: The mirror.

        Returns:
            The state; an empty one if there is none.

        Raises:
            HistoryDecodeError: The file is damaged.
            HistoryError: A later release of histscan wrote it, or it became shorter while it was read.
        """
        state = cls(folder)
        path = folder / STATE_FILE
        try:
            text = b"".join(window for window, _ in read_windows(path))
        except FileNotFoundError:
            return state
        # What follows the last line break was being written when the process was killed.
        lines = text.split(b"\n")[:-1]
        if not lines:
            raise HistoryDecodeError(
                "the mirror's state is empty: remove the file, and all runs are mirrored again", run=str(path)
            )
        for number, line in enumerate(lines, 1):
            try:
                state._add_line(json.loads(line), is_first=number == 1)
            except (ValueError, KeyError, TypeError) as error:
                raise HistoryDecodeError(
                    f"line {number} of the mirror's state is damaged ({error}): remove the file, and all runs are "
                    "mirrored again",
                    run=str(path),
                ) from None
        return state

    def _add_line(self, line: dict[str, Any], is_first: bool) -> None:
        if is_first:
            written = line["histscan_mirror"]
            if written != _FORMAT:
                raise HistoryError(
                    f"another release of histscan wrote this mirror, in format {written}: update histscan",
                    run=str(self.folder),
                )
            self.server = str(line["server"])
        elif "flags" in line:
            self._columns[line["columns"]] = line["flags"]
        else:
            columns = self._columns[line["columns"]]
            entry = MirroredRunEntry(**{**line, "key": tuple(line["key"]), "columns": columns})
            self.entries[entry.key] = entry

    def put(self, entry: MirroredRunEntry) -> None:
        """Adds or replaces the entry of a run, also in the file.

        Args:
            entry: The entry.

        Raises:
            OSError: The file can't be written.
        """
        if self._journal is None:
            # A file that ends within a line must not get more lines.
            self.save()
            self._journal = (self.folder / STATE_FILE).open("ab")
        self._journal.write(b"".join(self._lines_of(entry)))
        self._journal.flush()
        columns = self._columns[_name_of(entry.columns)]
        self.entries[entry.key] = replace(entry, columns=columns)

    def _lines_of(self, entry: MirroredRunEntry) -> list[bytes]:
        name = _name_of(entry.columns)
        lines = []
        if name not in self._names_written:
            lines.append(_line({"columns": name, "flags": entry.columns}))
            self._names_written.add(name)
        self._columns.setdefault(name, entry.columns)
        lines.append(_line({**entry.__dict__, "columns": name}))
        return lines

    def sort(self, keys: Iterable[RunKey]) -> None:
        """Sorts the entries.

        Args:
            keys: The keys of all entries, and maybe others, in their order.
        """
        self.entries = {key: self.entries[key] for key in dict.fromkeys(keys) if key in self.entries}

    def save(self) -> None:
        """Rewrites the file.

        Raises:
            OSError: It can't be written.
        """
        self.close()
        self._names_written.clear()
        with atomic_output(self.folder / STATE_FILE) as output:
            output.write(_line({"histscan_mirror": _FORMAT, "server": self.server}))
            for entry in self.entries.values():
                output.writelines(self._lines_of(entry))

    def close(self) -> None:
        """Closes the file."""
        if self._journal is not None:
            journal, self._journal = self._journal, None
            journal.close()


def is_mirror(folder: str | os.PathLike[str]) -> bool:
    """Returns True if a folder is a mirror.

    Args:
        folder: The folder.
    """
    return os.path.isfile(os.path.join(folder, STATE_FILE))


def _name_of(columns: dict[str, int]) -> str:
    return hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:16]


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
