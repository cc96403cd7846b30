"""Runs operations on files while each of their calls of the system fails in turn, under `failing_calls`."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from histscan.errors import HistoryError
from tests.faults.file_operations import OPERATIONS, FileOperation, prepare, put_old, remove, serve_files, shown

OPEN, READ, WRITE, SYNC, RENAME, CLOSE, STAT, RECEIVE, SEND, CUT = (1 << bit for bit in range(10))
SHORT, ENDED = 0, -1
#: Which calls fail, and how.
FAILURES: dict[str, tuple[int, tuple[int, ...]]] = {
    "open": (OPEN, (errno.EIO, errno.EMFILE, errno.EINTR)),
    "read": (READ, (errno.EIO, errno.EINTR, SHORT)),
    "write": (WRITE, (errno.ENOSPC, errno.EIO, errno.EINTR, SHORT)),
    "fsync": (SYNC, (errno.EIO, errno.ENOSPC)),
    "rename": (RENAME, (errno.EIO, errno.EACCES)),
    "close": (CLOSE, (errno.EIO, errno.ENOSPC)),
    "stat": (STAT, (errno.EIO,)),
}
# urllib3 waits for an answer if sending fails in the ways of a connection that was closed.
SERVER_FAILURES: dict[str, tuple[int, tuple[int, ...]]] = {
    "recv": (RECEIVE, (errno.ECONNRESET, errno.EIO, errno.EINTR, SHORT, ENDED)),
    "send": (SEND, (errno.EIO, errno.EINTR, SHORT)),
}
#: How many thousandths of a file stay; -1: all but its last byte. Only the file that is read is cut.
CUTS: dict[str, tuple[int, tuple[int, ...]]] = {"cut": (CUT, (0, 500, -1))}


def write_in_place(folder: Path) -> None:
    with (folder / "new.txt").open("wb") as output:
        output.write(b"half")
        output.flush()
        output.write(b"whole")


def read_little(folder: Path) -> bytes:
    descriptor = os.open(folder / "run.wandb", os.O_RDONLY)
    try:
        return os.read(descriptor, 1_000)
    finally:
        os.close(descriptor)


def read_to_the_end(folder: Path) -> bytes:
    """Takes what comes first for the whole."""
    with (folder / "long.wandb").open("rb", buffering=0) as file:
        pieces = []
        while piece := file.read(100_000):
            pieces.append(piece)
    return b"".join(pieces)


def fail_oddly(folder: Path) -> bytes:
    try:
        return (folder / "run.wandb").read_bytes()
    except OSError:
        raise KeyError("another error") from None


# Work that is wrong where calls fail: what is checked here must be seen.
BROKEN = {
    "a partial file": FileOperation(write_in_place, "new.txt"),
    "a wrong result": FileOperation(read_little),
    "a wrong error": FileOperation(fail_oddly),
    "lost bytes": FileOperation(read_to_the_end),
}


def check(
    library: Any, operation: FileOperation, folder: Path, failures: dict[str, tuple[int, tuple[int, ...]]], stride: int
) -> Iterator[str]:
    """Lets each call of an operation fail, until it succeeds without a failure.

    Args:
        library: The library that lets calls fail.
        operation: The operation.
        folder: The folder with its inputs.
        failures: The calls, and how they fail.
        stride: 1 for each call, or every how manyth.

    Yields:
        What is wrong.
    """
    before = snapshot(folder)
    put_old(operation, folder)
    old = shown(operation, folder)
    good = operation.work(folder)
    made = shown(operation, folder)
    for name, (group, errors) in failures.items():
        for error in errors:
            first = 0
            while True:
                put_old(operation, folder)
                reason, failed = attempt(library, operation, folder, (group, error, first), good)
                if operation.output:
                    reason = reason or fault_of_output(library, operation, folder, (old, made))
                    if group == CUT:
                        restore(folder, before, operation.output)
                    reason = reason or fault_again(library, operation, folder, made)
                    remove(folder / operation.output)
                elif group == CUT:
                    restore(folder, before)
                reason = reason or difference(snapshot(folder), before)
                if reason:
                    yield f"{name} {first}, {errno.errorcode.get(error, error)}: {reason}"
                    restore(folder, before)
                if not failed:
                    break
                first += stride


def attempt(
    library: Any, operation: FileOperation, folder: Path, failure: tuple[int, int, int], good: Any
) -> tuple[str, int]:
    """Does an operation while a call fails. Returns what is wrong, and how many calls have failed."""
    library.arm_calls(os.fsencode(folder), *failure, 0)
    try:
        result = operation.work(folder)
    except (HistoryError, OSError) as raised:
        failed = library.disarm_calls()
        if not failed:
            return f"an error although no call failed: {raised!r}", 0
        return ("" if str(raised) else f"an error without a text: {raised!r}"), failed
    except BaseException as raised:
        return f"another error: {raised!r}", library.disarm_calls()
    failed = library.disarm_calls()
    if repr(result) == repr(good):
        return "", failed
    if not operation.output and library.was_cut_unused():
        # What was read is from after the cut: the right result is that of the file as it is now.
        with contextlib.suppress(HistoryError, OSError):
            good = operation.work(folder)
    return ("" if repr(result) == repr(good) else f"a wrong result: {result!r}"[:300]), failed


def fault_of_output(library: Any, operation: FileOperation, folder: Path, right: tuple[Any, ...]) -> str:
    """Returns what is wrong with the output: it must be the old one or the new one."""
    if is_cut(library, folder / operation.output):
        return ""
    try:
        found = shown(operation, folder)
    except Exception as error:
        return f"the output can't be read: {error!r}"
    if library.was_cut_unused():
        with contextlib.suppress(HistoryError, OSError):
            put_old(operation, folder)
            operation.work(folder)
            right = (*right, shown(operation, folder))
    if found in right or (operation.parts and is_between(found, right)):
        return ""
    return f"the output is neither the old one nor the new one: {found!r}"[:300]


def fault_again(library: Any, operation: FileOperation, folder: Path, made: Any) -> str:
    """Returns what is wrong if the operation is done again behind a failure."""
    try:
        operation.work(folder)
        found = shown(operation, folder)
    except Exception as error:
        # What another process has cut of the output may have to be removed first, as the error says.
        if isinstance(error, HistoryError) and is_cut(library, folder / operation.output):
            return ""
        return f"done again, {error!r}"
    return "" if found == made else f"done again, another output: {found!r}"[:300]


def is_between(found: dict[str, Any], states: tuple[dict[str, Any], ...]) -> bool:
    """Returns True if each part is that of one of the states, the first of which is the old one."""
    return states[0].keys() <= found.keys() and all(
        part in [state.get(name) for state in states] for name, part in found.items()
    )


def is_cut(library: Any, output: Path) -> bool:
    """Returns True if a file of the output was cut."""
    return is_in(Path(os.fsdecode(library.cut_file())), output)


def is_in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def snapshot(folder: Path) -> dict[str, bytes]:
    """The files of a folder, by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def difference(found: dict[str, bytes], before: dict[str, bytes]) -> str:
    names = sorted(name for name in found.keys() | before.keys() if found.get(name) != before.get(name))
    return f"files were left or changed: {names}" if names else ""


