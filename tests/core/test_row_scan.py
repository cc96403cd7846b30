"""RowScan: rows of the current page one by one, pages one after the other, whatever loads them."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.page import Page
from histscan._core.rows.scan import RowScan
from histscan.errors import HistoryDecodeError, HistoryError
from tests.support import wire
from tests.support.encodings import history_body, sampled_body
from tests.support.log_samples import steps_of

PAGE_SIZE = 10


class PageScan(RowScan):
    """A scan over windows of steps, whose pages a function makes anew each time."""

    def __init__(self, make_page: Callable[[int, int], Page], min_step: int, stop_step: int) -> None:
        self.make_page = make_page
        self.loads: list[tuple[int, int]] = []
        super().__init__(min_step, stop_step)

    def _load_next(self) -> None:
        window = (self.page_offset, min(self.page_offset + PAGE_SIZE, self._stop_step))
        self.loads.append(window)
        self._take_page(self.make_page(*window))
        self.page_offset += PAGE_SIZE


class ListScan(RowScan):
    """A scan as users of wandb's classes write them: its rows are assigned."""

    def _load_next(self) -> None:
        first = self.page_offset
        self.rows = [{"_step": step} for step in range(first, min(first + PAGE_SIZE, self._stop_step))]
        self.page_offset += PAGE_SIZE
        self.scan_offset = 0


def text_page(first: int, stop: int) -> Page:
    return TextPage([f'{{"_step":{step}}}' for step in range(first, stop)])


PAGES: dict[str, Callable[[int, int], Page]] = {
    "text": text_page,
    "history": lambda first, stop: HistoryPage(history_body([f'{{"_step":{step}}}' for step in range(first, stop)])),
    "sampled": lambda first, stop: SampledPage(sampled_body([f'{{"_step":{step}}}' for step in range(first, stop)])),
    "protobuf": lambda first, stop: ProtobufPage(wire.page([[("_step", str(step))] for step in range(first, stop)])),
}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize(("first", "stop"), [(0, 35), (7, 30), (0, 0), (5, 5), (9, 4), (0, 1), (0, 10), (0, 11)])
def test_rows_come_page_by_page(kind: str, first: int, stop: int) -> None:
    scan = PageScan(PAGES[kind], first, stop)
    assert steps_of(scan) == list(range(first, stop))
    assert scan.loads == [(start, min(start + PAGE_SIZE, stop)) for start in range(first, stop, PAGE_SIZE)]
    with pytest.raises(StopIteration):
        next(scan)


def test_attributes_are_those_of_wandbs_classes() -> None:
    scan = PageScan(text_page, 3, 25)
    assert (scan.min_step, scan._stop_step, scan.max_step, scan.page_offset, scan.scan_offset) == (3, 25, 24, 3, 0)
    assert scan.rows == []
    assert next(scan) == {"_step": 3}
    assert next(scan) == {"_step": 4}
    assert (scan.page_offset, scan.scan_offset) == (13, 2)
    assert steps_of(scan.rows) == list(range(3, 13))
    assert scan.rows is scan.rows
    assert next(scan) is scan.rows[2]
    scan.scan_offset = 9
    assert next(scan) == {"_step": 12}
    assert next(scan) == {"_step": 13}
    assert scan.rows[0] == {"_step": 13}
    with pytest.raises(AttributeError):
        scan.max_step = 3  # type: ignore[misc]


def test_is_an_iterator_like_any_other() -> None:
    scan = PageScan(text_page, 0, 5)
    assert isinstance(scan, Iterator)
    assert iter(scan) is scan
    assert weakref.ref(scan)() is scan
    scan.anything = 1  # type: ignore[attr-defined]
    assert scan.anything == 1  # type: ignore[attr-defined]


def test_next_needs_no_iter_and_iter_starts_over() -> None:
    scan = PageScan(text_page, 0, 35)
    for _ in range(13):
        next(scan)
    assert steps_of(scan) == list(range(35))
    assert steps_of(scan) == list(range(35))
    scan.min_step = 30
    assert steps_of(scan) == list(range(30, 35))


def test_rows_may_be_assigned() -> None:
    scan = ListScan(2, 33)
    assert steps_of(scan) == list(range(2, 33))
    assert next(iter(scan)) is scan.rows[0]
    scan.rows = [{"x": 1}, {"x": 2}]
    scan.scan_offset = 1
    assert next(scan) == {"x": 2}
    scan.rows = ({"y": index} for index in range(2))
    scan.scan_offset = 0
    assert [next(scan), next(scan)] == [{"y": 0}, {"y": 1}]
    rows = [{"z": 1}]
    scan.rows = rows
    assert scan.rows is rows
    scan.scan_offset = 0
    rows.append({"z": 2})
    assert [next(scan), next(scan)] == [{"z": 1}, {"z": 2}]


def test_empty_pages_do_not_end_a_scan() -> None:
    assert steps_of(PageScan(lambda first, stop: text_page(first, stop if first in (20, 60) else first), 0, 100)) == [
        *range(20, 30),
        *range(60, 70),
    ]


