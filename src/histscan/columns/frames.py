"""Histories as columns: for Arrow, pandas, polars, and other consumers of Arrow's PyCapsules."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from histscan.columns.options import DEFAULT_BATCH_ROWS, ColumnOptions, Keys, Nested
from histscan.columns.pandas_frames import DtypeBackend, make_pandas
from histscan.columns.reductions import Reduction
from histscan.columns.timestamps import Timestamps, check_timestamps, convert_timestamps
from histscan.common.atomic import atomic_output
from histscan.common.install_hint import install_hint

if TYPE_CHECKING:
    import pandas
    import polars as polars_module
    import pyarrow
    from typing_extensions import Unpack

    from histscan.columns.reductions import ReduceArguments
    from histscan.columns.scan import Scan

__all__ = ["OLDEST_POLARS", "Compression", "FileSource", "Frames", "import_polars", "stream_batches"]

Compression = Literal["zstd", "snappy", "gzip", "lz4", "none"]
"""The compressions of Parquet files."""

OLDEST_POLARS = (1, 25)
"""The oldest release of polars that reads all rows of a stream, and a scan in one go."""


class Frames:
    """The frame methods of scans and runs. Every call scans from the first row.

    Subclasses define `column_stream` and `batch_stream`.
    """

    @abstractmethod
    def column_stream(self, options: ColumnOptions) -> Any:
        """Reads everything into columns.

        Args:
            options: The columns.

        Returns:
            An object with ``__arrow_c_stream__``. The types of the columns are valid for all rows.

        Raises:
            HistoryError: A page or a row can't be read.
        """

    @abstractmethod
    def batch_stream(self, options: ColumnOptions) -> Any:
        """Streams batches of `options.rows` rows of one schema.

        Args:
            options: The columns.

        Returns:
            An object with ``__arrow_c_stream__``, and the attribute ``error``: what ended the stream early, or None.
        """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the scan as a stream of record batches, for consumers of Arrow's PyCapsules.

        Args:
            requested_schema: The schema that the consumer prefers; the stream may have another one.

        Returns:
            A capsule of an ``ArrowArrayStream``.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        return self.column_stream(ColumnOptions()).__arrow_c_stream__(requested_schema)

    def to_arrow(
        self,
        keys: Keys | None = None,
        *,
        nested: Nested = "json",
        threads: int | None = None,
        with_step: bool = True,
        timestamps: Timestamps = "seconds",
        **reduction: Unpack[ReduceArguments],
    ) -> pyarrow.Table:
        """Scans everything into an Arrow table.

        Args:
            keys: The keys to make columns of, in this order; the others' values are not even read, so nothing
                malformed is noticed there. All rows are there: where one lacks a key, its value is null. Nested keys
                may be dotted. Globs (``"val/*"``) and compiled regular expressions choose several keys, in the order
                of `histscan.runs.contracts.Run.keys`. None for all keys: the step, ``_runtime`` and ``_timestamp``,
                then the others in the order of the rows in which they first appear; within such a row as they were
                logged, or by name if the writer did not keep that order (as wandb 0.18 and later).
            nested: ``"json"`` makes one column of JSON text of nested values;
                ``"flatten"`` makes columns with dotted names, in the order in which they first appear. (A key that
                has a dot of its own and a nested one of the same dotted name share a column; where a row has both,
                the later one counts.)
            threads: The number of threads that build columns; None for one per core, at most four.
            with_step: The step is the first column, also if `keys` do not have it. If they do, it is in its place
                there. A scan that was made with keys of its own adds none.
            timestamps: ``"seconds"`` leaves ``_timestamp`` as it was logged, in seconds since 1970; ``"datetime"``
                makes dates and times in UTC of it.
            **reduction: Fewer rows than were logged: the last ones, samples, or rows on a common axis; see
                `histscan.columns.reductions.ReduceArguments`.

        Returns:
            A ``pyarrow.Table``. Types are valid for all rows; ``histscan._core.columns.column_types`` has the rules.
            JSON text is marked by the metadata ``histscan.type: json`` of its field.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
            UnknownKeyError: No row has one of the keys. The message names similar keys.
            ValueError: An argument is out of its range.
        """
        pyarrow = _import_pyarrow()
        wants_times = check_timestamps(timestamps)
        reduced = Reduction.of(reduction)
        keys = keys if keys is None or isinstance(keys, str | re.Pattern) else list(keys)
        if isinstance(keys, list) and reduced.needs_axis and reduced.x not in keys:
            keys = [reduced.x, *keys]
        stream = self.column_stream(ColumnOptions.of(keys, nested, threads=threads, with_step=with_step))
        is_table = isinstance(stream, pyarrow.Table)
        table = stream if is_table else pyarrow.RecordBatchReader.from_stream(stream).read_all()
        if reduced.reduces:
            table = reduced.apply(table, [0, len(table)])[0]
        return convert_timestamps(table) if wants_times else table

    def to_pandas(
        self,
        keys: Keys | None = None,
        *,
        nested: Nested = "json",
        threads: int | None = None,
        with_step: bool = True,
        timestamps: Timestamps = "seconds",
        dtype_backend: DtypeBackend | None = None,
        **reduction: Unpack[ReduceArguments],
    ) -> pandas.DataFrame:
        """Scans everything into a pandas frame. Needs pandas and pyarrow.

        Args:
            keys: As for `to_arrow`.
            nested: As for `to_arrow`.
            threads: As for `to_arrow`.
            with_step: As for `to_arrow`.
            timestamps: As for `to_arrow`.
            dtype_backend: The types of columns, as pandas names them. None for those of numpy, except that integers
                and bools with gaps have pandas' nullable types (``Int64``, ``UInt64``, ``boolean``), so that no value
                changes; ``"numpy_nullable"`` or ``"pyarrow"``.
            **reduction: As for `to_arrow`.

        Returns:
            A ``pandas.DataFrame``.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pandas or pyarrow is not installed.
        """
        table = self.to_arrow(
            keys, nested=nested, threads=threads, with_step=with_step, timestamps=timestamps, **reduction
        )
        return make_pandas(table, dtype_backend)

    def to_polars(
        self,
        keys: Keys | None = None,
        *,
        nested: Nested = "json",
        threads: int | None = None,
        with_step: bool = True,
        timestamps: Timestamps = "seconds",
        **reduction: Unpack[ReduceArguments],
    ) -> polars_module.DataFrame:
        """Scans everything into a polars frame; needs polars, and pyarrow only for fewer rows than were logged.

        Args:
            keys: As for `to_arrow`.
            nested: As for `to_arrow`.
            threads: As for `to_arrow`.
            with_step: As for `to_arrow`.
            timestamps: As for `to_arrow`; pyarrow is needed for dates and times.
            **reduction: As for `to_arrow`.

        Returns:
            A ``polars.DataFrame``.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: polars is not installed, or older than 1.25, which loses rows.
        """
        polars = import_polars()
        if Reduction.of(reduction).reduces or check_timestamps(timestamps):
            table = self.to_arrow(
                keys, nested=nested, threads=threads, with_step=with_step, timestamps=timestamps, **reduction
            )
            frame: polars_module.DataFrame = polars.DataFrame(table)
        else:
            options = ColumnOptions.of(keys, nested, threads=threads, with_step=with_step)
            frame = polars.DataFrame(self.column_stream(options))
        return frame

    def batches(
        self,
        keys: Keys | None = None,
        *,
        rows: int = DEFAULT_BATCH_ROWS,
        nested: Nested = "json",
        with_step: bool = True,
        timestamps: Timestamps = "seconds",
    ) -> Iterator[pyarrow.RecordBatch]:
        """Scans into record batches of one schema.

        Args:
            keys: As for `to_arrow`.
            rows: Rows in a batch; the last one may have fewer.
            nested: As for `to_arrow`.
            with_step: As for `to_arrow`.
            timestamps: As for `to_arrow`.

        Yields:
            ``pyarrow.RecordBatch`` objects.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pyarrow is not installed.
        """
        wants_times = check_timestamps(timestamps)
        batches = stream_batches(self.batch_stream(ColumnOptions.of(keys, nested, rows=rows, with_step=with_step)))
        yield from map(convert_timestamps, batches) if wants_times else batches

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        keys: Keys | None = None,
        *,
        nested: Nested = "json",
        compression: Compression = "zstd",
        with_step: bool = True,
        timestamps: Timestamps = "seconds",
    ) -> None:
        """Scans everything into a Parquet file, in memory that does not grow with the rows of files.

        The file is renamed to its name once it is complete: an interrupted call leaves no file, and an existing one as
        it was.

        Args:
            path: The file; an existing one is replaced.
            keys: As for `to_arrow`.
            nested: As for `to_arrow`.
            compression: ``"zstd"``, ``"snappy"``, ``"gzip"``, ``"lz4"`` or ``"none"``.
            with_step: As for `to_arrow`.
            timestamps: As for `to_arrow`.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
            OSError: The file can't be written.
            ValueError: An argument is out of its range.
        """
        from histscan.columns.arrow_files import write_parquet

        source = self.file_source(ColumnOptions.of(keys, nested, with_step=with_step))
        with atomic_output(Path(path)) as output:
            write_parquet(
                source.scan,
                output,
                options=source.options,
                compression=compression,
                metadata=source.metadata,
                timestamps=timestamps,
            )

    @abstractmethod
    def file_source(self, options: ColumnOptions) -> FileSource:
        """Returns what `to_parquet` writes.

        Args:
            options: The columns.
        """


class FileSource(NamedTuple):
    """What is written to a file of columns.

    Attributes:
        scan: The rows.
        options: The columns.
        metadata: Entries of the file's metadata.
    """

    scan: Scan
    options: ColumnOptions
    metadata: Mapping[str, str]


def stream_batches(stream: Any) -> Iterator[pyarrow.RecordBatch]:
    """Reads a stream of `Frames.batch_stream`.

    Args:
        stream: The stream.

    Yields:
        Its batches.

    Raises:
        HistoryError: A page or a row can't be read; raised instead of the error that pyarrow makes of it.
        ImportError: pyarrow is not installed.
    """
    pyarrow = _import_pyarrow()
    reader = pyarrow.RecordBatchReader.from_stream(stream)
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pyarrow.ArrowException):
            if stream.error is not None:
                raise stream.error from None
            raise
        yield batch


def import_polars() -> Any:
    """Imports polars, or raises an error that says what to install: older releases lose rows, or never end."""
    try:
        import polars
    except ImportError as error:
        raise ImportError(f"to_polars() needs polars: {install_hint('polars')}") from error
    release = tuple(map(int, re.findall(r"\d+", polars.__version__)[:2]))
    if release < OLDEST_POLARS:
        oldest = ".".join(map(str, OLDEST_POLARS))
        raise ImportError(f"polars {polars.__version__} loses rows of streams: pip install 'polars>={oldest}'")
    return polars


def _import_pyarrow() -> Any:
    """Imports pyarrow, or raises an error that says what to install."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"Arrow tables need pyarrow: {install_hint('arrow')}") from error
    return pyarrow
