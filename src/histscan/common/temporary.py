"""Private temporary folders. Those of killed processes are removed when the next one is made."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from pathlib import Path

from histscan.common.ownership import mark_in_use, remove_abandoned

__all__ = ["TemporaryFolder"]

_PREFIX = "histscan-tmp-"
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")


class TemporaryFolder:
    """A folder that only this user can read. It is removed with this object, or at the end of a `with` block.

    Forked processes leave it to the process that made it.

    Attributes:
        path: The folder.

    Raises:
        OSError: It can't be made.
    """

    def __init__(self) -> None:
        remove_abandoned(Path(tempfile.gettempdir()), _NAME, shutil.rmtree)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        mark_in_use(descriptor)
        self._finalizer = weakref.finalize(self, _remove, self.path, descriptor, os.getpid())

    def __enter__(self) -> TemporaryFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Removes the folder."""
        self._finalizer()


def _remove(path: Path, descriptor: int, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
    os.close(descriptor)
