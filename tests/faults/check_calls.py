"""Runs operations on files while each of their calls of the system fails in turn, under `failing_calls`."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gzip
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import histscan
from histscan.cli.main import main as run_command
from histscan.errors import HistoryError
from histscan.sources.file_cache import read_limit, write_limit
from tests.faults.core_operations import LOG

OPEN, READ, WRITE, SYNC, RENAME, CLOSE, STAT = 1, 2, 4, 8, 16, 32, 64
SHORT = 0
#: Which calls fail, and how.
FAILURES = {
    "open": (OPEN, (errno.EIO, errno.EMFILE, errno.EINTR)),
    "read": (READ, (errno.EIO, errno.EINTR, SHORT)),
    "write": (WRITE, (errno.ENOSPC, errno.EIO, errno.EINTR, SHORT)),
    "fsync": (SYNC, (errno.EIO, errno.ENOSPC)),
    "rename": (RENAME, (errno.EIO, errno.EACCES)),
    "close": (CLOSE, (errno.EIO, errno.ENOSPC)),
    "stat": (STAT, (errno.EIO,)),
}
OLD = b"what was there before"


@dataclass(frozen=True)
class FileOperation:
    """An operation on files.

    Attributes:
        work: Does it, in a folder with the inputs. Returns what it has read.
        output: The file that it makes; none if empty.
        show: What the output must hold.
    """

    work: Callable[[Path], Any]
    output: str = ""
    show: Callable[[Path], Any] = Path.read_bytes


def export(folder: Path, name: str) -> None:
    """Exports by the command line, and raises an error if that reports one."""
    complaints = io.StringIO()
    with contextlib.redirect_stderr(complaints), contextlib.redirect_stdout(io.StringIO()):
        code = run_command(["export", str(folder / "run.wandb"), "-o", str(folder / name)])
    if code:
        assert "Traceback" not in complaints.getvalue(), complaints.getvalue()
        raise HistoryError(complaints.getvalue())


def read_rows(name: str) -> Callable[[Path], Any]:
    return lambda folder: list(histscan.open(folder / name).scan_history())


def read_table(name: str) -> Callable[[Path], Any]:
    return lambda folder: histscan.open(folder / name).scan_history().to_arrow().to_pylist()


def show_table(path: Path) -> Any:
    # NaN is not equal to itself.
    return repr(read_table(path.name)(path.parent))


OPERATIONS = {
    "rows of a log": FileOperation(read_rows("run.wandb")),
    "columns of a log": FileOperation(read_table("run.wandb")),
    "rows of JSON Lines": FileOperation(read_rows("run.jsonl")),
    "rows of compressed JSON Lines": FileOperation(read_rows("run.jsonl.gz")),
    "rows of Parquet": FileOperation(read_rows("run.parquet")),
    "columns of Parquet": FileOperation(read_table("run.parquet")),
    "export to JSON Lines": FileOperation(lambda folder: export(folder, "new.jsonl"), "new.jsonl"),
    "export to CSV": FileOperation(lambda folder: export(folder, "new.csv"), "new.csv"),
    "export to Parquet": FileOperation(lambda folder: export(folder, "new.parquet"), "new.parquet", show_table),
    "the limit of the cache": FileOperation(
        lambda folder: write_limit(folder / "cache", 77),
        "cache/histscan-cache-limit",
        lambda path: read_limit(path.parent),
    ),
}


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
}


def prepare(folder: Path) -> None:
    """Makes the inputs."""
    (folder / "cache").mkdir(mode=0o700)
    (folder / "run.wandb").write_bytes(LOG)
    for name in ("run.jsonl", "run.parquet"):
        export(folder, name)
    (folder / "run.jsonl.gz").write_bytes(gzip.compress((folder / "run.jsonl").read_bytes()))


def check(library: Any, operation: FileOperation, folder: Path) -> Iterator[str]:
    """Lets each call of an operation fail, until it succeeds without a failure.

    Yields:
        What is wrong.
    """
    output = folder / operation.output if operation.output else None
    before = snapshot(folder)
    good = operation.work(folder)
    made = operation.show(output) if output else None
    for name, (group, errors) in FAILURES.items():
        for error in errors:
            first = 0
            while True:
                if output:
                    output.write_bytes(OLD)
                reason, failures = attempt(library, operation, folder, (group, error, first), good)
                if not reason and output and output.read_bytes() != OLD and operation.show(output) != made:
                    reason = "the output is neither the old one nor the new one"
                if output:
                    output.unlink(missing_ok=True)
                if not reason and snapshot(folder) != before:
                    reason = (
                        f"files were left or changed: {sorted(set(snapshot(folder).items()) ^ set(before.items()))}"
                    )
                if reason:
                    yield f"{name} {first}, {errno.errorcode.get(error, 'short')}: {reason}"
                    restore(folder, before)
                if not failures:
                    break
                first += 1


def attempt(
    library: Any, operation: FileOperation, folder: Path, failure: tuple[int, int, int], good: Any
) -> tuple[str, int]:
    """Does an operation while a call fails. Returns what is wrong, and how many calls have failed."""
    group, error, first = failure
    library.arm_calls(os.fsencode(folder), group, error, first, 0)
    try:
        result = operation.work(folder)
    except (HistoryError, OSError) as raised:
        failures = library.disarm_calls()
        if not failures:
            return f"an error although no call failed: {raised!r}", 0
        return ("" if str(raised) else f"an error without a text: {raised!r}"), failures
    except BaseException as raised:
        return f"another error: {raised!r}", library.disarm_calls()
    failures = library.disarm_calls()
    return ("" if repr(result) == repr(good) else f"a wrong result: {result!r}"[:300]), failures


def snapshot(folder: Path) -> dict[str, bytes]:
    """The files of a folder, by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def restore(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def main() -> int:
    library = ctypes.CDLL(sys.argv[1])
    found: list[str] = []
    folder = Path(tempfile.mkdtemp()).resolve()
    try:
        prepare(folder)
        for name in sys.argv[2:]:
            for fault in check(library, (OPERATIONS | BROKEN)[name], folder):
                found.append(fault)
                sys.stdout.write(f"{name}, {fault}\n")
    finally:
        shutil.rmtree(folder)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
