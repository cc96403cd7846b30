"""Runs operations that write files on a disk with little room, in a namespace of their own (`unshare -rm`)."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from histscan.errors import HistoryError
from tests.faults.check_calls import difference, fault_again, fault_of_output, snapshot
from tests.faults.file_operations import (
    OPERATIONS,
    FileOperation,
    command,
    prepare,
    put_old,
    remove,
    serve_files,
    shown,
)

DISK_SIZE = 64 << 20
#: Bytes that are left on the disk.
ROOM = [0, *(size << 10 for size in (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1_024, 2_048, 4_096))]
DISK_OPERATIONS = {name: operation for name, operation in OPERATIONS.items() if operation.output} | {
    "a plot": FileOperation(
        lambda folder: command("plot", str(folder / "long.wandb"), "-k", "loss", "-o", str(folder / "plot.png")),
        "plot.png",
    ),
}
BROKEN = {
    "a partial file": FileOperation(lambda folder: (folder / "new.txt").write_bytes(b"x" * 5_000_000), "new.txt"),
}


class NothingCut:
    """Stands for the library that cuts files: none was cut."""

    def cut_file(self) -> bytes:
        return b""

    def was_cut_unused(self) -> bool:
        return False


def check(operation: FileOperation, folder: Path, stride: int) -> Iterator[str]:
    """Does an operation while the disk has less and less room left.

    Args:
        operation: The operation.
        folder: The folder with its inputs, on the disk.
        stride: 1 for each size, or every how manyth.

    Yields:
        What is wrong.
    """
    ballast = folder.parent / "ballast"
    before = snapshot(folder)
    put_old(operation, folder)
    old = shown(operation, folder)
    operation.work(folder)
    made = shown(operation, folder)
    failures = 0
    for room in ROOM[::stride]:
        put_old(operation, folder)
        fill(ballast, room)
        reason = ""
        try:
            operation.work(folder)
        except (HistoryError, OSError) as error:
            failures += 1
            if os.strerror(errno.ENOSPC) not in str(error):
                reason = f"an error that does not say it: {error!r}"
        except BaseException as error:
            reason = f"another error: {error!r}"
        ballast.unlink()
        reason = reason or fault_of_output(NothingCut(), operation, folder, (old, made))
        reason = reason or fault_again(NothingCut(), operation, folder, made)
        remove(folder / operation.output)
        reason = reason or difference(snapshot(folder), before)
        if reason:
            yield f"{room} bytes left: {reason}"
    if not failures and not operation.uses_server:
        yield "it has never failed"


def fill(ballast: Path, room: int) -> None:
    """Writes a file that leaves so much room on its disk."""
    with ballast.open("wb", buffering=0) as file:
        status = os.fstatvfs(file.fileno())
        size = max(status.f_bavail * status.f_frsize - room, 0)
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, size)


def main() -> int:
    disk, stride, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        sys.stdout.write(f"no disk: {mounted.stderr.decode()}")
        return 2
    folder = disk / "files"
    folder.mkdir()
    # Temporary files are on the same disk.
    (disk / "tmp").mkdir()
    tempfile.tempdir = str(disk / "tmp")
    prepare(folder)
    found: list[str] = []
    for name in names:
        operation: Any = (DISK_OPERATIONS | BROKEN)[name]
        with serve_files() if operation.uses_server else contextlib.nullcontext():
            for fault in check(operation, folder, stride):
                found.append(fault)
                sys.stdout.write(f"{name}, {fault}\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
