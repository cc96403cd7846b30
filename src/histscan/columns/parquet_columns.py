"""Converts the columns of Parquet files to columns of one schema, without making rows if the types allow it.

Numbers, bools, text, dates and times, lists of numbers and JSON text are plain columns: only their width changes,
integers to int64 (or uint64), floats to float64. Nested columns, and columns of different types in different files, go
through the core's column builder, like the rows of all other sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_rows import ArrowPage
from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import merge_columns
from histscan.columns.chunks import ROWS_PER_CHUNK, build_chunks
from histscan.columns.passes import ColumnSurvey
from histscan.common.json_fields import is_json, plain_json, plain_json_field
from histscan.common.keys import lead_columns
from histscan.common.lazy import cached_property
from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.sources.parquet import ParquetSource

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ColumnPlan", "TableStream"]

PageReader = Callable[..., Iterator[ArrowPage]]


class ColumnPlan:
    """The plan by which the columns of files become columns of one table.

    Args:
        sources: The files.
        read_pages: Reads the rows of the scan: ``paging.parquet_pages.read_pages``, called with `keys` and `columns`.
        keys: The keys to make columns of, in this order; None for all columns.
        flatten: Nested values become columns with dotted names.
        formats: The formats of columns that are not plain, if they are known; None to find them.
    """

    def __init__(
        self,
        sources: Sequence[ParquetSource],
        read_pages: PageReader,
        *,
        keys: Sequence[str] | None,
        flatten: bool,
        formats: Mapping[str, str] | None = None,
    ) -> None:
        self._known_formats = formats
        self._sources = sources
        self._read_pages = read_pages
        self._flatten = flatten
        self._all = keys is None
        names = lead_columns(name for source in sources for name in source.schema.names)
        self.keys = names if keys is None else list(dict.fromkeys(keys))
        fields = {key: self._field(key) for key in self.keys}
        self._plain = {key: field for key, field in fields.items() if field is not None}
        self._others = [key for key in self.keys if key not in self._plain]

    def _field(self, key: str) -> pyarrow.Field | None:
        """Returns the field of a plain column; None if the column needs the builder."""
        import pyarrow

        kinds: dict[Any, pyarrow.Field] = {}
        for source in self._sources:
            if source.schema.names.count(key) > 1 or key in source.json_of_plain:
                return None
            place = source.schema.get_field_index(key)
            if place < 0:
                if source.column_of(key) is not None:
                    return None
                continue
            field = source.schema.field(place)
            kind = pyarrow.int64() if key == STEP and source.row_steps is None else _plain_type(field)
            if kind is None or (self._flatten and is_json(field)):
                return None
            if not pyarrow.types.is_null(kind):
                # Text and JSON text of one key in different files are columns of different types.
                found = plain_json_field(field) if is_json(field) else pyarrow.field(key, kind)
                kinds[found.metadata is not None, kind] = found.with_name(key)
        if not kinds:
            return pyarrow.field(key, pyarrow.null())
        return next(iter(kinds.values())) if len(kinds) == 1 else None

    def table(self) -> pyarrow.Table:
        """Reads all rows.

        Returns:
            One table.

        Raises:
            HistoryError: A file is damaged.
        """
        import pyarrow

        pieces: list[pyarrow.Table] = []
        chunks: list[ColumnChunk] = []
        for table in self._tables():
            pieces.append(self._plain_columns(table))
            if self._others:
                chunks.extend(self._chunks(table))
        plain = pyarrow.concat_tables(pieces) if pieces else self._plain_schema.empty_table()
        if not self._others:
            return plain
        formats = self._with_all_keys(merge_columns(chunks))
        return self._joined(plain, pyarrow.table(ArrowStream(formats, chunks)))

    def tables(self) -> Iterator[pyarrow.Table]:
        """Reads tables of one schema. If the types of columns are unknown, a pass before finds them.

        Yields:
            Tables of consecutive rows.

        Raises:
            HistoryError: A file is damaged; the rows before have been yielded.
        """
        import pyarrow

        for table in self._tables():
            plain = self._plain_columns(table)
            if not self._others:
                yield plain
                continue
            # The types hold: each file is opened in the version that the first pass read.
            others = pyarrow.table(ArrowStream(self.other_formats, self._chunks(table)))
            yield self._joined(plain, others)

    @cached_property
    def schema(self) -> pyarrow.Schema:
        """The schema of `tables`."""
        import pyarrow

        if not self._others:
            return self._plain_schema
        others = pyarrow.table(ArrowStream(self.other_formats, []))
        return self._joined(self._plain_schema.empty_table(), others).schema

    @cached_property
    def _plain_schema(self) -> pyarrow.Schema:
        import pyarrow

        return pyarrow.schema(list(self._plain.values()))

    @cached_property
    def other_formats(self) -> dict[str, str]:
        """The formats of the columns that are not plain; if they are unknown, from a first pass over their values."""
        if self._known_formats is not None:
            return {key: self._known_formats[key] for key in self._others}
        survey = ColumnSurvey.of(chunk for table in self._tables(self._others) for chunk in self._chunks(table))
        return self._with_all_keys(survey.columns)

    def _with_all_keys(self, formats: dict[str, str]) -> dict[str, str]:
        # A column without any value is a column, too.
        return formats if self._flatten else {key: formats.get(key, "n") for key in self._others}

    def _tables(self, keys: Sequence[str] | None = None) -> Iterator[pyarrow.Table]:
        """Yields the rows of the scan, as tables with the columns of their file."""
        import pyarrow

        wanted = keys if keys is not None else None if self._all else self.keys
        for page in self._read_pages(keys=None, columns=wanted):
            segments = page.segments()
            batches = [batch.source for batch in page.batches]
            first = 0
            while first < len(segments):
                last = first + 1
                while last < len(segments) and segments[last][0] == segments[first][0]:
                    last += 1
                batch = batches[segments[first][0]]
                runs = [(begin, count) for _, begin, count in segments[first:last]]
                if len(runs) == 1:
                    piece = batch.slice(*runs[0])
                else:
                    rows = [row for begin, count in runs for row in range(begin, begin + count)]
                    piece = batch.take(pyarrow.array(rows, pyarrow.int64()))
                yield pyarrow.Table.from_batches([piece])
                first = last

    def _plain_columns(self, table: pyarrow.Table) -> pyarrow.Table:
        """Returns the plain columns, with nulls for those that the table lacks."""
        import pyarrow

        columns = []
        for field in self._plain.values():
            place = table.schema.get_field_index(field.name)
            if place < 0:
                columns.append(pyarrow.nulls(len(table), field.type))
                continue
            (column,) = plain_json([table.column(place)])
            if field.name == STEP and pyarrow.types.is_floating(column.type):
                column = column.cast(pyarrow.float64())
            columns.append(column if column.type == field.type else column.cast(field.type))
        if not columns:
            return table.select([])
        return pyarrow.Table.from_arrays(columns, schema=self._plain_schema)

    def _chunks(self, table: pyarrow.Table) -> Iterator[ColumnChunk]:
        """Builds the columns that are not plain."""
        wanted = {key.split(".")[0] for key in self._others} | set(self._others)
        names = [
            name for name in table.schema.names if name in wanted or any(key.startswith(f"{name}.") for key in wanted)
        ]
        batches = table.select(names).to_batches()
        pages: list[Any] = [ArrowPage([ArrowBatch(batch, plain_steps=True)]) for batch in batches]
        # A table without columns has no batches.
        pages.append([{}] * (len(table) - sum(map(len, pages))))
        keys = None if self._flatten and self._all else self._others
        return build_chunks(pages, keys=keys, flatten=self._flatten, rows=ROWS_PER_CHUNK)

    def _joined(self, plain: pyarrow.Table, others: pyarrow.Table) -> pyarrow.Table:
        """Joins the columns of both tables, in the order of the keys."""
        import pyarrow

        names = list(self.keys) if not self._flatten else []
        for key in self.keys if self._flatten else ():
            dotted = [name for name in others.schema.names if name == key or name.startswith(f"{key}.")]
            names.extend([key] if key in self._plain else dotted)
        names = list(dict.fromkeys(names))
        columns, fields = [], []
        for name in names:
            source = plain if name in self._plain else others
            place = source.schema.get_field_index(name)
            columns.append(source.column(place))
            fields.append(source.schema.field(place))
        return pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields))


class TableStream:
    """Streams record batches of a fixed number of rows.

    Args:
        plan: The plan.
        rows: Rows in a batch; the last one may have fewer.

    Attributes:
        error: The error that ended the stream; None if there was none.
    """

    def __init__(self, plan: ColumnPlan, rows: int) -> None:
        self._plan = plan
        self._rows = rows
        self.error: Exception | None = None

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the stream as a capsule, for consumers of Arrow's PyCapsules."""
        import pyarrow

        reader = pyarrow.RecordBatchReader.from_batches(self._plan.schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pyarrow.RecordBatch]:
        waiting: list[pyarrow.Table] = []
        count = 0
        failure: HistoryError | None = None
        pieces = self._plan.tables()
        while failure is None:
            try:
                piece = next(pieces, None)
            except HistoryError as error:
                failure = error
                break
            if piece is None:
                break
            waiting.append(piece)
            count += len(piece)
            if count >= self._rows:
                table = _one_table(waiting)
                whole = count - count % self._rows
                for first in range(0, whole, self._rows):
                    yield _one_batch(table.slice(first, self._rows))
                waiting = [table.slice(whole)]
                count -= whole
        if count:
            yield _one_batch(_one_table(waiting))
        if failure is not None:
            self.error = failure
            raise failure


