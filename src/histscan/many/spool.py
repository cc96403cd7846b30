"""Rows of one run on disk, for columns whose types are only known after the last row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_rows import ArrowPage
from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import merge_columns
from histscan._core.pages.page import Page
from histscan.columns.chunks import build_chunks

if TYPE_CHECKING:
    import pyarrow

__all__ = ["RowSpool", "page_of"]


class RowSpool:
    """The rows of one run: chunks of columns, which go to a file once there are many.

    Use it as a context manager, so that the file is closed.

    Args:
        path: The file, which is created when it is needed.
        cells_in_memory: How many cells may be in memory.

    Attributes:
        type_flags: The type flags of the values of each column, in the order in which the columns first appeared.
        rows: The number of rows.
    """

    def __init__(self, path: Path, cells_in_memory: int = 0) -> None:
        self.path = path
        self.type_flags: dict[str, int] = {}
        self.rows = 0
        self._cells_in_memory = cells_in_memory
        self._cells = 0
        self._chunks: list[ColumnChunk] = []
        self._file: Any = None

    def fill(self, pages: Iterable[Page | list[Any]], keys: list[str] | None, flatten: bool = False) -> None:
        """Adds the rows of pages.

        Args:
            pages: The pages.
            keys: The keys to make columns of; None for all.
            flatten: Nested values become columns with dotted names.

        Raises:
            HistoryError: A page can't be read.
            OSError: The file can't be written.
        """
        for chunk in build_chunks(pages, keys=keys, flatten=flatten):
            self.add(chunk)

    def add(self, chunk: ColumnChunk) -> None:
        """Adds rows.

        Args:
            chunk: The rows.

        Raises:
            OSError: The file can't be written.
        """
        for name, flags in zip(chunk.names, chunk.type_flags(), strict=True):
            self.type_flags[name] = self.type_flags.get(name, 0) | flags
        self.rows += len(chunk)
        self._cells += len(chunk) * len(chunk.names)
        self._chunks.append(chunk)
        if self._cells > self._cells_in_memory:
            self._write()

    def _write(self) -> None:
        import pyarrow

        if self._file is None:
            self._file = self.path.open("wb")
        for chunk in self._chunks:
            # Each chunk is a stream of its own, with the types of its own values.
            reader = pyarrow.RecordBatchReader.from_stream(ArrowStream(merge_columns([chunk]), [chunk]))
            with pyarrow.ipc.new_stream(pyarrow.PythonFile(self._file, "w"), reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
        self._chunks.clear()
        self._cells = 0

    def flush(self) -> None:
        """Writes everything to the file and closes it.

        Raises:
            OSError: The file can't be written.
        """
        self._write()
        self.close()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def __enter__(self) -> RowSpool:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def take_chunks(self, keys: list[str] | None = None) -> Iterator[ColumnChunk]:
        """Takes all rows; they can be taken once.

        Args:
            keys: The columns to take; None for all.

        Yields:
            Chunks of columns.
        """
        if self._file is None and not self.path.exists():
            while self._chunks:
                yield self._chunks.pop(0)
            return
        self.flush()
        yield from build_chunks(self.pages(), keys=keys, flatten=False)

    def pages(self) -> Iterator[ArrowPage | list[Any]]:
        """Reads the rows from the file, as often as needed. Call `flush` before.

        Yields:
            Pages.
        """
        import pyarrow

        with pyarrow.OSFile(str(self.path)) as file:
            while file.tell() < file.size():
                for batch in pyarrow.ipc.open_stream(file):
                    yield page_of(batch)


def page_of(batch: pyarrow.RecordBatch) -> ArrowPage | list[Any]:
    """Makes a page of a record batch.

    Args:
        batch: The batch; it has the rows in order, and only the columns of keys.

    Returns:
        The page.
    """
    if not batch.num_columns:
        return [{} for _ in range(batch.num_rows)]
    return ArrowPage([ArrowBatch(batch, plain_steps=True)])
