"""What the core does, as operations in which any allocation may fail.

Nothing here calls pyarrow while allocations fail: what it makes is made before, and what it reads is read afterwards.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow

from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage, take_rows
from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_types import merge_columns
from histscan._core.keys.item_selection import ItemSelection
from histscan._core.memory.pooled_bytes import PooledBytes
from histscan._core.pages.formats import HistoryPage, LinesPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.log_reader import LogReader
from histscan._core.pages.page import Page
from histscan._core.rows.scan import RowScan
from histscan._core.rows.summary_reducer import SummaryReducer
from histscan._core.series.group_statistics import GroupAxis
from histscan._core.series.number_column import NumberColumn, Segments
from histscan._core.series.row_alignment import Alignment
from histscan._core.series.row_sampling import select_extremes, select_tail, select_triangles
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.arrow_samples import SAMPLES
from tests.support.encodings import history_body, sampled_body

LONG = "k" * 400
ROWS: list[dict[str, Any]] = [
    {
        "_step": step,
        "loss": step / 7,
        "count": step * 10**6,
        "ok": step % 2 == 0,
        "text": "é\n\u2028" * (step % 4),
        "emoji": "\U0001f600 " + "x" * 60,
        "big": 2**70 + step,
        "wide": 2**63 + step,
        "nan": float("nan") if step % 3 else None,
        "list": [step, 0.5, None],
        "nested": {"a": [1, {"b": None}], "c": {"d": step}},
        LONG: "" if step % 5 else {"x": [step]},
        f"new {step % 6}": step,
        **({"rare": step} if step % 8 == 3 else {}),
        **({"mixed": "text" if step % 3 else 1.5} if step % 2 else {}),
    }
    for step in range(11)
]
TEXTS = [json.dumps(row, ensure_ascii=False) for row in ROWS]
SURROGATES = '{"_step":11,"surrogate \\ud800":"\\udc00","twice":1,"twice":[]}'
ITEMS = [[(key, json.dumps(value)) for key, value in row.items()] for row in ROWS]
NESTED_ITEMS = [
    [*((["_step"], str(step)), (["layer", "a", "x"], "1.5"), (["layer", "b"], "[1]"), (["plain"], '"t"'))]
    for step in range(8)
]
RECORDS = [
    *(wire.history_record(row) for row in ITEMS[:5]),
    *(wire.history_record(row) for row in NESTED_ITEMS),
    # A record of several chunks, and rows that are given their step.
    wire.history_record([("large", json.dumps("y" * 40_000))], 8),
    wire.history_record([("loss", "0.5")], 9),
]
LOG = wire.write_log(RECORDS)
PROTOBUF = wire.page(ITEMS)
HISTORY = history_body([*TEXTS, SURROGATES])
SAMPLED = sampled_body([*TEXTS, SURROGATES])
TEXT = [*TEXTS, SURROGATES]


@dataclass(frozen=True)
class Operation:
    """What may fail, and how to see that it has not.

    Attributes:
        prepare: Makes the objects that it works on. No allocation fails meanwhile.
        work: Does it. Any allocation may fail.
        show: Makes something comparable of the result. No allocation fails meanwhile.
        repeats: True if the same objects must give the right result when it is done again after a failure. Otherwise
            they may be used up, and raise an error that says so.
    """

    prepare: Callable[[], Any]
    work: Callable[[Any], Any]
    show: Callable[[Any], str] = repr
    repeats: bool = True


class Capsules:
    """Capsules that were made before, as an object that hands them over."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def __arrow_c_array__(self, requested_schema: object | None = None) -> Any:
        return self._made


class OnePage(RowScan):
    """A scan of pages that are there."""

    def __init__(self, make: Callable[[], Page]) -> None:
        super().__init__(0, 3)
        self._make = make

    def _load_next(self) -> None:
        page = self._make()
        self.page_offset += 1
        self._take_page(page)


def read_window() -> Page:
    window = PooledBytes(len(LOG))
    memoryview(window)[:] = LOG
    return LogReader().read_window(memoryview(window).toreadonly(), True)


