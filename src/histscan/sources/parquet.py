"""Parquet files of a run's history: reading of them what a scan needs, row group by row group."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.common.lazy import cached_property
from histscan.common.steps import STEP, step_after
from histscan.errors import HistoryDecodeError, HistoryError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["RUN_METADATA", "ParquetSource", "RowGroup", "import_parquet", "is_json"]

RUN_METADATA = b"histscan.run"
"""The name of the metadata in which our own exports describe their run."""


def import_parquet() -> Any:
    """Imports pyarrow's reader, or says what to install.

    Returns:
        The module ``pyarrow.parquet``.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'histscan[arrow]'") from error
    return parquet


@dataclass(frozen=True)
class RowGroup:
    """Part of a Parquet file.

    Attributes:
        index: Which one of the file's it is.
        rows: How many rows it has.
        first_step: Its lowest step.
        last_step: Its highest step.
    """

    index: int
    rows: int
    first_step: int
    last_step: int


@dataclass(frozen=True)
class _LocalFile:
    """Opens one version of a file.

    Attributes:
        path: The file, from the root on: the current folder may be another one when it is opened.
        name: What errors call it.
        size: Its size in bytes.
        modified: When it was modified, in nanoseconds.
    """

    path: Path
    name: str
    size: int
    modified: int

    @classmethod
    def at(cls, path: Path) -> _LocalFile:
        status = path.stat()
        return cls(path.absolute(), str(path), status.st_size, status.st_mtime_ns)

    def __call__(self) -> Any:
        import pyarrow

        status = self.path.stat()
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
            raise HistoryError("the file has changed since it was opened: open it again", run=self.name)
        # Never mapped: a file that is cut short while it is read gives an error, not a signal.
        return pyarrow.OSFile(str(self.path))


