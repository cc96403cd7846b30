"""One Parquet file, opened and read by pyarrow. What is wrong with it becomes an error of ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.common.install_hint import install_hint
from histscan.common.ownership import is_own_file
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.sources.parquet_sizes import ClaimedSizes

if TYPE_CHECKING:
    import pyarrow

__all__ = ["LocalFile", "OpenFile", "import_parquet", "read_batches"]

_BYTES_FOR_THREADS = 1 << 20
"""Smaller row groups are read by one thread: starting others takes longer."""


def import_parquet() -> Any:
    """Imports pyarrow's reader.

    Returns:
        The module ``pyarrow.parquet``.

    Raises:
        ImportError: pyarrow is not installed; says what to install.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ImportError(f"Parquet files need pyarrow: {install_hint('arrow')}") from error
    return parquet


@dataclass(frozen=True)
class LocalFile:
    """Opens one version of a file.

    Attributes:
        path: The absolute path: the working folder may have changed when the file is opened.
        name: The file's name in error messages.
        size: Its size in bytes.
        modified: When it was modified, in nanoseconds since 1970.
        is_own: True if only a file counts that this user wrote, and nobody else can write to: one of the cache.
    """

    path: Path
    name: str
    size: int
    modified: int
    is_own: bool

    @classmethod
    def at(cls, path: Path, *, is_own: bool) -> LocalFile:
        """Notes the version that a file has now.

        Args:
            path: The file.
            is_own: As for the attribute.

        Raises:
            OSError: There is no such file.
        """
        status = path.stat()
        return cls(path.absolute(), str(path), status.st_size, status.st_mtime_ns, is_own)

    def is_unchanged(self) -> bool:
        """Returns True if the path still leads to this version."""
        status = os.stat(self.path)
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified)

    def __call__(self) -> Any:
        """Opens the file.

        Returns:
            What pyarrow can read; the caller must close it.

        Raises:
            HistoryError: It is another version.
            OSError: It can't be opened.
        """
        import pyarrow

        changed = HistoryError("the file changed after it was opened: open it again", run=self.name)
        flags = os.O_RDONLY | os.O_CLOEXEC | (os.O_NOFOLLOW | os.O_NONBLOCK if self.is_own else 0)
        try:
            descriptor = os.open(self.path, flags)
        except OSError as error:
            # A link took the place of a file in the cache.
            if self.is_own and error.errno == errno.ELOOP:
                raise changed from None
            raise
        try:
            status = os.fstat(descriptor)
            is_same = (status.st_size, status.st_mtime_ns) == (self.size, self.modified)
            if not is_same or (self.is_own and not is_own_file(status)):
                raise changed
            # Never memory-mapped: a file that is truncated while it is read must raise an error, not a signal.
            return pyarrow.OSFile(f"/dev/fd/{descriptor}" if self.is_own else str(self.path))
        finally:
            os.close(descriptor)


def read_batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    """Reads a Parquet file that need not be a history.

    Args:
        path: The file.

    Yields:
        Its batches.

    Raises:
        HistoryDecodeError: It is not a Parquet file, or is corrupt.
        HistoryError: It changed while it was read.
        OSError: It can't be opened.
    """
    with OpenFile(str(path), LocalFile.at(path, is_own=False)()) as file:
        for index in range(file.metadata.num_row_groups):
            yield from file.read_row_group(index, None).to_batches()


class OpenFile:
    """A Parquet file while it is read. Errors of pyarrow become ours.

    Args:
        name: The file's name in errors.
        source: A path or a seekable object that pyarrow can read; an object is closed with this one.
        metadata: The footer, if it is known.
        sizes: What the footer claims, to be checked before columns are read; None for no checks.

    Raises:
        HistoryDecodeError: It is not a Parquet file, or is not complete.
    """

    def __init__(self, name: str, source: Any, metadata: Any = None, sizes: ClaimedSizes | None = None) -> None:
        self._name = name
        self._source = source
        self.sizes = sizes
        try:
            with _PyarrowErrors(name, "it is not a Parquet file, or is not complete"):
                # Pre-buffering would also read small columns that are not wanted.
                self._file = import_parquet().ParquetFile(source, metadata=metadata, pre_buffer=False)
        except BaseException:
            with suppress(Exception):
                self._close_source()
            raise

    @property
    def metadata(self) -> Any:
        """The ``pyarrow.parquet.FileMetaData``."""
        return self._file.metadata

    @property
    def schema_arrow(self) -> Any:
        """The ``pyarrow.Schema``.

        Raises:
            HistoryDecodeError: A name is not UTF-8, or pyarrow does not know a type.
        """
        with _PyarrowErrors(self._name, "its schema can't be read"):
            columns = self._file.metadata.schema
            for place in range(len(columns)):
                # Decodes the names of a column and of the structs around it, which pyarrow does when they are used.
                columns.column(place).path  # noqa: B018
            return self._file.schema_arrow

    def read_row_group(self, index: int, columns: Sequence[str] | None) -> Any:
        """Reads a row group.

        Args:
            index: Which one.
            columns: The paths of the columns to read; None for all.

        Returns:
            A ``pyarrow.Table``.

        Raises:
            HistoryDecodeError: It is corrupt.
            HistoryError: The columns are larger than the limit.
        """
        if self.sizes is not None:
            self.sizes.check(index, columns)
        with _PyarrowErrors(self._name, "it is corrupt", page=f"row group {index}"):
            return self._file.read_row_group(
                index,
                columns=None if columns is None else list(columns),
                use_threads=self._gains_from_threads(index),
            )

    def _gains_from_threads(self, index: int) -> bool:
        # With threads, pyarrow copies the list of all columns for each column that it reads.
        group = self.metadata.row_group(index)
        size, columns = group.total_byte_size, group.num_columns
        return bool(size >= max(_BYTES_FOR_THREADS, columns * columns))

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        # An error of the file is the one to report, not one of closing it.
        with suppress(Exception) if error is not None else nullcontext():
            self._file.close()
            self._close_source()

    def _close_source(self) -> None:
        # The source may be a path, which pyarrow opens and closes itself.
        if hasattr(self._source, "close"):
            self._source.close()


class _PyarrowErrors:
    """Converts pyarrow's exceptions to `HistoryDecodeError`."""

    def __init__(self, name: str, reason: str, page: str | None = None) -> None:
        self._name = name
        self._reason = reason
        self._page = page

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        import pyarrow

        if isinstance(error, UnicodeDecodeError):
            name = error.object[:100].decode("utf-8", "backslashreplace")
            raise HistoryDecodeError(
                f"{self._reason}: the column name {name!r} is not UTF-8, which Parquet requires: write the file again "
                "with another name",
                run=self._name,
                page=self._page,
            ) from None
        # pyarrow raises an OSError without an error number for bad contents, and with one if the file can't be read.
        if isinstance(error, pyarrow.ArrowException) or (isinstance(error, OSError) and error.errno is None):
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise HistoryDecodeError(f"{self._reason}: {text}", run=self._name, page=self._page) from error
