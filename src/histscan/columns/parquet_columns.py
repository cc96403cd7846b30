"""Converts the columns of Parquet files to columns of one schema, without making rows if the types allow it.

Numbers, bools, text, dates and times, lists of numbers and JSON text are plain columns: only their width changes,
integers to int64 (or uint64), floats to float64. Nested columns, and columns of different types in different files, go
through the core's column builder, like the rows of all other sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_rows import ArrowPage
from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import merge_columns
from histscan.columns.chunks import ROWS_PER_CHUNK, build_chunks
from histscan.columns.passes import ColumnSurvey
from histscan.common.json_fields import JSON_METADATA, is_json, plain_json
from histscan.common.keys import lead_columns, leading_names
from histscan.common.lazy import cached_property
from histscan.common.steps import STEP
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.sources.parquet import ParquetSource

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ColumnPlan", "TableStream"]

PageReader = Callable[[Sequence[str] | None], Iterator[ArrowPage]]

_PlainKind = tuple[Any, Any]
"""The Arrow type of a plain column, and the metadata of its field."""


class ColumnPlan:
    """The plan by which the columns of files become columns of one table.

    Args:
        sources: The files.
        read_pages: Reads the rows of the scan, as pages whose segments and sources count, not their rows. It is called
            with the keys whose columns are needed; None for all.
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
        self._read_pages = read_pages
        self._flatten = flatten
        self._all = keys is None
        names = lead_columns(name for source in sources for name in source.names.names)
        self.keys = names if keys is None else list(dict.fromkeys(keys))
        self._plain = _plain_fields(sources, self.keys, flatten=flatten)
        self._others = [key for key in self.keys if key not in self._plain]
        self._other_sources = {name for key in self._others for name in leading_names(key)}

    def table(self) -> pyarrow.Table:
        """Reads all rows.

        Returns:
            One table.

        Raises:
            HistoryError: A file is damaged.
        """
        import pyarrow

        pieces: list[pyarrow.Table] = []
        alike: list[pyarrow.Table] = []
        chunks: list[ColumnChunk] = []
        for piece in self._pieces():
            if self._others:
                chunks.extend(self._chunks(piece))
            # Tables of one schema are converted together.
            table = self._plain_part(piece.table)
            if alike and not table.schema.equals(alike[0].schema):
                pieces.append(self._plain_columns(alike))
                alike = []
            alike.append(table)
        if alike:
            pieces.append(self._plain_columns(alike))
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

        for piece in self._pieces():
            plain = self._plain_columns([self._plain_part(piece.table)])
            if not self._others:
                yield plain
                continue
            # The types hold: each file is opened in the version that the first pass read.
            others = pyarrow.table(ArrowStream(self.other_formats, self._chunks(piece)))
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
        survey = ColumnSurvey.of(chunk for piece in self._pieces(self._others) for chunk in self._chunks(piece))
        return self._with_all_keys(survey.columns)

    def _with_all_keys(self, formats: dict[str, str]) -> dict[str, str]:
        # A column without any value is a column, too.
        return formats if self._flatten else {key: formats.get(key, "n") for key in self._others}

    def _pieces(self, keys: Sequence[str] | None = None) -> Iterator[_Piece]:
        """Yields the rows of the scan, as tables with the columns of their file."""
        import pyarrow

        for page in self._read_pages(keys if keys is not None else None if self._all else self.keys):
            segments = page.segments()
            batches = page.batches
            first = 0
            while first < len(segments):
                last = first + 1
                while last < len(segments) and segments[last][0] == segments[first][0]:
                    last += 1
                batch = batches[segments[first][0]]
                source = batch.source
                runs = [(begin, count) for _, begin, count in segments[first:last]]
                if len(runs) > 1:
                    rows = [row for begin, count in runs for row in range(begin, begin + count)]
                    source = source.take(pyarrow.array(rows, pyarrow.int64()))
                elif runs[0] != (0, source.num_rows):
                    source = source.slice(*runs[0])
                yield _Piece(pyarrow.Table.from_batches([source]), batch.run, batch.page)
                first = last

    def _plain_part(self, table: pyarrow.Table) -> pyarrow.Table:
        """Returns the plain columns that a table has."""
        names = table.schema.names
        places = [place for place, name in enumerate(names) if name in self._plain]
        return table if len(places) == len(names) else table.select(places)

    def _plain_columns(self, tables: Sequence[pyarrow.Table]) -> pyarrow.Table:
        """Returns tables of one schema as one that has all plain columns, with nulls for those that are missing."""
        import pyarrow

        # The schema may have metadata of other programs.
        table = pyarrow.concat_tables(tables).replace_schema_metadata(None)
        if table.schema.equals(self._plain_schema):
            # The fields of a Parquet file have metadata of their own.
            return pyarrow.Table.from_arrays(table.columns, schema=self._plain_schema)
        columns = []
        # A table without columns would not know its rows.
        rows = sum(map(len, tables))
        places = {name: place for place, name in enumerate(table.schema.names)}
        for field in self._plain.values():
            place = places.get(field.name)
            if place is None:
                columns.append(pyarrow.nulls(rows, field.type))
                continue
            column = table.column(place)
            if column.type == field.type:
                columns.append(column)
                continue
            (column,) = plain_json([column])
            if field.name == STEP and pyarrow.types.is_floating(column.type):
                column = column.cast(pyarrow.float64())
            columns.append(column if column.type == field.type else column.cast(field.type))
        if not columns:
            return table.select([])
        return pyarrow.Table.from_arrays(columns, schema=self._plain_schema)

    def _chunks(self, piece: _Piece) -> Iterator[ColumnChunk]:
        """Builds the columns that are not plain."""
        names = piece.table.schema.names
        places = [place for place, name in enumerate(names) if name in self._other_sources]
        try:
            batches = piece.table.select(places).to_batches()
            pages: list[Any] = [ArrowPage([ArrowBatch(batch, plain_steps=True)]) for batch in batches]
            # A table without columns has no batches.
            pages.append([{}] * (len(piece.table) - sum(map(len, pages))))
            keys = None if self._flatten and self._all else self._others
            yield from build_chunks(pages, keys=keys, flatten=self._flatten, rows=ROWS_PER_CHUNK)
        except HistoryDecodeError as error:
            error.add_location(run=piece.file, page=piece.page)
            raise

    def _joined(self, plain: pyarrow.Table, others: pyarrow.Table) -> pyarrow.Table:
        """Joins the columns of both tables, in the order of the keys."""
        import pyarrow

        names = list(self.keys)
        if self._flatten:
            # The columns that each key has become.
            dotted: dict[str, list[str]] = {}
            for name in others.schema.names:
                for key in leading_names(name):
                    dotted.setdefault(key, []).append(name)
            names = [name for key in self.keys for name in ([key] if key in self._plain else dotted.get(key, ()))]
        places = {name: place for place, name in enumerate(others.schema.names)}
        plain_places = {name: place for place, name in enumerate(self._plain)}
        columns, fields = [], []
        for name in dict.fromkeys(names):
            source, place = (plain, plain_places[name]) if name in plain_places else (others, places[name])
            columns.append(source.column(place))
            fields.append(source.schema.field(place))
        return pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields))


