"""Arrays of the wrong size are errors that say what is wrong, and nothing outside of a buffer is read."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan._core.series.group_statistics import GroupAxis
from histscan._core.series.number_column import ColumnValidity, NumberColumn, Segments
from histscan._core.series.row_alignment import Alignment
from histscan._core.series.row_sampling import select_extremes, select_tail, select_triangles

FIVE = NumberColumn(5, values=array("d", [3, 1, 4, 1, 5]))
THREE = NumberColumn(3, values=array("d", [0, 1, 2]))
RUNS = Segments([0, 3], 3)


def rows_of(result: tuple[bytes, list[int]]) -> list[int]:
    return list(memoryview(result[0]).cast("q"))


class TestColumns:
    @given(length=st.integers(0, 70), offset=st.integers(0, 70), size=st.integers(0, 140), bits=st.integers(0, 20))
    def test_buffers_have_the_values(self, length: int, offset: int, size: int, bits: int) -> None:
        def column() -> NumberColumn:
            return NumberColumn(length, bytes(bits), offset, values=array("d", range(size)))

        if offset + length > size or (offset + length + 7) // 8 > bits:
            with pytest.raises(ValueError, match="too few"):
                column()
        else:
            assert len(column()) == length

    @pytest.mark.parametrize("kind", [ColumnValidity, lambda *sizes: NumberColumn(*sizes, values=b"")])
    @pytest.mark.parametrize(("length", "offset"), [(-1, 0), (0, -1), (2**63 - 1, 1), (1, 2**63 - 1)])
    def test_sizes_that_overflow(self, kind: Callable[..., object], length: int, offset: int) -> None:
        with pytest.raises(ValueError, match=r"negative|can't have"):
            kind(length, None, offset)

    def test_sizes_beyond_int64(self) -> None:
        with pytest.raises(OverflowError):
            ColumnValidity(2**63)

    @pytest.mark.parametrize("values", [None, [1.0], "text"])
    def test_no_buffers(self, values: Any) -> None:
        with pytest.raises((TypeError, BufferError)):
            NumberColumn(0, values=values)

    def test_a_buffer_stays_while_it_is_read(self) -> None:
        values = bytearray(struct.pack("2d", 2.0, 1.0))
        column = NumberColumn(2, values=values)
        with pytest.raises(BufferError):
            values.clear()
        del column
        values.clear()

    def test_unaligned_values_and_bits(self) -> None:
        values = memoryview(b"x" + struct.pack("5d", 7, 9, 8, -1, 2))[1:]
        # Rows 1 to 4 of the buffers, of which 9 and 2 are valid.
        column = NumberColumn(4, bytes([0b10010]), 1, values=values)
        rows, bits = Alignment(Segments([0, 4], 4), NumberColumn(4, values=array("d", range(4)))).interpolate(column)
        assert list(memoryview(rows).cast("d")) == pytest.approx([9, 9 - 7 / 3, 9 - 14 / 3, 2])
        assert bits == bytes([0b1111])


class TestSegments:
    @pytest.mark.parametrize(
        ("offsets", "message"),
        [
            ([], "begin with 0 and end with the number of rows, 3"),
            ([0], "end with the number of rows, 3"),
            ([0, 2], "end with the number of rows, 3"),
            ([1, 3], "offset 0 of the runs is 1"),
            ([0, 4], "offset 1 of the runs is 4"),
            ([0, 2, 1, 3], "offset 2 of the runs is 1"),
            ([0, -1, 3], "offset 1 of the runs is -1"),
            ([0, 2**70], "offset 1 of the runs"),
        ],
    )
    def test_offsets_that_are_none(self, offsets: list[int], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Segments(offsets, 3)

    @pytest.mark.parametrize("offsets", [None, 3, ["0"], [0, 3.0], [0, None]])
    def test_types(self, offsets: Any) -> None:
        with pytest.raises(TypeError):
            Segments(offsets, 3)

    def test_no_runs(self) -> None:
        assert len(Segments([0], 0)) == 0
        assert len(Segments(array("q", [0, 0, 2]), 2)) == 2


@pytest.mark.parametrize(
    "work",
    [
        lambda: select_extremes(RUNS, [THREE, FIVE], 2),
        lambda: select_triangles(RUNS, THREE, [FIVE], 2),
        lambda: select_triangles(RUNS, FIVE, [THREE], 2),
        lambda: Alignment(RUNS, FIVE),
        lambda: Alignment(RUNS, THREE).interpolate(FIVE),
        lambda: Alignment(RUNS, THREE).rows_of_values(ColumnValidity(5), carries=False),
        lambda: GroupAxis(RUNS, [0], FIVE, buckets=0, interpolates=False),
        lambda: GroupAxis(RUNS, [0], THREE, buckets=0, interpolates=False).statistics(FIVE),
        lambda: GroupAxis(RUNS, [0], THREE, buckets=0, interpolates=True).statistics(FIVE),
    ],
)
def test_columns_of_other_lengths(work: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="a column has 5 rows, and the runs have 3"):
        work()


@pytest.mark.parametrize("wrong", [None, "loss", b"12345678", ColumnValidity(3)])
@pytest.mark.parametrize(
    "work",
    [
        lambda wrong: select_extremes(RUNS, [wrong], 2),
        lambda wrong: select_triangles(RUNS, wrong, [], 2),
        lambda wrong: Alignment(RUNS, wrong),
        lambda wrong: Alignment(wrong, THREE),
        lambda wrong: Alignment(RUNS, THREE).interpolate(wrong),
        lambda wrong: GroupAxis(RUNS, [0], wrong, buckets=0, interpolates=False),
        lambda wrong: GroupAxis(RUNS, [0], THREE, buckets=0, interpolates=False).statistics(wrong),
    ],
)
def test_other_objects(work: Callable[[Any], object], wrong: Any) -> None:
    with pytest.raises(TypeError):
        work(wrong)


@pytest.mark.parametrize("samples", [1, 0, -5])
def test_too_few_samples(samples: int) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        select_extremes(RUNS, [THREE], samples)
    with pytest.raises(ValueError, match="at least 2"):
        select_triangles(RUNS, THREE, [THREE], samples)


def test_a_negative_tail() -> None:
    with pytest.raises(ValueError, match="negative"):
        select_tail(RUNS, -1)
    assert rows_of(select_tail(RUNS, 2**63 - 1)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("buckets", "interpolates"), [(-1, False), (1_000_001, False), (1, True), (-1, True), (2**63 - 1, True)]
)
def test_buckets(buckets: int, interpolates: bool) -> None:
    with pytest.raises(ValueError, match="buckets must be"):
        GroupAxis(RUNS, [0], THREE, buckets=buckets, interpolates=interpolates)


@pytest.mark.parametrize(
    ("groups", "error"), [([1], ValueError), ([-1], ValueError), ([], ValueError), (["0"], TypeError)]
)
def test_groups(groups: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        GroupAxis(RUNS, groups, THREE, buckets=0, interpolates=False)


@pytest.mark.parametrize("kind", ["d", "q"])
@given(data=st.data())
def test_any_bits_are_numbers(kind: str, data: st.DataObject) -> None:
    """Kernels return rows and cells that exist, whatever the numbers are: NaN of any payload, subnormals, extremes."""
    raw = data.draw(st.binary(min_size=0, max_size=40 * 8).map(lambda text: text[: len(text) // 8 * 8]))
    length = len(raw) // 8
    bits = data.draw(st.none() | st.binary(min_size=(length + 7) // 8, max_size=(length + 7) // 8))
    column = NumberColumn(length, bits, values=raw, is_integer=kind == "q")
    inner = sorted(data.draw(st.lists(st.integers(0, length), max_size=3)))
    runs = Segments([0, *inner, length], length)
    for rows, offsets in (select_extremes(runs, [column], 5), select_triangles(runs, column, [column], 5)):
        assert offsets[-1] == len(rows) // 8
        assert all(0 <= row < length for row in memoryview(rows).cast("q"))
    alignment = Alignment(runs, column)
    assert all(0 <= row < length for row in memoryview(alignment.last_rows()).cast("q"))
    numbers, _ = alignment.interpolate(column)
    assert len(numbers) == 8 * len(alignment)
    for buckets in (0, 2, 7):
        for interpolates in (False, True):
            axis = GroupAxis(runs, [0] * len(runs), column, buckets=buckets, interpolates=interpolates)
            assert {len(found) for found in axis.statistics(column).values()} == {8 * len(axis)}
            assert len(axis.cell_groups()) == len(axis.cell_positions()) == 8 * len(axis)