def restore(folder: Path, files: dict[str, bytes], output: str = "") -> None:
    """Restores all files but the output."""
    for path in folder.rglob("*"):
        if (
            path.is_file()
            and str(path.relative_to(folder)) not in files
            and not (output and is_in(path, folder / output))
        ):
            path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.exists():
            path.write_bytes(content)
        elif path.read_bytes() != content:
            # As it was: a run whose log has just been written is still running.
            status = path.stat()
            path.write_bytes(content)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 1))


def main() -> int:
    library = ctypes.CDLL(sys.argv[1])
    library.cut_file.restype = ctypes.c_char_p
    kind, stride, names = sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    found: list[str] = []
    folder = Path(tempfile.mkdtemp()).resolve()
    try:
        prepare(folder)
        for name in names:
            operation = (OPERATIONS | BROKEN)[name]
            failures = CUTS if kind == "cuts" else FAILURES
            with contextlib.ExitStack() as stack:
                if operation.uses_server:
                    library.set_server(stack.enter_context(serve_files()))
                    failures = failures if kind == "cuts" else FAILURES | SERVER_FAILURES
                for fault in check(library, operation, folder, failures, stride):
                    found.append(fault)
                    sys.stdout.write(f"{name}, {fault}\n")
    finally:
        shutil.rmtree(folder)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
