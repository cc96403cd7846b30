"""Columns from several threads: side by side they are what one thread gives, and no builder takes two at a time."""

from __future__ import annotations

import gc
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import histscan
from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.pages.formats import ProtobufPage, TextPage
from histscan._core.pages.page import Page
from histscan.columns.scan import Scan
from histscan.errors import HistoryError
from tests.support import wire
from tests.support.column_rows import ENCODINGS, Pairs, build_table, in_parts, read_stream, table_of
from tests.support.log_samples import step_rows, write_run
from tests.support.threads import run_together

ROWS: list[Pairs] = [
    [
        ("_step", str(step)),
        ("loss", f"{step}.25"),
        ("text", f'"{step} é\\n"'),
        ("odd", '"\\ud800"' if step % 50 == 0 else "1"),
    ]
    for step in range(4_000)
]


@pytest.fixture(autouse=True)
def _short_turns() -> Iterator[None]:
    """Lets threads take turns far more often than they usually do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_builders_side_by_side(encoding: str) -> None:
    pages = [ENCODINGS[encoding](part) for part in in_parts(ROWS, 400)]
    expected = build_table(pages)

    def build() -> Any:
        builder = ColumnBuilder()
        # The same page objects in every thread: decoding its careful rows is shared work.
        for page in pages:
            builder.add_page(page)
        return table_of([builder.take_chunk()])

    for table in run_together(build, build, build):
        assert table.combine_chunks().equals(expected.combine_chunks())


@pytest.mark.parametrize("takes_care", [False, True])
def test_pages_of_arrow_side_by_side(takes_care: bool) -> None:
    columns = {
        "_step": pa.array(range(2_000)),
        "sparse": pa.array([step if step % 3 else None for step in range(2_000)]),
        "word": pa.array([f"word {step % 7}" for step in range(2_000)]).dictionary_encode(),
        "nested": pa.array([{"a": step, "b": [step / 4, None]} for step in range(2_000)]),
    }
    if takes_care:
        # Bytes are left to the decoder of rows.
        columns["bytes"] = pa.array([bytes([step % 256]) for step in range(2_000)])
    (batch,) = read_batches(pa.table(columns))
    pages = [ArrowPage([batch]) for _ in range(4)]
    expected = build_table([page.rows() for page in pages])

    def build() -> Any:
        return build_table(pages)

    for table in run_together(build, build, build):
        assert table.combine_chunks().equals(expected.combine_chunks())


def test_pages_in_the_middle_of_their_rows() -> None:
    page = ENCODINGS["protobuf"](ROWS)
    expected = page.rows()

    def rows() -> list[Any]:
        return [page.row(index) for index in range(len(page))]

    def build() -> Any:
        builder = ColumnBuilder()
        builder.add_page(page)
        return table_of([builder.take_chunk()])

    of_rows, table, again = run_together(rows, build, rows)
    assert of_rows == again == expected
    assert table.column("_step").to_pylist() == list(range(4_000))


def wide_page(first: int, count: int) -> Page:
    """A page that keeps a thread busy without the GIL for a while."""
    return ProtobufPage(
        wire.page([[(f"key{index}", str(step)) for index in range(5)] for step in range(first, first + count)])
    )


def check_chunk(chunk: ColumnChunk, rows: int) -> None:
    """Checks that every row of a chunk is one row of one page, whole."""
    table = table_of([chunk])
    assert table.num_rows == rows
    if not rows:
        # The page was refused while the chunk was taken.
        return
    columns = [table.column(f"key{index}").to_pylist() for index in range(5)]
    assert all(column == columns[0] for column in columns)
    assert None not in columns[0]


def test_one_builder_refuses_a_second_thread() -> None:
    pages = [wide_page(0, 60_000), wide_page(60_000, 6_000)]
    dicts = [{f"key{index}": step for index in range(5)} for step in range(2_000)]
    refused = 0
    for second in ("page", "pages", "rows", "chunk"):
        for _ in range(5):
            builder = ColumnBuilder()
            tasks: dict[str, Callable[[], Any]] = {
                "page": partial(builder.add_page, pages[1]),
                "pages": partial(builder.add_whole_pages, pages[1:]),
                "rows": partial(builder.add_rows, dicts),
                "chunk": builder.take_chunk,
            }
            sizes = {"page": 6_000, "pages": 6_000, "rows": 2_000, "chunk": 0}
            answers = run_together(partial(builder.add_page, pages[0]), tasks[second])
            errors = [answer for answer in answers if isinstance(answer, Exception)]
            assert all(type(error) is RuntimeError and "another thread" in str(error) for error in errors)
            refused += len(errors)
            added = (0 if answers[0] in errors else 60_000) + (0 if answers[1] in errors else sizes[second])
            if second == "chunk" and not errors:
                # Taken before or behind the page: nothing is lost either way.
                check_both(answers[1], builder.take_chunk(), added)
            else:
                check_chunk(builder.take_chunk(), added)
    assert refused


@pytest.fixture
def _threads_take_turns_wherever_objects_are_made() -> Iterator[None]:
    def on_collection(_phase: str, _info: dict[str, int]) -> None:
        # Python code, in which the interpreter may switch threads.
        for _ in range(50):
            pass

    before = gc.get_threshold()
    gc.callbacks.append(on_collection)
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(on_collection)


@pytest.mark.usefixtures("_threads_take_turns_wherever_objects_are_made")
@pytest.mark.parametrize("second", ["page", "pages", "rows", "chunk"])
def test_another_thread_comes_in_while_objects_are_made(second: str) -> None:
    page = wide_page(0, 40)
    dicts = [{f"key{index}": step for index in range(5)} for step in range(40)]
    for _ in range(1_000 if second == "chunk" else 100):
        builder = ColumnBuilder()
        tasks: dict[str, Callable[[], Any]] = {
            "page": partial(builder.add_page, page),
            "pages": partial(builder.add_whole_pages, [page]),
            "rows": partial(builder.add_rows, dicts),
            "chunk": builder.take_chunk,
        }
        answers = run_together(partial(builder.add_page, page), tasks[second])
        adders = answers[:1] if second == "chunk" else answers
        added = 40 * sum(not isinstance(answer, Exception) for answer in adders)
        taken = len(answers[1]) if isinstance(answers[1], ColumnChunk) else 0
        assert all(type(answer) is RuntimeError for answer in answers if isinstance(answer, Exception))
        assert taken + len(builder.take_chunk()) == added


def check_both(first: ColumnChunk, second: ColumnChunk, rows: int) -> None:
    """Checks two chunks, one of which has all the rows."""
    assert sorted([len(first), len(second)]) == [0, rows]
    check_chunk(first if len(first) else second, rows)


def test_many_threads_at_one_builder() -> None:
    builder = ColumnBuilder()
    page = wide_page(0, 40_000)
    refused = 0
    added = 0
    lock = threading.Lock()

    def add() -> None:
        nonlocal refused, added
        for _ in range(6):
            try:
                builder.add_page(page)
            except RuntimeError:
                with lock:
                    refused += 1
            else:
                with lock:
                    added += 1

    assert run_together(*[add] * 6) == [None] * 6
    assert refused + added == 36
    assert refused
    check_chunk(builder.take_chunk(), added * 40_000)


def test_a_refused_builder_is_as_good_as_before() -> None:
    builder = ColumnBuilder()
    answers: list[str] = []

    class Rows:
        """Rows that use the builder that takes them."""

        def __iter__(self) -> Iterator[dict[str, int]]:
            yield {"a": 1}
            for use in (
                lambda: builder.add_page(TextPage(['{"a":3}'])),
                builder.take_chunk,
                lambda: builder.add_rows([]),
            ):
                try:
                    use()
                except RuntimeError as error:
                    answers.append(str(error))
            yield {"a": 2}

    builder.add_rows(Rows())
    assert len(answers) == 3
    builder.add_page(TextPage(['{"a":4}']))
    assert table_of([builder.take_chunk()]).column("a").to_pylist() == [1, 2, 4]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two logs of several windows each."""
    folder = tmp_path_factory.mktemp("logs")
    log = write_run(folder / "run-a.wandb", step_rows(range(300), size=12_000))
    return [log, Path(shutil.copy(log, folder / "run-b.wandb"))]