class ParquetSource:
    """One Parquet file of a history, of which only the footer has been read.

    Args:
        name: What errors call it.
        opener: Opens it, as a path or an object that pyarrow can read from at any place. It is called for each row
            group that is read.
        size: Its size in bytes, for progress.

    Raises:
        HistoryDecodeError: It is no Parquet file, or a damaged one.
        HistoryError: It has no steps.
        ImportError: pyarrow is not installed.
        OSError: It can't be opened.
    """

    def __init__(self, name: str, opener: Callable[[], Any], size: int = 0) -> None:
        self.name = name
        self.size = size
        self._opener = opener
        self._metadata: Any = None
        import_parquet()
        import pyarrow

        with self._open() as file:
            self._metadata = file.metadata
            self.schema = file.schema_arrow
        if STEP not in self.schema.names:
            raise HistoryError(f"no exported history: it has no column {STEP}", run=name)
        kind = self.schema.field(STEP).type
        if not (self.is_own_export or pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
            raise HistoryError(f"no exported history: its column {STEP} is of type {kind}", run=name)

    @classmethod
    def of_file(cls, path: Path) -> ParquetSource:
        """Makes the source that a file is.

        Args:
            path: The file.

        Returns:
            The source.
        """
        opener = _LocalFile.at(path)
        return cls(str(path), opener, opener.size)

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """The file's own pairs of metadata."""
        return self._metadata.metadata or {}

    @property
    def is_own_export(self) -> bool:
        """True for a file that histscan wrote of a run."""
        return RUN_METADATA in self.metadata

    @cached_property
    def row_steps(self) -> list[array[int]] | None:
        """The step of each row of each row group, where the column of steps is not enough to tell.

        A log may have rows whose ``_step`` is no whole number, and an export keeps all its rows: the step of such a
        row is the one after the row before. None where each row of the column has an integer, or the file was written
        by others, who leave the cell of a row empty to say that it has no step.
        """
        import pyarrow

        if not self.is_own_export:
            return None
        kind = self.schema.field(STEP).type
        if pyarrow.types.is_integer(kind) and not self._may_lack_steps():
            return None
        holds_json = is_json(self.schema.field(STEP))
        found = []
        previous = -1
        with self._open() as file:
            for index in range(self._metadata.num_row_groups):
                steps = array("q")
                for value in file.read_row_group(index, [STEP]).column(STEP).to_pylist():
                    previous = step_after(json.loads(value) if holds_json and value is not None else value, previous)
                    steps.append(previous)
                found.append(steps)
        return found

    def _may_lack_steps(self) -> bool:
        """Returns True unless the file's statistics say that every row has a step."""
        groups = map(self._metadata.row_group, range(self._metadata.num_row_groups))
        found = [group.column(self._step_leaf).statistics for group in groups]
        return any(statistics is None or statistics.null_count != 0 for statistics in found)

    @cached_property
    def _step_leaf(self) -> int:
        schema = self._metadata.schema
        return next(place for place in range(self._metadata.num_columns) if schema.column(place).path == STEP)

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return int(self._metadata.num_rows)

    def _open(self) -> _OpenFile:
        return _OpenFile(self.name, self._opener(), self._metadata)

    @cached_property
    def groups(self) -> list[RowGroup]:
        """The row groups that have steps."""
        groups = []
        metadata = self._metadata
        if self.row_steps is not None:
            return [
                RowGroup(index, len(steps), min(steps), max(steps))
                for index, steps in enumerate(self.row_steps)
                if steps
            ]
        for index in range(metadata.num_row_groups):
            group = metadata.row_group(index)
            statistics = group.column(self._step_leaf).statistics
            if statistics is not None and statistics.has_min_max and statistics.min <= statistics.max:
                bounds: tuple[Any, Any] | None = (statistics.min, statistics.max)
            else:
                bounds = self._bounds(index)
            if bounds is not None:
                # Floats may be infinite; what kind of steps these are is for the reader of the rows to say.
                first, last = (int(min(max(bound, -sys.maxsize), sys.maxsize)) for bound in bounds)
                groups.append(RowGroup(index, group.num_rows, first, last))
        return groups

    def _bounds(self, index: int) -> tuple[Any, Any] | None:
        """Looks at the steps themselves, where there are no statistics of them."""
        import pyarrow.compute as compute

        with self._open() as file:
            steps = file.read_row_group(index, [STEP]).column(STEP)
        if compute.any(compute.is_null(steps, nan_is_null=True)).as_py():
            steps = steps.filter(compute.invert(compute.is_null(steps, nan_is_null=True)))
        bounds = compute.min_max(steps).as_py()
        return None if bounds["min"] is None else (bounds["min"], bounds["max"])

    def column_of(self, key: str) -> str | None:
        """Finds the column that a key means, or the member of a struct.

        Args:
            key: The key, which may be dotted to reach into structs and JSON text.

        Returns:
            Its path in the file; None where the file has none.
        """
        found = _find_below(self.schema, key.split("."))
        return None if found is None else ".".join(found)

    def byte_ranges(self, columns: Container[str]) -> list[list[tuple[int, int]]]:
        """Tells where in the file columns lie.

        Args:
            columns: Their paths, as `column_of` finds them.

        Returns:
            For each row group, first byte and end of each of these columns and of what is in them. These are the
            footer's claims: they may lie anywhere.
        """
        found = []
        for index in range(self._metadata.num_row_groups):
            group = self._metadata.row_group(index)
            places = []
            for leaf in map(group.column, range(group.num_columns)):
                names = leaf.path_in_schema.split(".")
                if any(".".join(names[:length]) in columns for length in range(1, len(names) + 1)):
                    begin = leaf.data_page_offset
                    if leaf.has_dictionary_page and 0 < leaf.dictionary_page_offset < begin:
                        begin = leaf.dictionary_page_offset
                    places.append((begin, begin + leaf.total_compressed_size))
            found.append(places)
        return found

    def read(self, group: RowGroup, columns: Sequence[str] | None) -> list[pyarrow.RecordBatch]:
        """Reads a row group.

        Args:
            group: The row group.
            columns: The paths of the columns to read; None for all.

        Returns:
            Its batches.

        Raises:
            HistoryDecodeError: It is damaged.
        """
        with self._open() as file:
            batches: list[pyarrow.RecordBatch] = file.read_row_group(group.index, columns).to_batches()
        return batches


class _OpenFile:
    """A Parquet file while it is read; what pyarrow has to complain of becomes an error of ours."""

    def __init__(self, name: str, source: Any, metadata: Any) -> None:
        self._name = name
        self._source = source
        try:
            with _Complaints(name, "it is no Parquet file, or not all of one"):
                # Buffering ahead would read small columns that nobody asked for, too.
                self._file = import_parquet().ParquetFile(source, metadata=metadata, pre_buffer=False)
        except BaseException:
            self._close_source()
            raise

    @property
    def metadata(self) -> Any:
        return self._file.metadata

    @property
    def schema_arrow(self) -> Any:
        with _Complaints(self._name, "its schema can't be read"):
            return self._file.schema_arrow

    def read_row_group(self, index: int, columns: Sequence[str] | None) -> Any:
        with _Complaints(self._name, "it is damaged", page=f"row group {index}"):
            return self._file.read_row_group(index, columns=None if columns is None else list(columns))

    def __enter__(self) -> _OpenFile:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()
        self._close_source()

    def _close_source(self) -> None:
        # A path, which pyarrow opens and closes itself, is a source, too.
        if hasattr(self._source, "close"):
            self._source.close()


class _Complaints:
    """Makes errors of ours of pyarrow's."""

    def __init__(self, name: str, reason: str, page: str | None = None) -> None:
        self._name = name
        self._reason = reason
        self._page = page

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        import pyarrow

        # A file that can't be read says so by an error number; pyarrow raises an OSError without for bad contents.
        if isinstance(error, pyarrow.ArrowException) or (isinstance(error, OSError) and error.errno is None):
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise HistoryDecodeError(f"{self._reason}: {text}", run=self._name, page=self._page) from error


def _find_below(fields: Any, names: list[str]) -> list[str] | None:
    """Finds what dotted names mean, the longest first, as the rows' decoder does."""
    import pyarrow

    for length in range(len(names), 0, -1):
        name = ".".join(names[:length])
        places = [place for place, field in enumerate(fields) if field.name == name]
        if not places:
            continue
        rest = names[length:]
        field = fields[places[-1]] if isinstance(fields, list) else fields.field(places[-1])
        if not rest or is_json(field):
            return [name]
        if pyarrow.types.is_struct(field.type):
            below = _find_below([field.type.field(place) for place in range(field.type.num_fields)], rest)
            if below is not None:
                return [name, *below]
    return None


def is_json(field: Any) -> bool:
    """Tells whether a field of a schema is JSON text.

    Args:
        field: The ``pyarrow.Field``.

    Returns:
        Whether it is of Arrow's extension type ``arrow.json``, whether or not this pyarrow knows it.
    """
    return (
        getattr(field.type, "extension_name", None) == "arrow.json"
        or (field.metadata or {}).get(b"ARROW:extension:name") == b"arrow.json"
    )
