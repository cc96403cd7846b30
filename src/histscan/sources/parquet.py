"""Parquet files of a run's history: reads the columns that a scan needs, row group by row group."""

from __future__ import annotations

import json
import sys
import weakref
from array import array
from collections.abc import Callable, Container, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.common.json_fields import is_json
from histscan.common.lazy import cached_property
from histscan.common.steps import STEP, step_after
from histscan.errors import HistoryError
from histscan.sources.parquet_names import ColumnNames
from histscan.sources.parquet_reader import LocalFile, OpenFile, import_parquet
from histscan.sources.parquet_sizes import ClaimedSizes

if TYPE_CHECKING:
    import pyarrow

__all__ = ["MIRROR_METADATA", "RUN_METADATA", "ParquetSource", "RowGroup"]

RUN_METADATA = b"histscan.run"
"""The key of the file metadata in which our own exports describe their run."""

MIRROR_METADATA = b"histscan.mirror"
"""The key of the file metadata for files of a mirror: a JSON object whose ``columns`` has the column of each key that
the run logged, and whose ``formats`` has Arrow's format of the run's own values if the column has a wider type because
of other runs. Other columns name the run, or are there because other runs of the mirror logged their keys."""


@dataclass(frozen=True)
class RowGroup:
    """A row group of a Parquet file.

    Attributes:
        index: Its index in the file.
        rows: Its number of rows.
        first_step: Its lowest step.
        last_step: Its highest step.
    """

    index: int
    rows: int
    first_step: int
    last_step: int


# The source whose file may be open; see `ParquetSource._keep`.
_latest_source: weakref.ref[ParquetSource] | None = None


