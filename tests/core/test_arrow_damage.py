"""Damage in Arrow's buffers and structures is an error that says where, and nothing outside of a buffer is read."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan import HistoryDecodeError
from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage, take_rows
from histscan._core.columns.column_builder import ColumnBuilder
from tests.support.arrow_samples import Tampered, expected_rows


def table_of(array: Any) -> Any:
    return pyarrow.table({"column": array})


class TestMalformedValues:
    """Every row before a malformed one is there, and the error names the column and the row."""

    def check(self, array: Any, pattern: str, row: int = 1) -> None:
        page = ArrowPage(read_batches(pyarrow.table({"fine": range(len(array)), "the column": array})))
        assert page.row(0)["fine"] == 0
        with pytest.raises(HistoryDecodeError, match=pattern) as caught:
            page.rows()
        assert caught.value.row == row
        assert caught.value.path == "$['the column']"
        # Columns end where rows do, with the same words.
        builder = ColumnBuilder()
        with pytest.raises(HistoryDecodeError) as of_columns:
            builder.add_page(page)
        assert str(of_columns.value) == str(caught.value)
        assert builder.row_count == row

    def text(self, *texts: bytes) -> Any:
        return pyarrow.array(texts, pyarrow.binary()).view(pyarrow.string())

    def test_utf8(self) -> None:
        self.check(self.text(b"fine", b"\xff"), "not valid UTF-8")
        self.check(self.text(b"fine", b"\xed\xa0\x80"), "not valid UTF-8")
        self.check(self.text(b"fine", b"\xff").dictionary_encode(), "not valid UTF-8")

    @pytest.mark.parametrize("text", [b"", b"{", b"1 2", b'"\xff"', b"[" * 100_000])
    def test_json(self, text: bytes) -> None:
        self.check(
            pyarrow.ExtensionArray.from_storage(pyarrow.json_(), self.text(b"1", text)), "JSON|text|nested|string|key"
        )

    def test_dictionary_index(self) -> None:
        array = pyarrow.DictionaryArray.from_arrays(
            pyarrow.array([0, 7], pyarrow.int32()), pyarrow.array(["a"]), safe=False
        )
        self.check(array, "not in its column's dictionary")

    def test_time(self) -> None:
        self.check(pyarrow.array([0, 86_400], pyarrow.int32()).view(pyarrow.time32("s")), "not a valid time of day")

    def test_offsets(self) -> None:
        for offsets in ((0, 3, 2, 4), (0, 3, -1, 4), (0, 3, 2**31 - 1, 4)):
            buffers = [None, pyarrow.py_buffer(struct.pack("4i", *offsets)), pyarrow.py_buffer(b"abcd")]
            self.check(pyarrow.Array.from_buffers(pyarrow.string(), 3, buffers), "offsets of the value are invalid")
            items = pyarrow.array([1, 2, 3, 4])
            listed = pyarrow.Array.from_buffers(pyarrow.list_(pyarrow.int64()), 3, buffers[:2], children=[items])
            self.check(listed, "offsets of the value are invalid")


def set_fields(**fields: Any) -> Callable[[Any, Any], object]:
    """Sets fields of the array's structure."""

    def tamper(_schema: Any, array: Any) -> None:
        for name, value in fields.items():
            setattr(array, name, value)

    return tamper


def clear_buffer(index: int) -> Callable[[Any, Any], object]:
    def tamper(_schema: Any, array: Any) -> None:
        array.buffers[index] = None

    return tamper


def put_offsets(*offsets: int) -> Callable[[Any, Any], object]:
    def tamper(_schema: Any, array: Any) -> object:
        kept = (ctypes.c_int32 * len(offsets))(*offsets)
        array.buffers[1] = ctypes.cast(kept, ctypes.c_void_p)
        return kept

    return tamper


def set_schema(**fields: Any) -> Callable[[Any, Any], object]:
    def tamper(schema: Any, _array: Any) -> None:
        for name, value in fields.items():
            setattr(schema, name, value)

    return tamper


NUMBERS = pyarrow.array([1, None, 3])
TEXTS = pyarrow.array(["a", None, "bc"])
LISTS = pyarrow.array([[1], None, [2, 3]])
FIXED = pyarrow.array([[1, 2], None, [3, 4]], pyarrow.list_(pyarrow.int64(), 2))