@pytest.mark.parametrize("offset", [-1, -(2**62), 10, 11, 2**62])
def test_offsets_beyond_the_page_load_the_next(offset: int) -> None:
    for scan in (PageScan(text_page, 0, 30), ListScan(0, 30)):
        next(scan)
        scan.scan_offset = offset
        assert next(scan) == {"_step": 10}


def test_base_class_loads_nothing() -> None:
    with pytest.raises(NotImplementedError):
        next(RowScan(0, 1))
    assert list(RowScan(0, 0)) == []


def test_errors_of_loading_pass_and_the_scan_can_go_on() -> None:
    failures = [ConnectionError("gone"), None]

    def flaky_page(first: int, stop: int) -> Page:
        if first == 10 and (failure := failures.pop(0)) is not None:
            raise failure
        return text_page(first, stop)

    scan = PageScan(flaky_page, 0, 20)
    assert [next(scan)["_step"] for _ in range(10)] == list(range(10))
    with pytest.raises(ConnectionError, match="gone"):
        next(scan)
    assert steps_of([next(scan) for _ in range(10)]) == list(range(10, 20))


BROKEN_PAGES: dict[str, Callable[[], Page]] = {
    "text": lambda: TextPage(['{"_step":0}', '{"_step":1}', '{"_step":nope}', '{"_step":3}']),
    "history": lambda: HistoryPage(history_body(['{"_step":0}', '{"_step":1}', '{"_step":', '{"_step":3}'])),
    "history, cut short": lambda: HistoryPage(history_body(['{"_step":0}', '{"_step":1}', '{"_step":2}'])[:-10]),
    "history, junk behind": lambda: HistoryPage(history_body(['{"_step":0}', '{"_step":1}'])[:-5] + b"nope"),
    "sampled": lambda: SampledPage(sampled_body(['{"_step":0}', '{"_step":1}', '{"_step":01}', '{"_step":3}'])),
    "sampled, escape": lambda: SampledPage(
        sampled_body(['{"_step":0}', '{"_step":1}', '{"_step":"\\x"}', '{"_step":3}'])
    ),
    "protobuf": lambda: ProtobufPage(wire.page([[("_step", text)] for text in ("0", "1", "", "3")])),
    "protobuf, cut short": lambda: ProtobufPage(wire.page([[("_step", text)] for text in "012"])[:-1]),
}


@pytest.mark.parametrize("kind", BROKEN_PAGES)
def test_rows_before_a_malformed_one_are_delivered(kind: str) -> None:
    def page(first: int, stop: int) -> Page:
        return BROKEN_PAGES[kind]() if first == 10 else text_page(first, stop)

    scan = PageScan(page, 0, 40)
    for _ in range(2):
        iterator = iter(scan)
        assert [next(iterator)["_step"] for _ in range(12)] == [*range(10), 0, 1]
        for _ in range(2):
            with pytest.raises(HistoryDecodeError, match="row 2, byte") as caught:
                next(iterator)
            assert isinstance(caught.value, ValueError)
            assert caught.value.row == 2
        with pytest.raises(HistoryDecodeError) as caught:
            _ = scan.rows
        assert caught.value.row == 2


def test_subclasses_tell_errors_where_they_are() -> None:
    class NamedScan(PageScan):
        def _add_location(self, error: HistoryError) -> None:
            error.add_location(run="team/project/run", page=f"up to {self.page_offset}", row=99)

    scan = NamedScan(lambda first, stop: TextPage(["[1, oops]"]), 0, 10)
    for attempt in (lambda: next(scan), lambda: scan.rows):
        with pytest.raises(HistoryDecodeError) as caught:
            attempt()
        assert str(caught.value) == (
            "a JSON value was expected (run team/project/run, page up to 10, row 0, byte 4, at `$[1]`)"
        )


def run_apart(program: str) -> None:
    """Runs a program that might crash the interpreter in one of its own."""
    program = textwrap.dedent(program)
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=600)
    assert finished.returncode == 0, f"exit status {finished.returncode}\n{finished.stdout}{finished.stderr}"


def test_a_subclass_that_skips_init_does_not_crash() -> None:
    run_apart("""
        from histscan._core.rows.scan import RowScan

        class Careless(RowScan):
            def __init__(self):
                pass

        uses = (next, iter, list, lambda scan: scan.rows, lambda scan: scan.max_step, lambda scan: scan._load_next())
        for use in uses:
            try:
                use(Careless())
            except Exception as error:
                print(type(error))

        class Lister(Careless):
            def _load_next(self):
                self.rows = [1, 2]
                self.page_offset = 10

        scan = Lister()
        scan.page_offset, scan._stop_step = 0, 10
        assert [next(scan), next(scan)] == [1, 2]
    """)


