"""Nothing is leaked: after rows, errors and scans there are as many references, objects and bytes as before."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan._core.pages.page import Page
from histscan._core.rows.locate import locate_value
from histscan._core.rows.scan import RowScan
from histscan._core.rows.summary_reducer import SummaryReducer
from histscan.errors import HistoryDecodeError, HistoryError
from tests.support import wire
from tests.support.encodings import history_body, sampled_body
from tests.support.log_samples import step_rows, write_run

LONG = "k" * 5_000

ROWS: list[dict[str, Any]] = [
    {"_step": 0, "loss": 0.5, "text": "é\n\u2028", "nan": float("nan"), "big": 2**100, LONG: {"a": [1, {"b": None}]}},
    {"_step": 1, "loss": 0.5, "text": "x" * 600 + "\n", "nan": float("inf"), "big": 2**63, LONG: []},
    {"_step": 2, "loss": 1e-7, "text": "", "nan": None, "big": -1, LONG: {}},
    {"_step": 3, "loss": True, "other": 1},
    {},
]
TEXTS = [json.dumps(row, ensure_ascii=False) for row in ROWS] * 3 + [
    '{"surrogate \\ud800": "\\udc00", "twice": 1, "twice": []}'
]
ITEMS = [[(key, json.dumps(value)) for key, value in row.items()] for row in ROWS] * 3
RECORDS = [
    wire.history_record([([*key.split("_"), "x"], text) for key, text in row], step) for step, row in enumerate(ITEMS)
]

MALFORMED = [
    *("", "nope", '{"a":', '{"a":[1,2', '{"a":"\\x"}', '{"a":"\\ud83d\\u12"}', '{"a":1,"a"}', '{"a":[{"b":{}},oops]}'),
    *("7" * 5_000, '{"new key %s":tru}', '{"a":1} x', '["' + "x" * 1000 + '\\q"]'),
]


def one_page(texts: list[str]) -> list[Page]:
    """A page of each kind, all with these rows."""
    items = [[("a", text)] for text in texts]
    return [
        TextPage(texts),
        HistoryPage(history_body(texts)),
        ProtobufPage(wire.page(items)),
        LogReader().read_window(wire.write_log(wire.history_record(row) for row in items), True),
    ]


def decode_rows() -> None:
    for page in (*one_page(TEXTS), SampledPage(sampled_body(TEXTS)), ProtobufPage(wire.page(ITEMS))):
        assert len(page.rows()) == len(page)
        page.rows()
        page.row(1)


def decode_some_rows() -> None:
    for page in one_page(TEXTS):
        page.row(2)


def scan_pages() -> None:
    class Pages(RowScan):
        def _load_next(self) -> None:
            self.page_offset += 1
            self._take_page(TextPage(TEXTS))

    scan = Pages(0, 4)
    assert len(list(scan)) == 4 * len(TEXTS)
    next(iter(scan))
    _ = scan.rows
    next(scan)


def fail_on_rows() -> None:
    for text in MALFORMED:
        for page in one_page(['{"a":1}', text, '{"a":1,"b":[2]}']):
            for attempt in (functools.partial(page.row, 1), page.rows):
                try:
                    attempt()
                except HistoryDecodeError:
                    continue
                raise AssertionError(text)


def fail_on_deep_rows() -> None:
    for text in ("[" * 1_200, '{"a":' * 1_200):
        with contextlib.suppress(HistoryDecodeError):
            TextPage([text]).rows()
            raise AssertionError


def fail_on_pages() -> None:
    body, message = history_body(TEXTS), wire.page(ITEMS)
    for make in (
        lambda: HistoryPage(body[:-9]).rows(),
        lambda: HistoryPage(body[:30]),
        lambda: HistoryPage(b'{"errors":[{"message":"no"}],"data":null}'),
        lambda: HistoryPage(b'{"data":{"project":null}}'),
        lambda: HistoryPage(b'{"data":{"project":{"run":{"history":["{}",1]}}}}'),
        lambda: SampledPage(sampled_body(TEXTS)[:-9]).rows(),
        lambda: SampledPage(b"[]"),
        lambda: ProtobufPage(message[:-5]).rows(),
        lambda: ProtobufPage(message + b"\x00").rows(),
        lambda: TextPage(["{}", 1]),  # type: ignore[arg-type]
    ):
        try:
            make()
        except HistoryError:
            continue
        raise AssertionError


def read_logs() -> None:
    log = wire.write_log(RECORDS + step_rows(range(5), size=40_000))
    for damage in (log, log[:-5], log[:50_000] + b"?" + log[50_001:], log[:7], log[:100_000] + bytes(50_000)):
        for skip_corrupt in (False, True):
            reader = LogReader(skip_corrupt)
            page: LogPage = reader.read_window(damage, True)
            page.step_range()
            page.records(wire.SUMMARY)
            try:
                page.rows()
            except HistoryDecodeError:
                assert not skip_corrupt


def fold_updates() -> None:
    fold = SummaryReducer()
    for count in range(30):
        items = [
            wire.item(f"key{count % 7}", str(count)),
            wire.item(["a", "b", str(count % 3)], '{"x": [1]}'),
            wire.item(LONG, "1"),
        ]
        fold.add(b"".join(wire.field(1, item) for item in items) + wire.field(2, wire.field(1, f"key{count % 5}")))
    assert fold.values()["a"]
    fold.add(wire.field(1, wire.item("bad", "oops")))
    try:
        fold.values()
    except HistoryDecodeError:
        return
    raise AssertionError


def locate_errors() -> None:
    for text in MALFORMED:
        locate_value(text.encode()[:5_000], 3)


WORK: dict[str, Callable[[], None]] = {
    work.__name__: work
    for work in (
        decode_rows,
        decode_some_rows,
        scan_pages,
        fail_on_rows,
        fail_on_deep_rows,
        fail_on_pages,
        read_logs,
        fold_updates,
        locate_errors,
    )
}


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run.wandb", [*RECORDS, *step_rows(range(20), size=10_000)])


def check_leaves_nothing(work: Callable[[], None]) -> None:
    """Does something over and over: caches fill up in time, but a leak takes more every time."""
    growth: list[tuple[int, int]] = []
    tracemalloc.start()
    try:
        held = (0, 0)
        for _ in range(25):
            for _ in range(4):
                work()
            gc.collect()
            now = (len(gc.get_objects()), tracemalloc.get_traced_memory()[0])
            growth.append((now[0] - held[0], now[1] - held[1]))
            held = now
            # Less than one object for each row would take. (Python's cache of attributes keeps a few strings.)
            if growth[-1][0] < 4 and growth[-1][1] < 4 * 150:
                return
    finally:
        tracemalloc.stop()
    raise AssertionError(f"objects and bytes left behind by each round: {growth}")


@pytest.mark.parametrize("name", WORK)
def test_work_leaves_nothing_behind(name: str) -> None:
    check_leaves_nothing(WORK[name])


def test_scans_of_files_leave_nothing_behind(log_file: Path) -> None:
    def scan_file() -> None:
        run = histscan.open(log_file)
        assert len(list(run.scan_history())) == len(RECORDS) + 20
        assert list(run.scan_history(keys=["missing"])) == []
        next(run.scan_history())
        assert run.lastHistoryStep == 19

    check_leaves_nothing(scan_file)


def test_a_leak_would_be_seen() -> None:
    kept: list[object] = []
    with pytest.raises(AssertionError):
        check_leaves_nothing(lambda: kept.append({"a": 1}))


def reference_counts(values: Iterable[object]) -> list[int]:
    """How often each value is referred to, counted the same way each time."""
    return [sys.getrefcount(value) for value in values]


def test_references_are_counted() -> None:
    """Constants and the bytes of pages have as many references as before."""
    body, message, texts, log = history_body(TEXTS), wire.page(ITEMS), list(TEXTS), wire.write_log(RECORDS)

    def use() -> None:
        for page in (HistoryPage(body), ProtobufPage(message), TextPage(texts), LogReader().read_window(log, True)):
            page.rows()
            page.row(0)
        for text in MALFORMED:
            with contextlib.suppress(HistoryDecodeError):
                TextPage([text]).row(0)

    inputs = [body, message, texts, texts[0], log]
    constants = [None, True, False, 0, 1, -1, "", "a", "_step", HistoryDecodeError, dict, list, float]
    for _ in range(3):
        use()
    inputs_before, constants_before = reference_counts(inputs), reference_counts(constants)
    for _ in range(20):
        use()
    gc.collect()
    assert reference_counts(inputs) == inputs_before
    # The interpreter's caches may take a few; a leak would take at least one each time, of rows that have many.
    counts = zip(constants, constants_before, reference_counts(constants), strict=True)
    assert [value for value, before, after in counts if abs(after - before) >= 20] == []


def test_values_belong_to_their_row_alone() -> None:
    text = '{"a":"some text","b":[1.5],"c":{"d":123456789},"e":"\\u00e9 and more","f":123456789012345678901234567890}'
    expected = json.loads(text)
    for page in (TextPage([text]), HistoryPage(history_body([text])), SampledPage(sampled_body([text]))):
        row = page.row(0)
        assert reference_counts(row.values()) == reference_counts(expected.values())
        assert reference_counts(row["c"].values()) == reference_counts(expected["c"].values())
        assert reference_counts(row["b"]) == reference_counts(expected["b"])


def test_pages_keep_their_bytes_alive_and_no_longer() -> None:
    for kind, data in (
        (HistoryPage, history_body(TEXTS)),
        (SampledPage, sampled_body(TEXTS)),
        (ProtobufPage, wire.page(ITEMS)),
    ):
        count = sys.getrefcount(data)
        page = kind(data)
        assert sys.getrefcount(data) == count + 1
        rows = page.rows()
        assert sys.getrefcount(data) == count + 1
        del page
        assert sys.getrefcount(data) == count
        assert len(rows) > 10


def test_scans_let_go_of_pages() -> None:
    data = [wire.page(ITEMS) + bytes(0) for _ in range(4)]
    counts = reference_counts(data)

    class Pages(RowScan):
        def _load_next(self) -> None:
            self._take_page(ProtobufPage(data[self.page_offset]))
            self.page_offset += 1

    scan = Pages(0, len(data))
    for index in range(len(data)):
        for _ in range(len(ITEMS)):
            next(scan)
        held = [now - before for now, before in zip(reference_counts(data), counts, strict=True)]
        assert held == [int(other == index) for other in range(len(data))]
    watch = weakref.ref(scan)
    del scan
    assert watch() is None
    assert reference_counts(data) == counts


def test_errors_keep_no_page_alive() -> None:
    data = wire.page([[("a", "1")], [("a", "oops")]])
    count = sys.getrefcount(data)
    try:
        ProtobufPage(data).rows()
    except HistoryDecodeError as error:
        kept = error.with_traceback(None)
    kept.__context__ = kept.__cause__ = None
    gc.collect()
    assert sys.getrefcount(data) == count
    assert kept.row == 1


def test_remembered_keys_are_bounded() -> None:
    """A scan whose every row has new keys does not grow with the rows."""

    class NewKeys(RowScan):
        def _load_next(self) -> None:
            first = self.page_offset * 1_000
            self._take_page(
                TextPage(
                    [
                        f'{{"key {index}":1,"more {index}":{{"inner {index}":2}}}}'
                        for index in range(first, first + 1_000)
                    ]
                )
            )
            self.page_offset += 1

    scan = NewKeys(0, 60)
    tracemalloc.start()
    try:
        for _ in range(20_000):
            next(scan)
        _, first_peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        while next(scan, None) is not None:
            pass
        _, later_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert later_peak < first_peak * 1.1


def colliding_keys(place: int) -> list[str]:
    """Keys of which many have the same hash, wherever the words of a key begin in the text around it.

    `hash_bytes` adds up the words of a long key, each times an odd factor: turning over the last bit but one of
    several words adds one of four sums.
    """
    keys = []
    for choice in range(256):
        letters = ["0"] * 88
        for word in range(8):
            if choice >> word & 1:
                letters[place + 8 * word] = "p"
        keys.append("".join(letters))
    return keys


@pytest.mark.parametrize("place", range(8))
def test_colliding_keys_take_no_memory(place: int) -> None:
    rows = [dict.fromkeys(colliding_keys(place), step) for step in range(8)]
    texts = [json.dumps(row) for row in rows]
    message = wire.page([[(key, json.dumps(value)) for key, value in row.items()] for row in rows])
    for make_page in (lambda: TextPage(texts), lambda: ProtobufPage(message)):

        class Pages(RowScan):
            def _load_next(self) -> None:
                self._take_page(make_page())  # noqa: B023
                self.page_offset += 1

        scan = Pages(0, 60)
        assert [next(scan) for _ in rows] == rows
        tracemalloc.start()
        try:
            for _ in scan:
                pass
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Each key that is remembered anew would take some 180 bytes, in each of 472 rows.
        assert held < 100_000