PAGES: dict[str, Callable[[], Page]] = {
    "protobuf": lambda: ProtobufPage(PROTOBUF),
    "history": lambda: HistoryPage(HISTORY),
    "sampled": lambda: SampledPage(SAMPLED),
    "text": lambda: TextPage(TEXT),
    "lines": lambda: LinesPage("\n".join(TEXTS).encode()),
    "log": read_window,
}


def add_page(builder: ColumnBuilder, page: Page) -> Any:
    first = 0
    while first < len(page):
        first = builder.add_page(page, first)
    return builder.take_chunk()


def add_rows(_: None) -> Any:
    builder = ColumnBuilder()
    builder.add_rows(ROWS)
    return builder.take_chunk()


def add_whole_pages(pages: list[Page]) -> Any:
    builder = ColumnBuilder()
    added, rows = builder.add_whole_pages(pages)
    for page in pages[added:]:
        while rows < len(page):
            rows = builder.add_page(page, rows)
        rows = 0
    return builder.take_chunk()


def show_chunk(chunk: Any) -> Any:
    columns = merge_columns([chunk])
    table = pyarrow.table(ArrowStream(columns, [chunk]))
    table.validate(full=True)
    rows = [{name: plain(cell) for name, cell in row.items()} for row in table.to_pylist()]
    return repr((chunk.names, columns, rows))


def plain(cell: Any) -> Any:
    """A value of JSON text: the slow path has other white space."""
    return json.loads(cell) if isinstance(cell, str) and cell[:1] in ("{", "[") else cell


def make_chunk(page: str = "protobuf") -> Any:
    return add_page(ColumnBuilder(), PAGES[page]())


def export_and_import(chunks: Any) -> Any:
    stream = ArrowStream(merge_columns(chunks), chunks)
    return [page_rows for batch in read_batches(stream) for page_rows in ArrowPage([batch]).rows()]


def make_page(make: Callable[[], Page]) -> int:
    return len(make())


def scan_rows(make: Callable[[], Page]) -> Any:
    return list(OnePage(make))


def continue_scan(make: Callable[[], Page]) -> Any:
    scan = OnePage(make)
    # Room for all rows, so that none is lost here.
    rows: list[Any] = [None] * 100
    count = failures = 0
    while True:
        try:
            rows[count] = next(scan)
            count += 1
        except StopIteration:
            return rows
        except MemoryError:
            failures += 1
            if failures > 3:
                raise


def keep_selected(page: Any) -> Any:
    page.select_keys(ItemSelection(["loss", "nested.c", "layer.a", "layer.b", "missing"]))
    page.select_steps(2, 9)
    return page.rows(), page.step_range(), page.records(wire.HISTORY)


def reduce_summary(reducer: SummaryReducer) -> Any:
    for count in range(12):
        items = [
            wire.item(f"key{count % 7}", str(count)),
            wire.item(["a", "b", str(count % 3)], '{"x": [1]}'),
            wire.item(LONG, '"é"'),
        ]
        reducer.add(b"".join(wire.field(1, item) for item in items) + wire.field(2, wire.field(1, f"key{count % 5}")))
    return reducer.values()


def fail_on_rows(page: Any) -> Any:
    try:
        return page.rows()
    except HistoryDecodeError as error:
        return str(error)


