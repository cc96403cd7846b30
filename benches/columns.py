"""Histories as columns: pages and logs to Arrow tables, with one thread and with two."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import Any

import pandas
import polars
import pyarrow
import pyarrow.json
import wandb

from benches.case import Case, Contestant, Scale
from benches.data import Pages, Row, encoded, history_body, plain_rows, service_page, shuffled, value_text
from benches.logs import RecordedLog, read_by_wandb, recorded
from benches.service import WANDB_SCAN, plain_answers
from histscan import open as open_log
from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import merge_columns
from histscan._core.pages.formats import HistoryPage, ProtobufPage
from histscan._core.pages.page import Page
from histscan.columns.chunks import ROWS_PER_CHUNK
from histscan.columns.scan import Scan

__all__ = ["COLUMN_CASES"]

_PAGES_AT_ONCE = 8

_THREE_KEYS = ["_step", "train/loss_00", "train/grad_norm_02"]


class _PageScan(Scan):
    """A scan of pages that are in memory."""

    def __init__(self, page_class: Callable[[bytes], Page], pages: list[bytes]) -> None:
        self._page_class = page_class
        self._page_bytes = pages
        super().__init__(0, len(pages))

    def _load_next(self) -> None:
        page = self._page_class(self._page_bytes[self.page_offset])
        self.page_offset += 1
        self._take_page(page)


def _to_arrow(
    page_class: Callable[[bytes], Page], inputs: Pages, *, keys: list[str] | None = None, threads: int = 1
) -> Iterator[pyarrow.Table]:
    yield _PageScan(page_class, inputs.pages).to_arrow(keys, threads=threads)


def _build_apart(inputs: Pages, *, threads: int) -> Iterator[list[ColumnChunk]]:
    """Builds columns in threads that share nothing: each has its own part of the pages, and its own builder."""
    size = -(-len(inputs.pages) // threads)
    parts = [inputs.pages[first : first + size] for first in range(0, len(inputs.pages), size)]
    built: list[list[ColumnChunk]] = [[] for _ in parts]

    def build(part: list[bytes], chunks: list[ColumnChunk]) -> None:
        builder = ColumnBuilder(expected_rows=ROWS_PER_CHUNK)
        for first in range(0, len(part), _PAGES_AT_ONCE):
            builder.add_whole_pages([ProtobufPage(page) for page in part[first : first + _PAGES_AT_ONCE]])
            chunks.append(builder.take_chunk())

    workers = [Thread(target=build, args=task) for task in zip(parts[1:], built[1:], strict=True)]
    for worker in workers:
        worker.start()
    build(parts[0], built[0])
    for worker in workers:
        worker.join()
    yield [chunk for chunks in built for chunk in chunks]


def _rows_of_chunks(parts: Iterable[list[ColumnChunk]]) -> Iterator[Row]:
    streams = (ArrowStream(merge_columns(chunks), chunks) for chunks in parts)
    return _rows_of_tables(pyarrow.RecordBatchReader.from_stream(stream).read_all() for stream in streams)


def _rows_of_tables(tables: Iterable[pyarrow.Table]) -> Iterator[Row]:
    """Yields the tables' rows with keys in alphabetical order, as columns and rows order keys differently."""
    for table in tables:
        yield from table.select(sorted(table.column_names)).to_pylist()


def _in_order(rows: Iterable[Row]) -> Iterator[Row]:
    return (dict(sorted(row.items())) for row in rows)


def _three_keys_of(tables: Iterable[pyarrow.Table]) -> Iterator[Row]:
    return _rows_of_tables(table.select(_THREE_KEYS) for table in tables)


def _read_ndjson(inputs: Pages) -> Iterator[pyarrow.Table]:
    assert inputs.others is not None
    yield polars.read_ndjson(io.BytesIO(inputs.others[0]))


def _rows_of_frames(frames: Iterable[polars.DataFrame]) -> Iterator[Row]:
    return _rows_of_tables(frame.to_arrow() for frame in frames)


def _read_json(inputs: Pages) -> Iterator[pyarrow.Table]:
    assert inputs.others is not None
    options = pyarrow.json.ReadOptions(use_threads=False)
    yield pyarrow.json.read_json(io.BytesIO(inputs.others[0]), read_options=options)


def _shuffled_rows(steps: Iterable[int]) -> Iterator[Row]:
    return shuffled(plain_rows(steps))


def _joined_lines(
    encode: Callable[[list[Row]], bytes], rows: Callable[[Iterable[int]], Iterator[Row]], scale: Scale
) -> Pages:
    """Makes pages, and all of their rows as JSON Lines."""
    inputs = encoded(scale, rows, encode)
    lines = "\n".join(map(value_text, rows(range(inputs.row_count)))).encode()
    return Pages(inputs.pages, inputs.page_rows, [lines])