def steps(table: Any) -> list[int]:
    """The steps of a table."""
    found: list[int] = table.column("_step").to_pylist()
    return found


def test_scans_side_by_side(logs: list[Path]) -> None:
    expected = [histscan.open(log).scan_history().to_arrow(threads=1) for log in logs]
    assert [steps(table) for table in expected] == [list(range(300))] * 2
    for threads in (1, 2):
        scans = [histscan.open(log).scan_history() for log in logs]
        tables = run_together(*[partial(scan.to_arrow, threads=threads) for scan in scans])
        for table, serial in zip(tables, expected, strict=True):
            assert table.combine_chunks().equals(serial.combine_chunks())


def batches_of(source: Any) -> Any:
    """A table of small batches."""
    return pa.Table.from_batches(source.batches(rows=50))


def test_threads_share_the_scan_of_a_log(logs: list[Path]) -> None:
    run = histscan.open(logs[0])
    scan = run.scan_history()
    for source in (scan, run):
        tables = run_together(
            partial(source.to_arrow, threads=1),
            partial(source.to_arrow, threads=2),
            partial(read_stream, source),
            partial(batches_of, source),
        )
        assert [steps(table) for table in tables] == [list(range(300))] * 4
    rows, table = run_together(partial(list, scan), partial(scan.to_arrow, threads=1))
    assert [row["_step"] for row in rows] == steps(table) == list(range(300))