def numbers(values: list[float | None]) -> NumberColumn:
    validity = bytearray((len(values) + 7) // 8)
    for place, value in enumerate(values):
        validity[place // 8] |= (value is not None) << place % 8
    floats = array("d", [0.0 if value is None else value for value in values])
    return NumberColumn(len(values), bytes(validity), values=floats.tobytes())


SERIES_X: list[float | None] = [float(place % 40 if place % 7 else 40 - place % 40) for place in range(120)]
SERIES_Y: list[float | None] = [place * 0.5 if place % 5 else None for place in range(120)]


def reduce_series(series: Any) -> Any:
    x, y = series
    segments = Segments([0, 40, 80, 120], 120)
    alignment = Alignment(segments, x)
    axis = GroupAxis(segments, [0, 0, 1], x, buckets=5, interpolates=False)
    lines = GroupAxis(segments, [0, 0, 1], x, buckets=5, interpolates=True)
    return (
        alignment.last_rows(),
        alignment.rows_of_values(y, carries=True),
        alignment.interpolate(y),
        (axis.cell_groups(), axis.cell_positions(), axis.statistics(y)),
        lines.statistics(y),
        select_extremes(segments, [y], 8),
        select_triangles(segments, x, [y], 8),
        select_tail(segments, 3),
    )


def arrow_batch(names: list[str] | None = None) -> Any:
    columns = {name: sample for name, sample in SAMPLES.items() if names is None or name in names}
    rows = min(map(len, columns.values()))
    return pyarrow.record_batch({"_step": list(range(rows))} | {name: cells[:rows] for name, cells in columns.items()})


def read_arrow(source: Any, keys: list[str] | None = None) -> Any:
    batch = ArrowBatch(source, keys=keys)
    batch.order_by_step(0, 100)
    page = take_rows([batch])
    return page.rows(), page.segments(), page.last_values()


def arrow_columns(source: Any) -> Any:
    batch = ArrowBatch(source)
    batch.order_by_step(0, 100)
    return add_page(ColumnBuilder(), take_rows([batch]))


OPERATIONS: dict[str, Operation] = {
    **{f"index {name}": Operation(partial(PAGES.get, name), make_page) for name in PAGES},
    **{f"rows of {name}": Operation(make, lambda page: page.rows()) for name, make in PAGES.items()},
    **{f"row of {name}": Operation(make, lambda page: page.row(7)) for name, make in PAGES.items()},
    **{f"scan on {name}": Operation(partial(PAGES.get, name), continue_scan) for name in ("protobuf", "log")},
    **{f"scan {name}": Operation(partial(PAGES.get, name), scan_rows) for name in PAGES},
    **{
        f"columns of {name}": Operation(make, lambda page: add_page(ColumnBuilder(), page), show_chunk)
        for name, make in PAGES.items()
    },
    **{
        f"flat columns of {name}": Operation(make, lambda page: add_page(ColumnBuilder(flatten=True), page), show_chunk)
        for name, make in PAGES.items()
    },
    **{
        f"some columns of {name}": Operation(
            make, lambda page: add_page(ColumnBuilder(["loss", "nested.c", "layer.a", "none"]), page), show_chunk
        )
        for name, make in PAGES.items()
    },
    "columns of dicts": Operation(
        lambda: None,
        add_rows,
        show_chunk,
    ),
    "whole pages": Operation(
        lambda: [ProtobufPage(PROTOBUF), ProtobufPage(PROTOBUF)],
        add_whole_pages,
        show_chunk,
    ),
    "Arrow of chunks": Operation(
        lambda: [make_chunk(), make_chunk("log"), make_chunk("text")], export_and_import, repeats=False
    ),
    "selected rows of a log": Operation(read_window, keep_selected),
    "selection": Operation(lambda: None, lambda _: ItemSelection(["a.b", "a", "c.d.e", LONG]).keys),
    "summary": Operation(lambda: None, lambda _: reduce_summary(SummaryReducer())),
    "series": Operation(lambda: (numbers(SERIES_X), numbers(SERIES_Y)), reduce_series),
    "Arrow rows": Operation(lambda: Capsules(arrow_batch().__arrow_c_array__()), read_arrow, repeats=False),
    "Arrow rows of keys": Operation(
        lambda: Capsules(arrow_batch().__arrow_c_array__()),
        lambda source: read_arrow(source, ["_step", "json.a", "struct.b.c", "text", "none"]),
        repeats=False,
    ),
    "Arrow columns": Operation(
        lambda: Capsules(arrow_batch(["text", "int64", "double", "struct", "list", "json"]).__arrow_c_array__()),
        arrow_columns,
        show_chunk,
        repeats=False,
    ),
    "malformed rows": Operation(lambda: HistoryPage(history_body([*TEXTS[:3], '{"a":[1,{"b":tru}]}'])), fail_on_rows),
    "malformed items": Operation(lambda: ProtobufPage(wire.page([*ITEMS[:3], [("a", '{"a":[1,2')]])), fail_on_rows),
}
