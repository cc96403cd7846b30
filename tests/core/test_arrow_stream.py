"""Chunks as an Arrow stream: whole, valid, and freed whoever takes them, or nobody; faults reach the consumer."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import merge_columns
from histscan._core.pages.formats import TextPage
from histscan.errors import HistoryDecodeError, HistoryError
from tests.support.column_rows import FLOAT_LISTS, FLOATS, INT_LISTS, JSON, TEXT, read_stream, rows_of, types_of

ROWS = [
    '{"i":1,"f":0.5,"b":true,"t":"é","u":18446744073709551615,"l":[1,null],"m":[0.5],"j":{"a":1},"n":null}',
    '{"i":-1,"f":NaN,"b":false,"t":"","u":0,"l":[],"m":[1,2],"j":"x"}',
    "{}",
]
TYPES = {
    "i": "int64",
    "f": FLOATS,
    "b": "bool",
    "t": TEXT,
    "u": "uint64",
    "l": INT_LISTS,
    "m": FLOAT_LISTS,
    "j": JSON,
    "n": "null",
}


def chunk_of(*texts: str, keys: list[str] | None = None) -> ColumnChunk:
    """A chunk of some rows."""
    builder = ColumnBuilder(keys)
    builder.add_page(TextPage([*texts]))
    return builder.take_chunk()


def stream_of(*chunks: ColumnChunk) -> ArrowStream:
    """A stream of chunks."""
    return ArrowStream(merge_columns(chunks), chunks)


class Chunks:
    """An iterator of chunks of which it can be told whether it is still held.

    Args:
        texts: The rows of each chunk.
        error: What to raise behind them.
    """

    def __init__(self, *texts: Iterable[str], error: BaseException | None = None) -> None:
        self.waiting = list(texts)
        self.error = error
        self.taken = 0

    def __iter__(self) -> Iterator[ColumnChunk]:
        return self

    def __next__(self) -> ColumnChunk:
        if self.waiting:
            self.taken += 1
            return chunk_of(*self.waiting.pop(0))
        if self.error is not None:
            raise self.error
        raise StopIteration


def test_every_type_with_and_without_nulls() -> None:
    for texts in (ROWS, ROWS[:2], ROWS[:1], ROWS * 9):
        table = read_stream(stream_of(chunk_of(*texts)))
        expected = TYPES if len(texts) > 1 else TYPES | {"f": FLOATS, "j": JSON}
        assert types_of(table) == expected
        assert table.num_rows == len(texts)
    assert all(field.nullable for field in table.schema)
    assert rows_of(table)[0] == {
        "i": 1, "f": 0.5, "b": True, "t": "é", "u": 2**64 - 1, "l": [1, None], "m": [0.5], "j": {"a": 1},
    }  # fmt: skip


def test_chunks_that_lack_columns() -> None:
    chunks = [
        chunk_of("{}"),
        *(
            chunk_of(f'{{"{name}":{text}}}')
            for name, text in zip(
                TYPES, ["1", "0.5", "true", '"x"', str(2**63), "[1]", "[1.5]", "{}", "null"], strict=True
            )
        ),
    ]
    table = read_stream(stream_of(*chunks))
    assert types_of(table) == TYPES
    assert [batch.num_rows for batch in table.to_batches()] == [1] * 10
    assert sum(len(row) for row in rows_of(table)) == 8
    for index, name in enumerate(TYPES):
        assert table.column(name).null_count == (10 if name == "n" else 9), index


def test_chunks_of_no_rows_and_of_no_columns() -> None:
    for keys in ([], ["a"], ["a", "b"]):
        table = read_stream(stream_of(chunk_of(keys=keys), chunk_of("{}", "{}", keys=keys), chunk_of(keys=keys)))
        assert table.column_names == keys
        assert table.num_rows == 2
    table = read_stream(ArrowStream(merge_columns([chunk_of(*ROWS)]), [chunk_of()]))
    assert types_of(table) == TYPES
    assert table.num_rows == 0
    assert read_stream(stream_of()).num_columns == 0


def test_columns_in_the_order_and_of_the_types_that_are_given() -> None:
    chunk = chunk_of('{"a":1,"b":2}', '{"b":3}')
    table = read_stream(ArrowStream({"z": "u", "b": "g", "a": "json", "l": "+ll"}, [chunk]))
    assert types_of(table) == {"z": TEXT, "b": FLOATS, "a": JSON, "l": INT_LISTS}
    assert rows_of(table) == [{"b": 2.0, "a": 1}, {"b": 3.0}]


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 63, 64, 65, 1_000])
def test_bitmaps_of_every_length(rows: int) -> None:
    texts = [
        '{"a":true,"b":1}' if index % 3 == 0 else ("{}" if index % 3 == 1 else '{"a":false}') for index in range(rows)
    ]
    table = read_stream(stream_of(chunk_of(*texts)))
    assert table.column("a").to_pylist() == [[True, None, False][index % 3] for index in range(rows)]
    assert table.column("a").null_count == len(range(1, rows, 3))


def test_a_schema_of_its_own() -> None:
    stream = stream_of(chunk_of(*ROWS))
    schema = pa.schema(stream)
    assert types_of(schema.empty_table()) == TYPES
    # The rows are still there, and may be had with whatever schema was asked for: the columns stay what they are.
    capsule = stream.__arrow_c_stream__(pa.schema([("i", pa.string())]).__arrow_c_schema__())
    assert "arrow_array_stream" in repr(capsule)
    assert "arrow_schema" in repr(stream.__arrow_c_schema__())
    assert read_stream(stream).schema == schema


def test_names_that_arrow_can_hardly_have() -> None:
    names = ["", " ", "a.b", 'q"', "é\n", "x" * 5_000, "\U0001f600", "\ufffd", "\x7f"]
    table = read_stream(ArrowStream(dict.fromkeys([*names, "a\0b", "\ud800", "\udfff"], "l"), [chunk_of("{}")]))
    assert table.column_names == [*names, "a\\u0000b", "\\ud800", "\\udfff"]


def test_a_stream_is_used_up() -> None:
    stream = stream_of(chunk_of(*ROWS), chunk_of(*ROWS))
    assert read_stream(stream).num_rows == 6
    assert read_stream(stream).num_rows == 0


def test_a_capsule_has_one_consumer() -> None:
    class Holder:
        """Gives the same capsule to everybody."""

        capsule = stream_of(chunk_of(*ROWS)).__arrow_c_stream__()

        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            return self.capsule

    assert read_stream(Holder()).num_rows == 3
    with pytest.raises(ValueError, match="released"):
        read_stream(Holder())


def held(chunks: Chunks) -> Callable[[], bool]:
    """Whether an iterator is still held by anybody but the caller, who has to drop it."""
    reference = weakref.ref(chunks)

    def is_held() -> bool:
        gc.collect()
        return reference() is not None

    return is_held


def test_capsules_that_nobody_takes_are_freed() -> None:
    chunks = Chunks(ROWS)
    is_held = held(chunks)
    stream = ArrowStream({"i": "l"}, chunks)
    del chunks
    capsules = [stream.__arrow_c_stream__() for _ in range(100)]
    schemas = [stream.__arrow_c_schema__() for _ in range(100)]
    del stream
    assert is_held()
    capsules.pop()
    assert is_held()
    del capsules, schemas
    assert not is_held()


def test_a_stream_dropped_half_way() -> None:
    chunks = Chunks(*[ROWS] * 5)
    is_held = held(chunks)
    reader = pa.RecordBatchReader.from_stream(ArrowStream({"i": "l", "t": "u"}, chunks))
    first = reader.read_next_batch()
    reader.read_next_batch()
    assert chunks.taken == 2
    del chunks
    assert is_held()
    del reader
    assert not is_held()
    # What was handed over outlives the stream.
    assert first.to_pydict() == {"i": [1, -1, None], "t": ["é", "", None]}
    first.validate(full=True)


def test_a_reader_closed_half_way() -> None:
    chunks = Chunks(*[ROWS] * 5)
    is_held = held(chunks)
    with pa.RecordBatchReader.from_stream(ArrowStream({"i": "l"}, chunks)) as reader:
        reader.read_next_batch()
    del chunks
    assert not is_held()


def test_columns_and_slices_outlive_their_table() -> None:
    table = read_stream(stream_of(chunk_of(*ROWS * 50)))
    columns = {name: table.column(name).chunk(0) for name in table.column_names}
    items = columns["l"].values
    text = columns["t"].slice(3, 1)
    del table, columns
    gc.collect()
    items.validate(full=True)
    assert items.to_pylist() == [1, None] * 50
    assert text.to_pylist() == ["é"]


ERRORS = [
    HistoryDecodeError("the row é is malformed", row=7, byte=3),
    HistoryError("x" * 10_000),
    ValueError("lone \ud800 and nul \0 here"),
    KeyboardInterrupt(),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_amid_a_stream(error: BaseException) -> None:
    stream = ArrowStream({"i": "l"}, Chunks(ROWS, error=error))
    assert stream.error is None
    reader = pa.RecordBatchReader.from_stream(stream)
    assert reader.read_next_batch().num_rows == 3
    with pytest.raises((OSError, pa.ArrowException)) as caught:
        reader.read_next_batch()
    assert type(error).__name__ in str(caught.value)
    assert stream.error is error


def test_errors_name_what_went_wrong_in_every_consumer() -> None:
    def failing() -> ArrowStream:
        return ArrowStream({"i": "l"}, Chunks(ROWS, error=HistoryDecodeError("the row is malformed", row=7)))

    with pytest.raises(OSError, match=r"HistoryDecodeError: the row is malformed \(row 7\)"):
        pa.table(failing())
    with pytest.raises(pl.exceptions.PolarsError, match=r"the row is malformed \(row 7\)"):
        pl.DataFrame(failing())
    stream = failing()
    with pytest.raises(duckdb.Error, match=r"the row is malformed \(row 7\)"):
        duckdb.sql("select sum(i) from stream").fetchall()
    assert isinstance(stream.error, HistoryDecodeError)


def test_things_that_are_no_chunks() -> None:
    for thing in (None, 1, "chunk", object()):
        stream = ArrowStream({"i": "l"}, [thing])  # type: ignore[list-item]
        reader = pa.RecordBatchReader.from_stream(stream)
        if thing is None:
            continue
        with pytest.raises((OSError, pa.ArrowException)):
            reader.read_next_batch()
        assert isinstance(stream.error, TypeError)
    with pytest.raises(TypeError):
        ArrowStream(None, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ArrowStream({}, None)  # type: ignore[arg-type]


def test_a_format_that_is_none_of_arrows() -> None:
    for columns in ({"a": ""}, {"a": 1}, {1: "l"}):
        with pytest.raises(Exception):  # noqa: B017, PT011 - ours, or whatever pyarrow makes of it
            read_stream(ArrowStream(columns, []))  # type: ignore[arg-type]
        with pytest.raises(Exception):  # noqa: B017, PT011
            pa.schema(ArrowStream(columns, []))  # type: ignore[arg-type]


def test_the_columns_stay_what_they_were() -> None:
    columns = {"a": "l"}
    builder = ColumnBuilder()
    builder.add_rows([{"a": 1, "b": 2.5}])
    stream = ArrowStream(columns, [builder.take_chunk()])
    columns.update(b="g", c="+lg")
    assert read_stream(stream).to_pydict() == {"a": [1]}


def test_a_chunk_is_handed_over_once() -> None:
    builder = ColumnBuilder()
    builder.add_rows([{"a": 1}, {}])
    chunk = builder.take_chunk()
    assert read_stream(ArrowStream({"a": "l"}, [chunk])).to_pydict() == {"a": [1, None]}
    with pytest.raises(Exception, match="already been exported"):
        read_stream(ArrowStream({"a": "l"}, [chunk]))


def test_a_stream_that_was_never_begun() -> None:
    stream = ArrowStream.__new__(ArrowStream)
    with pytest.raises(Exception):  # noqa: B017, PT011 - anything but a crash
        read_stream(stream)


def resident() -> int:
    """Bytes of memory that the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def drop_unread(stream: ArrowStream) -> None:
    stream.__arrow_c_stream__()