def _one_table(tables: Sequence[pyarrow.Table]) -> pyarrow.Table:
    import pyarrow

    return tables[0] if len(tables) == 1 else pyarrow.concat_tables(tables)


def _one_batch(table: pyarrow.Table) -> pyarrow.RecordBatch:
    """Converts a table that is not empty to one batch."""
    return table.combine_chunks().to_batches()[0]


def _plain_type(field: pyarrow.Field) -> pyarrow.DataType | None:
    """Returns the type of a plain column; None if the column needs the builder."""
    import pyarrow

    types = pyarrow.types
    kind = field.type
    if is_json(field):
        return pyarrow.string()
    if types.is_dictionary(kind):
        kind = kind.value_type
        return pyarrow.string() if types.is_string(kind) or types.is_large_string(kind) else None
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        item = kind.value_type
        if types.is_floating(item):
            return pyarrow.list_(pyarrow.float64())
        is_number = types.is_integer(item) and not types.is_uint64(item)
        return pyarrow.list_(pyarrow.int64()) if is_number else None
    if types.is_integer(kind):
        return kind if types.is_uint64(kind) else pyarrow.int64()
    if types.is_floating(kind):
        return pyarrow.float64()
    if types.is_string(kind) or types.is_large_string(kind):
        return pyarrow.string()
    if types.is_boolean(kind) or types.is_null(kind) or types.is_date(kind) or types.is_time(kind):
        return kind
    return kind if types.is_timestamp(kind) else None
