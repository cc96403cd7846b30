"""The contract of runs in files."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from histscan.runs.contracts import Run

if TYPE_CHECKING:
    from typing_extensions import Self

    from histscan.runs.file_scan import FileScan

__all__ = ["FileRun", "Paths"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A path, or several paths of one run."""


class FileRun(Run):
    """A run in files, which are never written to.

    Args:
        path: The file, or anything else that the source takes.

    Attributes:
        file: The file; for several, the folder that has them.
        files: The files.
    """

    file: Path
    files: list[Path]

    @abstractmethod
    def __init__(self, path: Paths) -> None: ...

    @classmethod
    def open_files(cls, path: Paths, *, on_corrupt: str) -> Self:
        """Opens a run for `histscan.open`.

        Args:
            path: As for the class.
            on_corrupt: As for `histscan.open`; ignored by sources that cannot skip damage.

        Returns:
            The run.
        """
        del on_corrupt
        return cls(path)

    @classmethod
    def open_found(cls, files: Sequence[Path], *, on_corrupt: str) -> Self:
        """Opens a run for `histscan.open_runs`, which may open many: one that need not be read yet is not.

        Args:
            files: The files of the run; at least one.
            on_corrupt: As for `open_files`.

        Returns:
            The run.
        """
        return cls.open_files(files[0] if len(files) == 1 else list(files), on_corrupt=on_corrupt)

    @abstractmethod
    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int = 0,
        max_step: int | None = None,
    ) -> FileScan:
        """See `Run.scan_history`."""

    @property
    def history_bytes(self) -> int:
        """The size of the files that can be found, in bytes."""
        size = 0
        for file in self.files:
            with suppress(OSError):
                size += os.stat(file).st_size
        return size

    @property
    def url(self) -> str:
        """The address of the run's page on the configured W&B server; empty if entity or project is unknown."""
        from histscan.sources.credentials import find_base_url
        from histscan.sources.servers import run_url

        return run_url(find_base_url(None, allow_http=True), self.path) if all(self.path) else ""

    @property
    def location(self) -> str:
        """The path, for ``repr()``."""
        return f"in {str(self.file)!r}"