def read_half(stream: ArrowStream) -> None:
    pa.RecordBatchReader.from_stream(stream).read_next_batch()


MIB = 2**20
USES: dict[str, Callable[[ArrowStream], object]] = {
    "read whole by pyarrow": read_stream,
    "read whole by polars": pl.DataFrame,
    "read half": read_half,
    "never read": drop_unread,
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("use", USES)
def test_memory_is_given_back(use: str) -> None:
    page = TextPage([f'{{"text":"{"x" * MIB}","list":[{"1," * 1_000}1],"json":{{"a":1}}}}'] * 8)

    def once() -> None:
        chunks = []
        for _ in range(2):
            builder = ColumnBuilder()
            builder.add_page(page)
            chunks.append(builder.take_chunk())
        USES[use](stream_of(*chunks))

    for _ in range(5):
        once()
    before = resident()
    for _ in range(40):
        once()
    # Forty times sixteen megabytes went through.
    assert resident() - before < 320 * MIB


def test_buffers_are_handed_over() -> None:
    page = TextPage([f'{{"i":{index},"f":{index}.5,"t":"{"x" * 100}","l":[{index}]}}' for index in range(5_000)])
    builder = ColumnBuilder()
    builder.add_page(page)
    stream = stream_of(builder.take_chunk())
    before = pa.total_allocated_bytes()
    table = pa.RecordBatchReader.from_stream(stream).read_all()
    assert table.nbytes > 500_000
    # It may be less: what other tests have left is freed at any time.
    assert pa.total_allocated_bytes() <= before
    for column in table.columns:
        for buffer in column.chunk(0).buffers():
            if buffer is not None:
                assert buffer.address
                # Whoever frees it, it is not pyarrow's own.
                assert not buffer.is_mutable


def peak_resident() -> int:
    """The most bytes of memory that the process has had since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def forget_peak() -> None:
    """Has the system measure the peak anew; skips the test where it won't."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the peak of memory can't be measured here")


def test_text_is_not_copied_on_its_way() -> None:
    page = TextPage([f'{{"text":"{"x" * MIB}"}}'] * 64)
    builder = ColumnBuilder()
    builder.add_page(page)
    stream = stream_of(builder.take_chunk())
    gc.collect()
    forget_peak()
    before = resident()
    table = pa.RecordBatchReader.from_stream(stream).read_all()
    assert table.nbytes > 64 * MIB
    assert peak_resident() - before < 16 * MIB


def test_references_are_balanced() -> None:
    chunks = Chunks()
    stream = ArrowStream({"i": "l"}, chunks)
    before = sys.getrefcount(stream), sys.getrefcount(chunks)
    for _ in range(50):
        stream.__arrow_c_stream__()
        stream.__arrow_c_schema__()
        pa.schema(stream)
        read_stream(stream)
    gc.collect()
    assert (sys.getrefcount(stream), sys.getrefcount(chunks)) == before
