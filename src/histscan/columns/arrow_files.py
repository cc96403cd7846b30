"""Writes histories to Parquet and Arrow files in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from histscan.columns.options import ColumnOptions
from histscan.columns.scan import Scan, Watcher
from histscan.columns.timestamps import check_timestamps, convert_schema, convert_timestamps
from histscan.common.install_hint import install_hint
from histscan.common.steps import STEP

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "ARROW_COMPRESSIONS",
    "PARQUET_COMPRESSIONS",
    "ROW_GROUP_ROWS",
    "WrittenTable",
    "open_parquet",
    "row_groups",
    "write_arrow",
    "write_batches",
    "write_parquet",
]

PARQUET_COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "none")
ARROW_COMPRESSIONS = ("zstd", "lz4", "none")

ROW_GROUP_ROWS = 65_536
# A row group is in memory while it is written, so it has fewer rows if they are large.
_ROW_GROUP_BYTES = 64 << 20


@dataclass(frozen=True)
class WrittenTable:
    """Describes what was written to a file.

    Attributes:
        columns: The names of the columns.
        rows: The number of rows.
        first_step: The step of the first row; None without rows, or if it is not a number.
        last_step: The step of the last row; None as for `first_step`.
    """

    columns: list[str]
    rows: int
    first_step: float | None
    last_step: float | None


def write_parquet(
    scan: Scan,
    output: BinaryIO,
    *,
    nested: str = "json",
    compression: str = "zstd",
    metadata: Mapping[str, str] | None = None,
    watch: Watcher | None = None,
    options: ColumnOptions | None = None,
    timestamps: str = "seconds",
) -> WrittenTable:
    """Writes the rows of a scan to a Parquet file: row groups of 65,536 rows, fewer if rows are large.

    Columns have statistics. If the steps are ascending, the file is marked as sorted by them. Numbers are encoded as
    BYTE_STREAM_SPLIT and DELTA_BINARY_PACKED, which compress better than plain values. Nested values have
    Parquet's type JSON.

    Args:
        scan: The scan; its keys, if any, are the columns.
        output: The file to write to; it need not be seekable.
        nested: ``"json"`` converts nested values to JSON text, ``"flatten"`` to columns with dotted names.
        compression: One of `PARQUET_COMPRESSIONS`.
        metadata: Entries of the file's metadata, such as those of `runs.run_metadata`.
        watch: Called with the progress.
        options: The columns, instead of `nested`.
        timestamps: ``"seconds"`` or ``"datetime"``, as for `Frames.to_arrow`.

    Returns:
        A description of what was written.

    Raises:
        HistoryError: A page or a row can't be read.
        ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
        OSError: The log can't be read, or the file can't be written.
        ValueError: `nested` or `compression` is unknown.
    """
    _check("compression", compression, PARQUET_COMPRESSIONS)
    options = options or ColumnOptions.of(nested=nested)
    return _write(scan, options, timestamps, metadata, watch, partial(_open_parquet, output, compression))


def open_parquet(
    output: BinaryIO, schema: pyarrow.Schema, *, compression: str = "zstd", is_sorted: bool = False
) -> Any:
    """Opens a writer of a Parquet file, with the encodings that suit histories.

    Args:
        output: The file to write to; it need not be seekable.
        schema: The schema, with the metadata of the file.
        compression: One of `PARQUET_COMPRESSIONS`.
        is_sorted: True to mark the file as sorted by its steps.

    Returns:
        A ``pyarrow.parquet.ParquetWriter``, which the caller must close.
    """
    import pyarrow.parquet
    import pyarrow.types as types

    encodings = {
        field.name: "BYTE_STREAM_SPLIT" if types.is_floating(field.type) else "DELTA_BINARY_PACKED"
        for field in schema
        if types.is_floating(field.type) or types.is_integer(field.type)
    }
    texts = [field.name for field in schema if types.is_string(field.type) or types.is_dictionary(field.type)]
    sorting = [(STEP, "ascending")] if is_sorted and STEP in schema.names else None
    return pyarrow.parquet.ParquetWriter(
        output,
        schema,
        compression=compression,
        use_dictionary=texts,
        column_encoding=encodings,
        sorting_columns=sorting and pyarrow.parquet.SortingColumn.from_ordering(schema, sorting),
    )


def write_arrow(
    scan: Scan,
    output: BinaryIO,
    *,
    nested: str = "json",
    compression: str = "zstd",
    metadata: Mapping[str, str] | None = None,
    watch: Watcher | None = None,
    options: ColumnOptions | None = None,
    timestamps: str = "seconds",
) -> WrittenTable:
    """Writes the rows of a scan to an Arrow IPC file, which is also Feather version 2.

    Args:
        scan: As for `write_parquet`.
        output: As for `write_parquet`.
        nested: As for `write_parquet`.
        compression: One of `ARROW_COMPRESSIONS`; uncompressed files can be memory-mapped.
        metadata: As for `write_parquet`.
        watch: As for `write_parquet`.
        options: As for `write_parquet`.
        timestamps: As for `write_parquet`.

    Returns:
        A description of what was written.

    Raises:
        HistoryError: A page or a row can't be read.
        ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
        OSError: The log can't be read, or the file can't be written.
        ValueError: `nested` or `compression` is unknown.
    """
    _check("compression", compression, ARROW_COMPRESSIONS)
    options = options or ColumnOptions.of(nested=nested)
    return _write(scan, options, timestamps, metadata, watch, partial(_open_arrow, output, compression))


def write_batches(
    batches: Iterable[pyarrow.RecordBatch],
    output: BinaryIO,
    *,
    file_format: Literal["parquet", "arrow"],
    compression: str = "zstd",
    metadata: Mapping[str, str] | None = None,
) -> WrittenTable:
    """Writes record batches of one schema to a Parquet or Arrow file.

    Args:
        batches: The batches; at least one, which may have no rows.
        output: The file to write to; it need not be seekable.
        file_format: The format.
        compression: One of `PARQUET_COMPRESSIONS` or `ARROW_COMPRESSIONS`.
        metadata: Entries of the file's metadata.

    Returns:
        A description of what was written.

    Raises:
        HistoryError: What `batches` raises.
        OSError: The file can't be written.
        ValueError: `compression` is unknown.
    """
    is_parquet = file_format == "parquet"
    _check("compression", compression, PARQUET_COMPRESSIONS if is_parquet else ARROW_COMPRESSIONS)
    unread = iter(batches)
    first = next(unread)
    schema = first.schema.with_metadata(dict(metadata or {}) or None)
    open_writer = _open_parquet if is_parquet else _open_arrow
    return _write_groups(chain([first], unread), schema, partial(open_writer, output, compression), is_sorted=False)


def _open_parquet(output: BinaryIO, compression: str, schema: pyarrow.Schema, is_sorted: bool) -> _TableWriter:
    writer: _TableWriter = open_parquet(output, schema, compression=compression, is_sorted=is_sorted)
    return writer


def _open_arrow(output: BinaryIO, compression: str, schema: pyarrow.Schema, _is_sorted: bool) -> _TableWriter:
    import pyarrow

    options = pyarrow.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
    writer: _TableWriter = pyarrow.ipc.new_file(output, schema, options=options)
    return writer


class _TableWriter(Protocol):
    """The common methods of pyarrow's writers."""

    def write_table(self, table: Any, /, *_arguments: Any) -> None: ...

    def close(self) -> None: ...


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def _write(
    scan: Scan,
    options: ColumnOptions,
    timestamps: str,
    metadata: Mapping[str, str] | None,
    watch: Watcher | None,
    open_writer: Callable[[pyarrow.Schema, bool], _TableWriter],
) -> WrittenTable:
    """Writes the rows of a scan with the writer that `open_writer` returns."""
    wants_times = check_timestamps(timestamps)
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(f"Parquet and Arrow files need pyarrow: {install_hint('arrow')}") from error

    schema, is_sorted, batches = scan.read_columns(options, watch)
    schema = (convert_schema(schema) if wants_times else schema).with_metadata(dict(metadata or {}) or None)
    with closing(batches):
        rows = map(convert_timestamps, batches) if wants_times else batches
        return _write_groups(rows, schema, open_writer, is_sorted=is_sorted)