def test_pages_made_the_wrong_way_do_not_crash() -> None:
    run_apart("""
        from histscan._core.pages.log_page import LogPage
        from histscan._core.pages.page import Page
        from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
        from histscan._core.rows.scan import RowScan

        for kind in (Page, LogPage):
            page = kind.__new__(kind)
            assert len(page) == 0 and page.rows() == []
            try:
                page.row(0)
            except IndexError:
                pass
            else:
                raise AssertionError(kind)
        for kind in (HistoryPage, ProtobufPage, SampledPage, TextPage):
            try:
                kind.__new__(kind)
            except TypeError:
                pass
            else:
                raise AssertionError(kind)
        for wrong in (None, 1, "page", [], object()):
            try:
                RowScan(0, 1)._take_page(wrong)
            except TypeError:
                pass
            else:
                raise AssertionError(wrong)
    """)


def test_a_page_that_is_initialised_again_stays_as_it_is() -> None:
    run_apart("""
        import gc
        import pyarrow
        from histscan._core.arrow.arrow_batch import ArrowBatch
        from histscan._core.arrow.arrow_rows import ArrowPage
        from histscan._core.columns.column_builder import ColumnBuilder
        from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
        from histscan._core.pages.log_reader import LogReader
        from tests.support import wire
        from tests.support.encodings import history_body, sampled_body

        def texts(count):
            # The second text has an escape that must be decoded before the row is read.
            return ['{"_step":1,"a":2.5}', '{"_step":2,"a":3.5,"text":"\\\\u00e9\\\\n"}'] * count

        def items(count):
            return [[("_step", "1"), ("a", "2.5")]] * count

        def log_page(count):
            records = [wire.history_record([(["a"], "2.5")], step=step) for step in range(count)]
            return LogReader().read_window(wire.write_log(records), True)

        def batches(count):
            table = pyarrow.table({"_step": list(range(count)), "a": [0.5] * count})
            return [ArrowBatch(batch) for batch in table.to_batches()]

        kinds = {
            HistoryPage: lambda count: (history_body(texts(count)),),
            SampledPage: lambda count: (sampled_body(texts(count)),),
            TextPage: lambda count: (texts(count),),
            ProtobufPage: lambda count: (wire.page(items(count)),),
            ArrowPage: lambda count: (batches(count),),
        }
        pages = [kind(*arguments(500)) for kind, arguments in kinds.items()] + [log_page(500)]
        for page in pages:
            rows = page.rows()
            assert len(rows) >= 500
            for count in (0, 1, 2_000):
                # Another body, whose spans would be others; and none, which `object.__init__` accepts.
                for arguments in (kinds[type(page)](count) if type(page) in kinds else (), (), (None,)):
                    try:
                        page.__init__(*arguments)
                    except TypeError:
                        pass
                    del arguments
                    gc.collect()
                    assert page.rows() == rows, page
            builder = ColumnBuilder(expected_rows=len(rows))
            builder.add_page(page)
            assert builder.row_count == len(rows)
    """)


class Churn:
    """Garbage in a cycle, whose finalizer runs whenever the collector does: amid any allocation."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act
        self.cycle = self

    def __del__(self) -> None:
        self.act()


@pytest.mark.parametrize("kind", PAGES)
def test_a_finalizer_that_uses_the_scan_amid_a_row(kind: str) -> None:
    """Python code can run within any allocation; it may even move the scan on."""
    scan = PageScan(PAGES[kind], 0, 5_000)
    seen: list[dict[str, Any]] = []
    busy = False

    def take_rows() -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        for _ in range(15):
            seen.extend([row for row in [next(scan, None)] if row is not None])
        busy = False

    thresholds = gc.get_threshold()
    gc.set_threshold(5, 2, 2)
    try:
        while (row := next(scan, None)) is not None:
            seen.append(row)
            Churn(take_rows)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert set(steps_of(seen)) <= set(range(5_000))
    assert all(row == {"_step": step} for row, step in zip(seen, steps_of(seen), strict=True))


def rows_of_threads(scan: RowScan, thread_count: int = 4) -> list[list[dict[str, Any]]]:
    """Lets threads take rows from one scan at once; gives what each got, and raises what any of them met."""
    taken: list[list[dict[str, Any]]] = [[] for _ in range(thread_count)]
    failures: list[BaseException] = []
    start = threading.Barrier(thread_count)

    def take(rows: list[dict[str, Any]]) -> None:
        start.wait()
        try:
            while (row := next(scan, None)) is not None:
                rows.append(row)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=take, args=(rows,)) for rows in taken]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if failures:
        raise failures[0]
    return taken


@pytest.mark.parametrize("kind", [*PAGES, "list"])
def test_threads_share_a_scan(kind: str) -> None:
    scan = ListScan(0, 20_000) if kind == "list" else PageScan(PAGES[kind], 0, 20_000)
    counts = Counter(step for rows in rows_of_threads(scan) for step in steps_of(rows))
    assert max(counts.values()) == 1
    assert set(counts) == set(range(20_000))


def test_threads_each_with_their_own_scan() -> None:
    scans = [PageScan(page, 0, 3_000) for page in (*PAGES.values(), *PAGES.values())]
    results: list[Sequence[int]] = [[] for _ in scans]

    def run(index: int) -> None:
        results[index] = steps_of(scans[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(scans))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [list(range(3_000))] * len(scans)
