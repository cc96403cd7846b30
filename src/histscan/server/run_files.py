"""The files of a run, which wandb saves in the folder ``files`` beside its log."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from histscan.common.patterns import TimedPattern
from histscan.common.printable import UNPRINTABLE
from histscan.server.safe_files import open_found
from histscan.server.served_run import FileVersion
from histscan.server.work import check_cancelled

__all__ = ["FILES_FOLDER", "RunFile", "choose_files", "find_files"]

FILES_FOLDER = "files"
LARGEST_HASHED = 256 << 20
"""The maximum size in bytes of a file with an MD5: a listing must not read all of a run's checkpoints."""


@dataclass(frozen=True)
class RunFile:
    """A file of a run.

    Attributes:
        name: The path relative to the run's files, with ``/`` as separator. Characters that are unsafe in a terminal or
            a path become ``_``.
        path: The file's path, with links resolved.
        root: The folder that must contain the file.
        version: The file's version.
    """

    name: str
    path: Path
    root: Path
    version: FileVersion

    @property
    def mimetype(self) -> str:
        """The media type, guessed from the name."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @property
    def modified_at(self) -> datetime:
        """The time of the file's last change."""
        return self.version.modified_at

    @property
    def md5(self) -> str | None:
        """The MD5 of the content in base64; None for files of more than `LARGEST_HASHED` bytes."""
        return None if self.version.size > LARGEST_HASHED else _md5(self.path, self.root, self.version)


def find_files(log: Path) -> list[RunFile]:
    """Lists the files of a run.

    Args:
        log: The run's ``.wandb`` file.

    Returns:
        The regular files below the folder ``files`` beside the log, in the order of their names. Links are followed
        only to files in that folder. An empty list if there are other logs beside it: the files could belong to any.
    """
    root = log.parent / FILES_FOLDER
    try:
        if root.is_symlink() or any(path.name != log.name for path in log.parent.glob("*.wandb")):
            return []
        root = root.resolve(strict=True)
    except OSError:
        return []
    return sorted(_walk(root), key=lambda file: file.name)


def _walk(root: Path) -> Iterator[RunFile]:
    # No recursion: folders may be nested deeper than Python's stack.
    folders = [root]
    while folders:
        check_cancelled()
        try:
            with os.scandir(folders.pop()) as scan:
                entries = list(scan)
        except OSError:
            # The folder was removed or became unreadable meanwhile; the same can happen to files below.
            continue
        for entry in entries:
            path = Path(entry.path)
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file():
                    file = path.resolve(strict=True) if entry.is_symlink() else path
                    if not file.is_relative_to(root):
                        continue
                    # A backslash is a path separator on Windows.
                    name = UNPRINTABLE.sub("_", path.relative_to(root).as_posix()).replace("\\", "_")
                    yield RunFile(name, file, root, FileVersion.of(file))


def choose_files(files: Sequence[RunFile], names: Collection[str], pattern: str | None) -> list[RunFile]:
    """Selects files by name.

    Args:
        files: The files.
        names: The names to select; empty for all.
        pattern: A pattern for names, as for SQL's ``LIKE``: ``%`` matches any text, ``_`` any character. None or empty
            for all.

    Returns:
        The selected files, in the same order.

    Raises:
        PatternError: The pattern is too long, or takes too long.
    """
    test = None if not pattern else TimedPattern(f"(?s){_like(pattern)}")
    return [file for file in files if (not names or file.name in names) and (test is None or test.fullmatch(file.name))]


def _like(pattern: str) -> str:
    """Translates a pattern to a regular expression, whose search takes time in proportion to the name."""
    texts = [""]
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        if part == "%":
            texts.append("")
        else:
            texts[-1] += "." if part == "_" else re.escape(part.removeprefix("\\") or part)
    first, *between = texts
    if not between:
        return first
    # The first place of a text after the one before is as good as any, so that no other needs to be tried.
    return first + "".join(f"(?>.*?{text})" for text in between[:-1]) + f".*{between[-1]}"


@lru_cache(maxsize=4096)
def _md5(path: Path, root: Path, version: FileVersion) -> str | None:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with open_found(path, root, version.inodes[0]) as file:
            while part := file.read(1 << 20):
                check_cancelled()
                digest.update(part)
    except OSError:
        return None
    return base64.b64encode(digest.digest()).decode()