@pytest.mark.parametrize(
    ("array", "tamper", "pattern"),
    [
        (NUMBERS, set_fields(length=-1), "impossible length"),
        (NUMBERS, set_fields(offset=-1), "impossible length or offset"),
        (NUMBERS, set_fields(offset=2**62), "impossible length or offset"),
        (NUMBERS, set_fields(length=2), "2 values where 3 are needed"),
        (NUMBERS, set_fields(n_buffers=1), "1 buffers instead of 2"),
        (NUMBERS, set_fields(n_buffers=3), "3 buffers instead of 2"),
        (NUMBERS, clear_buffer(0), "no validity bitmap"),
        (NUMBERS, clear_buffer(1), "no buffer of"),
        (TEXTS, clear_buffer(1), "no buffer of"),
        (TEXTS, clear_buffer(2), "no buffer of text"),
        (TEXTS, set_fields(n_buffers=2), "2 buffers instead of 3"),
        (TEXTS, put_offsets(5, 5, 5, 4), "not ascending"),
        (TEXTS, put_offsets(-1, 0, 0, 3), "not ascending"),
        (LISTS, put_offsets(0, 1, 1, 4), "3 values where 4 are needed"),
        (FIXED, set_fields(length=4), "6 values where 8 are needed"),
        (FIXED, set_fields(length=2**62), "are too large"),
        (NUMBERS, set_schema(format=b"+s"), "buffers instead of 1"),
        (NUMBERS, set_schema(format=b"vu"), "cannot be read as rows"),
        (NUMBERS, set_schema(format=b"w:x"), "cannot be read as rows"),
        (NUMBERS, set_schema(format=b"tsq:"), "cannot be read as rows"),
        (NUMBERS, set_schema(format=b"+l"), "wrong number of children"),
        (NUMBERS, set_schema(format=b"\xff"), "not valid UTF-8"),
        (NUMBERS, set_schema(name=b"\xff"), "not valid UTF-8"),
        (NUMBERS, set_schema(format=None), "incomplete"),
    ],
)
def test_contradictions_of_the_c_interface(array: Any, tamper: Callable[[Any, Any], object], pattern: str) -> None:
    (batch,) = pyarrow.table({"column": array, "fine": [1, 2, 3]}).to_batches()
    with pytest.raises(HistoryDecodeError, match=pattern):
        ArrowBatch(Tampered(batch, tamper))


def test_a_null_count_that_is_not_known() -> None:
    (batch,) = table_of(NUMBERS).to_batches()
    assert ArrowPage([ArrowBatch(Tampered(batch, set_fields(null_count=-1)))]).rows() == expected_rows(
        table_of(NUMBERS)
    )


@given(st.lists(st.integers(-3, 9), min_size=5, max_size=5), st.sampled_from([TEXTS, LISTS]))
def test_any_offsets(offsets: list[int], array: Any) -> None:
    """Whatever lies between the first offset and a sound last one, nothing outside of the buffer is read."""
    offsets[0], offsets[3] = 0, 3
    (batch,) = table_of(array).to_batches()
    # It keeps the buffer of the offsets.
    tampered = Tampered(batch, put_offsets(*offsets))
    page = ArrowPage([ArrowBatch(tampered)])
    if 0 <= offsets[1] <= 3:
        assert page.row(0)["column"] in (["abc"[: offsets[1]], [1, 2, 3][: offsets[1]]])
    # The row between is null, whatever its offsets say.
    if 0 <= offsets[1] <= 3 and 0 <= offsets[2] <= 3:
        assert ColumnBuilder().add_page(page) == len(page.rows()) == 3
    else:
        with pytest.raises(HistoryDecodeError, match=r"at `\$\.column`") as of_rows:
            page.rows()
        with pytest.raises(HistoryDecodeError) as of_columns:
            ColumnBuilder().add_page(page)
        assert str(of_columns.value) == str(of_rows.value)


def test_batch_is_taken_over_once() -> None:
    (batch,) = table_of(NUMBERS).to_batches()
    schema, array = batch.__arrow_c_array__()

    class Once:
        def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
            return schema, array

    source = Once()
    assert len(ArrowBatch(source)) == 3
    with pytest.raises(HistoryDecodeError, match="released before"):
        ArrowBatch(source)


def test_what_was_never_filled_or_is_filled_again() -> None:
    (batch,) = read_batches(table_of(NUMBERS))
    with pytest.raises(RuntimeError, match="once"):
        batch.__init__(table_of(TEXTS).to_batches()[0])  # type: ignore[misc]
    with pytest.raises(RuntimeError, match="once"):
        batch.layout.__init__(table_of(TEXTS).schema.__arrow_c_schema__())  # type: ignore[misc]
    page = ArrowPage([batch])
    page.batches.clear()
    assert page.rows() == expected_rows(table_of(NUMBERS))
    empty = ArrowBatch.__new__(ArrowBatch)
    assert (len(empty), empty.next_step, empty.layout.names) == (0, None, [])
    assert len(ArrowPage([empty])) == len(take_rows([empty])) == len(ArrowPage.__new__(ArrowPage)) == 0
    with pytest.raises(HistoryDecodeError, match="no `_step` column"):
        empty.order_by_step(0, 1)


def test_stream_that_fails() -> None:
    def batches() -> Any:
        yield from table_of(NUMBERS).to_batches()
        raise ValueError("the source broke")

    reader = pyarrow.RecordBatchReader.from_batches(table_of(NUMBERS).schema, batches())
    source = read_batches(reader)
    assert len(next(source)) == 3
    with pytest.raises(HistoryDecodeError, match="the source broke"):
        next(source)


def test_buffers_are_let_go_of() -> None:
    # What other tests have allocated is in another pool, and may be freed at any time.
    pool = pyarrow.proxy_memory_pool(pyarrow.default_memory_pool())

    def read() -> None:
        steps = pyarrow.array(range(1000), memory_pool=pool)
        table = pyarrow.table({"_step": steps, "text": pyarrow.array(["x"] * 1000, memory_pool=pool)})
        assert pool.bytes_allocated() > 1000
        batches = list(read_batches(table))
        batches[0].order_by_step(0, 500)
        assert len(take_rows(batches).rows()) == 500
        with pytest.raises(HistoryDecodeError):
            ArrowBatch(Tampered(table.to_batches()[0], set_fields(length=2)))

    for _ in range(20):
        read()
        assert pool.bytes_allocated() == 0