def _pages_for_threads(scale: Scale) -> Pages:
    """Makes enough pages to keep two cores busy. Other load may take a core at any time: these cases have many rounds,
    and the best ones count."""
    return encoded(replace(scale, pages=20 * scale.pages), plain_rows, service_page)


def _both_forms(scale: Scale) -> Pages:
    """Makes pages of a wandb service: plain, and in the envelope that its client receives."""
    plain = encoded(scale, plain_rows, service_page)
    return Pages(plain.pages, plain.page_rows, plain_answers(scale).pages)


def _scan_by_wandb(inputs: Pages) -> Iterator[Row]:
    assert inputs.others is not None
    return iter(WANDB_SCAN(Pages(inputs.others, inputs.page_rows)))


def _log_to_arrow(log: RecordedLog) -> Iterator[pyarrow.Table]:
    yield open_log(log.path).to_arrow(threads=1)


def _log_to_pandas_by_wandb(log: RecordedLog) -> Iterator[pandas.DataFrame]:
    yield pandas.DataFrame(list(read_by_wandb(log)))


def _rows_of_pandas(frames: Iterable[pandas.DataFrame]) -> Iterator[Row]:
    for frame in frames:
        yield from _in_order(frame.to_dict("records"))


def _against_readers(
    kind: str,
    page_class: Callable[[bytes], Page],
    encode: Any,
    rows: Callable[[Iterable[int]], Iterator[Row]] = plain_rows,
) -> tuple[Case[Pages], ...]:
    """Compares an encoding with two JSON Lines readers, all with one thread."""
    ours = Contestant("histscan", partial(_to_arrow, page_class), _rows_of_tables)
    inputs = partial(_joined_lines, encode, rows)
    return (
        Case(
            f"arrow-{kind}-polars",
            f"{kind} pages to Arrow",
            inputs,
            Contestant(f"polars {polars.__version__}: lines", _read_ndjson, _rows_of_frames),
            ours,
            floor=3.0,
            rounds=15,
        ),
        Case(
            f"arrow-{kind}-pyarrow",
            f"{kind} pages to Arrow",
            inputs,
            Contestant(f"pyarrow {pyarrow.__version__}: lines", _read_json, _rows_of_tables),
            ours,
            floor=5.0,
            rounds=15,
        ),
    )


COLUMN_CASES: tuple[Case[Any], ...] = (
    Case(
        "arrow-wandb",
        "protobuf pages to Arrow",
        _both_forms,
        Contestant(f"wandb {wandb.__version__}: dicts", _scan_by_wandb, _in_order),
        Contestant("histscan", partial(_to_arrow, ProtobufPage), _rows_of_tables),
        floor=60.0,
        rounds=7,
    ),
    *_against_readers("protobuf", ProtobufPage, service_page),
    *_against_readers("graphql", HistoryPage, history_body),
    # wandb-core sends and logs rows in the order of Go's maps, which is random for each row.
    *_against_readers("shuffled", ProtobufPage, service_page, _shuffled_rows),
    Case(
        "arrow-threads",
        "protobuf pages to Arrow, two threads",
        _pages_for_threads,
        Contestant("one thread", partial(_to_arrow, ProtobufPage), _rows_of_tables),
        Contestant("two threads", partial(_to_arrow, ProtobufPage, threads=2), _rows_of_tables),
        floor=1.8,
        rounds=101,
        estimate=min,
    ),
    Case(
        "columns-threads",
        "columns of protobuf pages, each thread its own pages",
        _pages_for_threads,
        Contestant("one thread", partial(_build_apart, threads=1), _rows_of_chunks),
        Contestant("two threads", partial(_build_apart, threads=2), _rows_of_chunks),
        floor=1.8,
        rounds=101,
        estimate=min,
    ),
    Case(
        "arrow-keys",
        "3 of 23 keys to Arrow",
        lambda scale: encoded(scale, plain_rows, service_page),
        Contestant("all keys", partial(_to_arrow, ProtobufPage), _three_keys_of),
        Contestant("3 keys", partial(_to_arrow, ProtobufPage, keys=_THREE_KEYS), _three_keys_of),
        floor=3.0,
        rounds=31,
    ),
    Case(
        "arrow-graphql-keys",
        "3 of 23 keys to Arrow, graphql",
        lambda scale: encoded(scale, plain_rows, history_body),
        Contestant("all keys", partial(_to_arrow, HistoryPage), _three_keys_of),
        Contestant("3 keys", partial(_to_arrow, HistoryPage, keys=_THREE_KEYS), _three_keys_of),
        floor=None,
        rounds=31,
    ),
    Case(
        "arrow-log",
        "a .wandb log to Arrow",
        recorded,
        Contestant(f"wandb {wandb.__version__}, json, pandas", _log_to_pandas_by_wandb, _rows_of_pandas),
        Contestant("histscan", _log_to_arrow, _rows_of_tables),
        floor=25.0,
        rounds=3,
    ),
)
"""Columns against dict rows, against JSON Lines readers, and against other options of our own."""
