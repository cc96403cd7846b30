"""Files on disk, read from their beginning window by window; those that are compressed, decompressed."""

from __future__ import annotations

import contextlib
import io
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from histscan.common.install_hint import install_hint
from histscan.common.quiet import warn_of_file
from histscan.errors import HistoryError, LogFormatError, LogTruncatedWarning

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["WINDOW_SIZE", "is_compressed", "read_range", "read_windows"]

WINDOW_SIZE = 32 * 32_768
"""Bytes read at a time: whole blocks of a log, small enough to stay in the processor's cache while decoded."""

# Bytes to ask for at the end of a file, which may have grown, or whose size the system does not know.
_LEAST_READ = 32_768
# Bytes to ask for at once: macOS refuses 2 GiB and more.
_MOST_READ = 1 << 30

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def read_windows(
    path: Path,
    *,
    window_size: int = WINDOW_SIZE,
    limit: int | None = None,
    least: int = 0,
    watch: Callable[[int], object] | None = None,
    room: Callable[[int], Buffer] | None = None,
) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Reads a file from its beginning, window by window; one that is compressed with gzip or zstd, decompressed.

    The file is never mapped: one that is cut short while it is read gives an error, not a signal. It is read by
    positions of its own, so that a process forked meanwhile reads on as if it were alone.

    A file may grow meanwhile. One that becomes shorter than it was is an error, behind all that could be read.

    Args:
        path: The file; it need only be readable.
        window_size: Bytes in a window, a multiple of 32 KiB.
        limit: Bytes of the file to read in all, as many as it has had before; None for all there are.
        least: Bytes that the file has had before.
        watch: Called before each window with the number of bytes of the file that were read.
        room: Makes memory of a size for a window. None for new bytes objects, as those of a compressed file always are.

    Yields:
        The window's bytes, and whether it is the last: the only one that is shorter, perhaps empty.

    Raises:
        HistoryError: The file has become shorter; what could be read was yielded.
        ImportError: The file is compressed with zstd, and nothing is installed that reads it.
        LogFormatError: The compressed data are damaged; what comes before was yielded.
        OSError: The file can't be read.

    Warns:
        LogTruncatedWarning: The compressed data end early.
    """
    with _PositionedFile(path, limit, least, room) as file:
        window = file.read_fully(window_size)
        begin = bytes(window[: len(_ZSTD_MAGIC)])
        if len(begin) < len(_ZSTD_MAGIC):
            begin = file.peek_begin(len(_ZSTD_MAGIC))
        if not is_compressed(begin):
            read: Callable[[int], bytes | memoryview] = file.read_fully
        else:
            kind = "gzip" if begin.startswith(_GZIP_MAGIC) else "zstd"
            file.position = 0
            read = _Decompressor(path, file, kind).read
            window = read(window_size)
        while True:
            if watch is not None:
                watch(file.position)
            is_last = len(window) < window_size
            yield window, is_last
            if is_last:
                break
            window = read(window_size)
        # What is wrong is said behind all that could be read.
        file.check_size()
        if is_compressed(begin):
            read(1)


def is_compressed(begin: bytes) -> bool:
    """Returns True if a file is compressed with gzip or zstd.

    Args:
        begin: Its first bytes.
    """
    return begin.startswith((_GZIP_MAGIC, _ZSTD_MAGIC))


def read_range(path: Path, begin: int, size: int) -> bytes:
    """Reads a part of a file.

    Args:
        path: The file.
        begin: Where the part begins, in bytes.
        size: Bytes to read.

    Returns:
        The bytes; fewer at the end of the file.

    Raises:
        OSError: The file can't be read.
    """
    with _PositionedFile(path) as file:
        file.position = begin
        return bytes(file.read_fully(size))


class _PositionedFile(io.RawIOBase):
    """A file read by `os.pread`: its position belongs to this object, and not to the file, which a fork shares."""

    # Not open. A file that could not be opened is closed, too, when it is finalized.
    _file = -1

    def __init__(
        self, path: Path, limit: int | None = None, least: int = 0, room: Callable[[int], Buffer] | None = None
    ) -> None:
        super().__init__()
        self._path = path
        self._room = room
        self._end = limit
        # The most bytes that the file is known to have had.
        self._most = least if limit is None else max(least, limit)
        self.position = 0
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def peek_begin(self, size: int) -> bytes:
        """Returns the first bytes of the file, without moving."""
        return os.pread(self._file, size, 0)

    def read_fully(self, size: int) -> bytes | memoryview:
        """Reads so many bytes, fewer only at the end."""
        pieces: list[bytes | memoryview] = []
        if self._end is not None:
            size = min(size, self._end - self.position)
        while size > 0:
            # A buffer of a whole window for a small file takes longer than reading the file.
            file_size = os.fstat(self._file).st_size
            self._most = max(self._most, file_size)
            piece = self._read(min(size, max(file_size - self.position, _LEAST_READ), _MOST_READ))
            if not piece:
                break
            pieces.append(piece)
            self.position += len(piece)
            size -= len(piece)
            if self.position == file_size:
                # Nothing to ask for behind the end. (Systems that do not know the size of a file call it 0.)
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, size: int) -> bytes | memoryview:
        """Reads at most so many bytes."""
        if self._room is None:
            return os.pread(self._file, size, self.position)
        memory = memoryview(self._room(size))
        return memory[: os.preadv(self._file, [memory], self.position)].toreadonly()

    def check_size(self) -> None:
        """Raises an error if the file has become shorter than it was."""
        size = os.fstat(self._file).st_size
        if size < self._most:
            raise HistoryError(
                f"the file became shorter while it was read, from {self._most} to {size} bytes: every row before was "
                "read. Was it replaced? Then open it again",
                run=str(self._path),
            )

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.read_fully(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed and self._file >= 0:
            # What was read is right all the same.
            with contextlib.suppress(OSError):
                os.close(self._file)
        super().close()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()


class _Decompressor:
    """Reads compressed data piece by piece, so that damage loses nothing that comes before it."""

    def __init__(self, path: Path, file: _PositionedFile, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._failure: Exception | None = None
        self._errors: tuple[type[Exception], ...]
        if kind == "gzip":
            import gzip

            self._reader: Any = gzip.GzipFile(fileobj=file)
            self._errors = (EOFError, zlib.error, gzip.BadGzipFile)
        else:
            zstd = _import_zstd()
            self._reader = zstd.ZstdFile(file)
            self._errors = (EOFError, zstd.ZstdError)

    def read(self, size: int) -> bytes:
        """Reads so many bytes, fewer only where the data end; a call behind that raises or warns what is wrong."""
        pieces: list[bytes] = []
        if self._failure is not None:
            self._report(self._failure)
            return b""
        while size > 0:
            try:
                piece = self._reader.read1(size)
            except self._errors as error:
                self._failure = error
                break
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _report(self, failure: Exception) -> None:
        if not isinstance(failure, EOFError):
            raise LogFormatError(
                f"the {self._kind} data are damaged ({failure}); every row before was read", run=str(self._path)
            )
        warn_of_file(
            f"the {self._kind} data of {self._path} end early: the file is not complete. Every complete row was read",
            LogTruncatedWarning,
            stacklevel=4,
        )


def _import_zstd() -> Any:
    """Imports Python's own zstd module (3.14), or its backport."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        try:
            from backports import zstd  # type: ignore[import-not-found,unused-ignore,no-redef]
        except ImportError as error:
            raise ImportError(f"files compressed with zstd need a reader: {install_hint('zstd')}") from error
    return zstd