def _write_groups(
    batches: Iterable[pyarrow.RecordBatch],
    schema: pyarrow.Schema,
    open_writer: Callable[[pyarrow.Schema, bool], _TableWriter],
    *,
    is_sorted: bool,
) -> WrittenTable:
    """Writes batches in groups of rows."""
    steps = _StepRange()
    writer = open_writer(schema, is_sorted)
    try:
        for table in row_groups(batches, schema):
            # The argument limits row groups in one writer, and record batches in the other.
            writer.write_table(table, ROW_GROUP_ROWS)
            steps.add(table)
    except BaseException:
        # A writer that is freed while open writes the end of its file then, at an unknown time.
        with suppress(Exception):
            writer.close()
        raise
    writer.close()
    return WrittenTable(schema.names, steps.rows, steps.first, steps.last)


class _StepRange:
    """Notes the steps of the first and the last row."""

    def __init__(self) -> None:
        self.rows = 0
        self.first: float | None = None
        self.last: float | None = None

    def add(self, table: pyarrow.Table) -> None:
        """Adds rows; there must be at least one."""
        if STEP in table.schema.names:
            steps = table.column(table.schema.names.index(STEP))
            first, last = steps[0].as_py(), steps[-1].as_py()
            if self.rows == 0:
                self.first = first if isinstance(first, int | float) else None
            self.last = last if isinstance(last, int | float) else None
        self.rows += table.num_rows


def row_groups(batches: Iterable[pyarrow.RecordBatch], schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    """Joins batches until there are enough rows or bytes for a row group.

    Args:
        batches: The batches.
        schema: Their schema.

    Yields:
        A table for each row group.
    """
    import pyarrow

    group: list[pyarrow.RecordBatch] = []
    rows = size = 0

    def take() -> pyarrow.Table:
        nonlocal rows, size
        # Each column in one piece, because readers make a batch of every piece of an Arrow file.
        table = pyarrow.Table.from_batches(group, schema).combine_chunks()
        group.clear()
        rows = size = 0
        return table

    for batch in batches:
        while rows + batch.num_rows >= ROW_GROUP_ROWS:
            left = ROW_GROUP_ROWS - rows
            group.append(batch.slice(0, left))
            batch = batch.slice(left)
            yield take()
        if batch.num_rows:
            group.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if size >= _ROW_GROUP_BYTES:
                yield take()
    if group:
        yield take()