class ParquetSource:
    """One Parquet file of a history. Creating it reads only the footer.

    Attributes:
        json_of_plain: Keys whose values are JSON text only because those of other runs in a mirror need it.

    Args:
        name: The file's name in error messages.
        opener: Opens the file, as a path or a seekable object that pyarrow can read. It is called for each row group
            that is read.
        size: The file's size in bytes, for progress.

    Raises:
        HistoryDecodeError: It is not a Parquet file, or is corrupt.
        HistoryError: It has no column of steps.
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

        with ExitStack() as until_known:
            file = until_known.enter_context(OpenFile(name, opener()))
            self._metadata = file.metadata
            self.schema = file.schema_arrow
            self._sizes = file.sizes = ClaimedSizes(name, self._metadata)
            if isinstance(opener, LocalFile) and not opener.is_own:
                until_known.pop_all()
                self._keep(file)
        # The stored name of each column that belongs to the history; None if all do.
        self._stored: dict[str, str] | None = None
        self._own_types: dict[str, Any] = {}
        self.json_of_plain: frozenset[str] = frozenset()
        if MIRROR_METADATA in self.metadata:
            self._read_layout(json.loads(self.metadata[MIRROR_METADATA]))
        if STEP not in self.schema.names:
            raise HistoryError(f"not an exported history: the file has no column {STEP}", run=name)
        kind = self.schema.field(STEP).type
        if not (self.is_own_export or pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
            raise HistoryError(f"not an exported history: the column {STEP} is of type {kind}, not numbers", run=name)

    def _read_layout(self, layout: dict[str, Any]) -> None:
        """Finds out which columns the run logged, and their types."""
        import pyarrow

        casts = {"l": pyarrow.int64(), "+ll": pyarrow.list_(pyarrow.int64()), "n": pyarrow.null()}
        self._stored = layout["columns"]
        formats = layout["formats"]
        self._own_types = {key: casts[kind] for key, kind in formats.items() if kind in casts}
        fields = []
        for key, column in layout["columns"].items():
            field = self.schema.field(column).with_name(key)
            if is_json(field) and formats.get(key) != "n":
                self._own_types.pop(key, None)
            own_type = self._own_types.get(key)
            fields.append(field if own_type is None else pyarrow.field(key, own_type))
        self.json_of_plain = frozenset(formats) - frozenset(self._own_types)
        self.schema = pyarrow.schema(fields)

    @classmethod
    def of_file(cls, path: Path, *, is_own: bool = False) -> ParquetSource:
        """Opens a local file.

        Args:
            path: The file.
            is_own: True to refuse a file that others may have written, and a link: for files of the cache.

        Returns:
            The source, which raises a `HistoryError` if the file changes later.
        """
        opener = LocalFile.at(path, is_own=is_own)
        return cls(str(path), opener, opener.size)

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """The key-value metadata of the file."""
        return self._metadata.metadata or {}

    @property
    def is_own_export(self) -> bool:
        """True if histscan wrote the file."""
        return RUN_METADATA in self.metadata

    @cached_property
    def row_steps(self) -> list[array[int]] | None:
        """The step of each row of each row group, if the column of steps does not give them.

        A log may have rows whose ``_step`` is not a whole number, and an export keeps all rows: the step of such a
        row is that of the row before, plus one. None if each row of the column has an integer, or if others wrote the
        file: they use a null for a row without a step.
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
        """The number of rows in the file."""
        return int(self._metadata.num_rows)

    def _keep(self, file: OpenFile) -> None:
        """Leaves a file open until it is read or another source is created: most files are read at once."""
        global _latest_source
        previous = None if _latest_source is None else _latest_source()
        if previous is not None:
            previous.__dict__.pop("_kept", None)
        self._kept = file
        _latest_source = weakref.ref(self)

    def _open(self) -> OpenFile:
        # Of several threads, one gets the file.
        kept: OpenFile | None = self.__dict__.pop("_kept", None)
        if kept is not None and self._opener.is_unchanged():  # type: ignore[attr-defined]
            return kept
        return OpenFile(self.name, self._opener(), self._metadata, self._sizes)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}

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
                # Floats may be infinite. The reader of the rows rejects steps of the wrong kind.
                first, last = (int(min(max(bound, -sys.maxsize), sys.maxsize)) for bound in bounds)
                groups.append(RowGroup(index, group.num_rows, first, last))
        return groups

    def all_groups(self) -> list[RowGroup]:
        """Returns all row groups, for reading all rows; their steps are not looked at."""
        groups = map(self._metadata.row_group, range(self._metadata.num_row_groups))
        return [RowGroup(index, group.num_rows, 0, 0) for index, group in enumerate(groups)]

    def _bounds(self, index: int) -> tuple[Any, Any] | None:
        """Computes the lowest and the highest step of a row group from its rows, for files without statistics."""
        import pyarrow.compute as compute

        with self._open() as file:
            steps = file.read_row_group(index, [STEP]).column(STEP)
        if compute.any(compute.is_null(steps, nan_is_null=True)).as_py():
            steps = steps.filter(compute.invert(compute.is_null(steps, nan_is_null=True)))
        bounds = compute.min_max(steps).as_py()
        return None if bounds["min"] is None else (bounds["min"], bounds["max"])

    @cached_property
    def names(self) -> ColumnNames:
        """The columns by name."""
        return ColumnNames(self.schema)

    def column_of(self, key: str) -> str | None:
        """Finds the column, or the member of a struct, for a key.

        Args:
            key: The key. A dotted key reaches into structs and JSON text.

        Returns:
            The column's path in the file; None if there is none.
        """
        return self.names.find(key)

    def value_counts(self) -> dict[str, int | None]:
        """Counts the values of columns without reading them.

        Returns:
            The number of values of each column, or member of a struct, by its dotted name; None if the file has no
            statistics for it. Lists and other columns of several values in a row have none.
        """
        names = {column: key for key, column in (self._stored or {}).items()}
        counts: dict[str, int | None] = {}
        for index in range(self._metadata.num_row_groups):
            group = self._metadata.row_group(index)
            for leaf in map(group.column, range(group.num_columns)):
                path = leaf.path_in_schema
                name = path if self._stored is None else names.get(path, "")
                found = leaf.statistics
                count = None if found is None or not found.has_null_count else leaf.num_values - found.null_count
                before = counts.get(name, 0)
                counts[name] = None if count is None or before is None else before + count
        return counts

    def byte_ranges(self, columns: Container[str]) -> list[list[tuple[int, int]]]:
        """Returns the positions of columns in the file.

        Args:
            columns: Their paths, from `column_of`.

        Returns:
            For each row group, first byte and end of each leaf column within these columns. The numbers come from the
            footer, unchecked: they may be outside the file.
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
            HistoryDecodeError: It is corrupt.
        """
        if self._stored is None:
            with self._open() as file:
                table = file.read_row_group(group.index, columns)
        else:
            # Columns of a mirror have no members: a path is the name of a column.
            wanted = {self._stored[key]: key for key in (self._stored if columns is None else columns)}
            with self._open() as file:
                # pyarrow also reads `loss.train` when it is asked for `loss`.
                table = file.read_row_group(group.index, list(wanted)).select(list(wanted))
            table = self._with_own_types(table.rename_columns(list(wanted.values())))
        batches: list[pyarrow.RecordBatch] = table.to_batches()
        return batches

    def _with_own_types(self, table: Any) -> Any:
        """Changes the types of columns back to those of the run's own values, which fit them."""
        import pyarrow

        if not self._own_types:
            return table
        columns, fields = [], []
        for column, field in zip(table.columns, table.schema, strict=True):
            own_type = self._own_types.get(field.name)
            if own_type is None:
                columns.append(column)
                fields.append(field)
            else:
                is_null = pyarrow.types.is_null(own_type)
                columns.append(pyarrow.nulls(len(table)) if is_null else column.cast(own_type))
                fields.append(pyarrow.field(field.name, own_type))
        return pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields))