class _Piece(NamedTuple):
    """Consecutive rows of the scan, with the columns of their file.

    Attributes:
        table: The rows.
        file: The name of the file in errors.
        page: The row group in errors.
    """

    table: pyarrow.Table
    file: str | None
    page: str | None


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


def _plain_fields(sources: Sequence[ParquetSource], keys: Sequence[str], *, flatten: bool) -> dict[str, pyarrow.Field]:
    """Finds the plain columns.

    Args:
        sources: The files.
        keys: The keys of the columns.
        flatten: Nested values become columns of their own.

    Returns:
        The fields of those keys whose columns are plain in all files, and of one type; of the type null where no file
        has values.
    """
    import pyarrow

    null = pyarrow.null()
    # None for a key whose column is not plain.
    kinds: dict[str, _PlainKind | None] = dict.fromkeys(keys, (null, None))
    for source in _of_different_schemas(sources):
        found = _plain_kinds(source, flatten=flatten)
        for key, known in kinds.items():
            if known is None:
                continue
            own = found[key] if key in found else None if source.column_of(key) is not None else (null, None)
            if own is None or (own[0] is not null and known[0] is not null and own != known):
                kinds[key] = None
            elif own[0] is not null:
                kinds[key] = own
    return {key: pyarrow.field(key, kind[0], metadata=kind[1]) for key, kind in kinds.items() if kind is not None}


def _of_different_schemas(sources: Sequence[ParquetSource]) -> Iterator[ParquetSource]:
    """Yields sources, without those whose columns are those of the source before."""
    before = None
    for source in sources:
        if (
            before is None
            or (source.row_steps is None) != (before.row_steps is None)
            or source.json_of_plain != before.json_of_plain
            or not source.schema.equals(before.schema, check_metadata=True)
        ):
            yield source
        before = source


def _plain_kinds(source: ParquetSource, *, flatten: bool) -> dict[str, _PlainKind | None]:
    """Finds the type of each column of a file, once it is plain, and its metadata; None for those that are not."""
    import pyarrow

    null = pyarrow.null()
    usual = _usual_types()
    kinds: dict[str, _PlainKind | None] = {}
    for place, (name, kind) in enumerate(zip(source.names.names, source.schema.types, strict=True)):
        plain = usual.get(kind.id)
        if plain is not None:
            kinds[name] = (plain, None)
            continue
        field = source.schema.field(place)
        plain = _plain_type(field)
        if plain is None or (flatten and is_json(field)):
            kinds[name] = None
        else:
            # Types are compared by identity with the null type.
            kinds[name] = (null if plain == null else plain, dict(JSON_METADATA) if is_json(field) else None)
    if source.row_steps is None:
        kinds[STEP] = (pyarrow.int64(), None)
    kinds.update(dict.fromkeys([*source.names.repeated, *source.json_of_plain]))
    return kinds


@cache
def _usual_types() -> dict[int, Any]:
    """Returns the plain types of numbers and bools, by the ids of their types.

    Thousands of columns take less time so than by questions about each type.
    """
    import pyarrow

    integers = [pyarrow.int8(), pyarrow.int16(), pyarrow.int32(), pyarrow.int64()]
    integers += [pyarrow.uint8(), pyarrow.uint16(), pyarrow.uint32()]
    floats = [pyarrow.float16(), pyarrow.float32(), pyarrow.float64()]
    return {
        **{kind.id: pyarrow.int64() for kind in integers},
        **{kind.id: pyarrow.float64() for kind in floats},
        pyarrow.bool_().id: pyarrow.bool_(),
    }


def _plain_type(field: pyarrow.Field) -> pyarrow.DataType | None:
    """Returns the type of a plain column that is not of `_usual_types`; None if the column needs the builder."""
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
    if types.is_string(kind) or types.is_large_string(kind):
        return pyarrow.string()
    if types.is_uint64(kind) or types.is_null(kind) or types.is_date(kind) or types.is_time(kind):
        return kind
    return kind if types.is_timestamp(kind) else None