def test_columns_amid_the_rows_and_batches_of_a_log(logs: list[Path]) -> None:
    scan = histscan.open(logs[0]).scan_history()
    found = []
    for index, row in enumerate(scan):
        found.append(row["_step"])
        if index in (0, 150, 299):
            assert steps(scan.to_arrow()) == list(range(300))
    assert found == list(range(300))
    found = []
    for batch in scan.batches(rows=70):
        found.extend(batch.column("_step").to_pylist())
        assert steps(read_stream(scan)) == list(range(300))
        assert next(iter(scan))["_step"] == 0
    assert found == list(range(300))


class PageScan(Scan):
    """Iterates over pages that are created again each time."""

    def __init__(self, count: int) -> None:
        super().__init__(0, count)

    def _load_next(self) -> None:
        first = self.page_offset
        self._take_page(TextPage([f'{{"_step":{step}}}' for step in range(first, min(first + 10, self._stop_step))]))
        self.page_offset += 10


def test_threads_share_a_scan() -> None:
    for _ in range(10):
        scan = PageScan(2_000)
        answers = run_together(*[partial(scan.to_arrow, threads=threads) for threads in (1, 1, 1, 2)])
        for answer in answers:
            if isinstance(answer, Exception):
                assert type(answer) is RuntimeError
                assert "scan" in str(answer)
            else:
                assert steps(answer) == list(range(2_000))
        # Whatever came of it, the scan is as good as new.
        assert steps(scan.to_arrow()) == list(range(2_000))
        assert [row["_step"] for row in scan] == list(range(2_000))


class SlowScan(PageScan):
    """A scan whose third page is long in coming."""

    def __init__(self, count: int) -> None:
        self.waits = threading.Event()
        self.goes_on = threading.Event()
        super().__init__(count)

    def _load_next(self) -> None:
        if self.page_offset == 20:
            self.waits.set()
            assert self.goes_on.wait(timeout=30)
        super()._load_next()


def test_a_scan_that_another_thread_reads_as_columns() -> None:
    for threads in (1, 2):
        scan = SlowScan(100)
        with ThreadPoolExecutor(1) as pool:
            table = pool.submit(scan.to_arrow, threads=threads)
            assert scan.waits.wait(timeout=30)
            for use in (scan.to_arrow, scan.__arrow_c_stream__, lambda: list(scan.batches())):  # noqa: B023
                with pytest.raises(RuntimeError, match="scan"):
                    use()
            scan.goes_on.set()
            assert steps(table.result(timeout=30)) == list(range(100))
        assert steps(scan.to_arrow()) == list(range(100))


def test_a_scan_read_as_rows_and_as_columns_at_once() -> None:
    for _ in range(10):
        scan = PageScan(2_000)
        rows, table = run_together(partial(list, scan), partial(scan.to_arrow, threads=1))
        for answer in (rows, table):
            if isinstance(answer, Exception):
                assert type(answer) is RuntimeError
            elif answer is rows:
                assert [row["_step"] for row in rows] == list(range(2_000))
            else:
                assert steps(table) == list(range(2_000))


def test_columns_amid_rows() -> None:
    scan = PageScan(100)
    found = []
    for row in scan:
        found.append(row["_step"])
        if row["_step"] % 17 == 0:
            # The iteration over rows continues where it was.
            assert steps(scan.to_arrow()) == list(range(100))
            assert [step for batch in scan.batches(rows=7) for step in steps(batch)] == list(range(100))
    assert found == list(range(100))


def test_a_scan_whose_pages_fail_is_free_again() -> None:
    scan = PageScan(100)
    load = scan._load_next

    def fail() -> None:
        if scan.page_offset == 50:
            raise HistoryError("no such page")
        load()

    scan._load_next = fail  # type: ignore[method-assign]
    for _ in range(2):
        for threads in (1, 2):
            with pytest.raises(HistoryError, match="no such page"):
                scan.to_arrow(threads=threads)
        with pytest.raises(HistoryError, match="no such page"):
            list(scan.batches())
        with pytest.raises(HistoryError, match="no such page"):
            list(scan)
    scan._load_next = load  # type: ignore[method-assign]
    assert steps(scan.to_arrow()) == list(range(100))
