"""The steps of a log's rows: from the `_step` item, the `step` message, or the row before."""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.proto import wandb_internal_pb2

import histscan
from histscan import HistoryDecodeError, LogStepWarning
from histscan._core.keys.item_selection import ItemSelection
from histscan._core.pages.log_reader import LogReader
from histscan.columns.arrow_files import write_parquet
from histscan.runs.run_metadata import run_metadata
from tests.support import log_oracle, wire
from tests.support.column_rows import build_table
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import read_log, steps_of, write_run
from tests.support.paths import REAL_LOGS

READABLE = [path for path in sorted(REAL_LOGS.glob("*.wandb")) if "header-version" not in path.name]

STEP_TEXTS = ["0", "7", "-3", "12.0", "1e+06", "9223372036854775807", "-9223372036854775808"]
ODD_TEXTS = ['"5"', "5.5", "null", "true", "[1]", '{"a": 1}', "NaN", "-Infinity", "1e300", "9223372036854775808", " "]


def history(items: bytes, step: bytes | None = None) -> bytes:
    """A record of a row with these items, and this `step` message."""
    return wire.field(wire.HISTORY, items + (b"" if step is None else wire.field(2, step)))


def item(key: str, text: str) -> bytes:
    return wire.field(1, wire.field(2, key) + wire.field(16, text))


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_real_logs(path: Path) -> None:
    """The rows are those of wandb's own reader, with steps by the rules that the oracle has."""
    expected = log_oracle.rows_by_wandb(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LogStepWarning)
        run = histscan.open(path)
        assert fingerprint(list(run.scan_history())) == fingerprint(expected)
        assert run.to_arrow().num_rows == len(expected)
    assert len(expected) > 1


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_windows_of_steps_of_real_logs(path: Path) -> None:
    steps = log_oracle.steps_by_wandb(path.read_bytes())
    run = histscan.open(path)
    assert run.lastHistoryStep == max(steps)
    middle = sorted(steps)[len(steps) // 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LogStepWarning)
        for first, stop in ((middle, None), (0, middle), (middle, middle + 1)):
            rows = list(run.scan_history(min_step=first, max_step=stop))
            assert len(rows) == len([step for step in steps if first <= step and (stop is None or step < stop)])


def test_a_row_without_an_item_gets_the_number_of_its_message() -> None:
    rows = [history(item("x", "0"), wire.varint_field(1, step)) for step in (0, 5, 10)]
    assert read_log(wire.write_log(rows)).rows == [{"x": 0, "_step": step} for step in (0, 5, 10)]


def test_an_empty_message_is_step_0() -> None:
    records = [history(item("x", "0"), wire.varint_field(1, 4)), history(item("x", "1"), b"")]
    assert steps_of(read_log(wire.write_log(records)).rows) == [4, 0]


def test_a_row_with_neither_follows_the_row_before() -> None:
    records = [
        history(item("x", "0")),
        history(item("_step", "7") + item("x", "1")),
        history(item("x", "2")),
        history(item("x", "3"), wire.varint_field(1, 3)),
        history(item("x", "4")),
    ]
    for blocks in (1, 4):
        assert steps_of(read_log(wire.write_log(records), blocks=blocks).rows) == [0, 7, 8, 3, 4]


def test_rows_are_counted_across_windows() -> None:
    text = json.dumps("y" * 20_000)
    log = wire.write_log([history(item("x", text)) for _ in range(40)])
    for blocks in (1, 2, 100):
        assert steps_of(read_log(log, blocks=blocks).rows) == list(range(40))


def test_the_item_counts_where_item_and_message_differ() -> None:
    log = wire.write_log([history(item("_step", "8"), wire.varint_field(1, 3))])
    page = LogReader().read_window(log, True)
    assert (page.step_range(), page.rows()) == ((8, 8), [{"_step": 8}])


@pytest.mark.parametrize("text", STEP_TEXTS)
def test_whole_numbers_however_they_are_written(text: str) -> None:
    page = LogReader().read_window(wire.write_log([history(item("_step", text))]), True)
    step = int(float(text)) if "." in text or "e" in text else int(text)
    # The lowest number of 64 bits marks malformed rows; no real step has it.
    assert page.step_range() == (max(step, 1 - 2**63),) * 2
    assert fingerprint(page.rows()) == fingerprint([{"_step": json.loads(text)}])


@pytest.mark.parametrize("digits", [1, 2, 17, 18, 19])
@pytest.mark.parametrize(
    "message", [None, b"", wire.varint_field(1, 3), wire.varint_field(1, 2**63), b"\x08\x80", b"?"]
)
def test_whole_numbers_of_any_length(digits: int, message: bytes | None) -> None:
    """Between other items, before any message; one that can't be read does not matter to the row."""
    step = int("1234567890123456789"[:digits])
    items = [("loss", "0.5"), ("_step", str(step)), ("_sted", "7"), ("_step/x", "8"), ("a", '"' + "b" * 200 + '"')]
    rows = read_log(wire.write_log([history(b"".join(item(*pair) for pair in items), message)])).rows
    assert rows == [{key: json.loads(text) for key, text in items}]


@pytest.mark.parametrize("message", [b"\x08\x80", b"?", b"\x0a\x05", b"\x06\x06"])
def test_a_row_without_an_item_needs_its_message(message: bytes) -> None:
    records = [history(item("_step", "8")), history(item("x", "1"), message), history(item("_step", "9"))]
    log = wire.write_log(records)
    page = LogReader().read_window(log, True)
    assert (page.row(0), page.row(2)) == ({"_step": 8}, {"_step": 9})
    for attempt in (lambda: page.row(1), page.rows, lambda: build_table([page])):
        with pytest.raises(HistoryDecodeError) as caught:
            attempt()
        assert caught.value.row == 1
        assert caught.value.byte is not None
        assert log.index(message) <= caught.value.byte <= log.index(message) + len(message)
    # Whichever steps and keys are requested, the row stays for its error.
    page.select_steps(9, 10)
    page.select_keys(ItemSelection(["x"]))
    assert len(page) == 1
    with pytest.raises(HistoryDecodeError):
        page.row(0)


@pytest.mark.parametrize("message", [b"\x12\x05", b"\x12\x03\x08\x01", b"\x08\x80", b"\x10\xff"])
def test_fields_of_a_message_stay_within_it(message: bytes) -> None:
    """What follows the message would complete its last field."""
    record = wire.field(wire.HISTORY, wire.field(2, message) + item("x", "1234567"))
    with pytest.raises(DecodeError):
        wandb_internal_pb2.HistoryRecord.FromString(wire.field(2, message) + item("x", "1234567"))
    page = LogReader().read_window(wire.write_log([history(item("_step", "8")), record]), True)
    assert page.row(0) == {"_step": 8}
    with pytest.raises(HistoryDecodeError) as caught:
        page.row(1)
    assert caught.value.row == 1


@pytest.mark.parametrize("digits", [1, 2, 17, 18, 19])
@pytest.mark.parametrize("message", [None, b"", wire.varint_field(1, 3), wire.varint_field(1, 2**63)])
def test_steps_between_short_items(digits: int, message: bytes | None) -> None:
    step = int("1234567890123456789"[:digits])
    for names in (["a", "_step", "_sted", "_step/x"], ["_step"], ["_sted", "_step", "_step"]):
        items = b"".join(item(name, str(step if name == "_step" else 0)) for name in names)
        page = LogReader().read_window(wire.write_log([history(items, message)]), True)
        assert (page.step_range(), page.rows()[0]["_step"]) == ((step, step), step)


@pytest.mark.parametrize("text", ODD_TEXTS[:-1])
@pytest.mark.parametrize("message", [None, 6])
def test_steps_of_other_types_are_kept(text: str, message: int | None) -> None:
    step = None if message is None else wire.varint_field(1, message)
    log = wire.write_log([history(item("_step", "2")), history(item("x", "1") + item("_step", text), step)])
    reader = LogReader()
    page = reader.read_window(log, True)
    assert fingerprint(page.row(1)) == fingerprint({"x": 1, "_step": json.loads(text)})
    assert page.step_range() == (2, 3 if message is None else 6)
    assert (reader.odd_steps, reader.odd_step_at) == (1, len(wire.write_log([history(item("_step", "2"))])))


def test_a_warning_says_that_steps_are_of_other_types(tmp_path: Path) -> None:
    records = [history(item("_step", text)) for text in ("1", '"2"', "2.5", "null", "4")]
    run = histscan.open(write_run(tmp_path / "run.wandb", records))
    with pytest.warns(LogStepWarning, match="3 rows have a _step that is not a whole number") as caught:
        rows = list(run.scan_history())
    assert len(caught) == 1
    assert [row["_step"] for row in rows] == [1, "2", 2.5, None, 4]
    assert run.lastHistoryStep == 4
    with pytest.warns(LogStepWarning):
        assert [row["_step"] for row in run.scan_history(min_step=2, max_step=4)] == ["2", 2.5]


def test_nested_steps_are_containers() -> None:
    nested = wire.field(1, wire.field(2, "_step") + wire.field(2, "a") + wire.field(16, "1"))
    log = wire.write_log([history(nested)])
    reader = LogReader()
    page = reader.read_window(log, True)
    assert (page.rows(), page.step_range(), reader.odd_steps) == ([{"_step": {"a": 1}}], (0, 0), 1)


@pytest.mark.parametrize(
    "fields",
    [
        wire.field(1, "_step") + wire.field(16, "9"),
        wire.field(16, "9") + wire.field(2, "_step"),
        wire.field(16, "9") + wire.field(1, "_step"),
        wire.field(1, "other") + wire.field(1, "_step") + wire.field(16, "9"),
        wire.field(2, "_step") + wire.varint_field(99, 1) + wire.field(16, "9"),
        wire.field(2, "_step") + wire.varint_field(5, 18),
        wire.field(2, "_step") + wire.tag(6, wire.FIXED64) + struct.pack("<d", 9.0),
        wire.field(2, "_step") + wire.field(8, "9"),
        wire.field(2, "_step") + wire.field(16, "9") + wire.varint_field(5, 2),
        wire.field(2, "_step") + wire.field(16, "1") + wire.field(16, "9"),
    ],
    ids=range(10),
)
def test_items_in_any_shape_of_the_wire_format(fields: bytes) -> None:
    log = wire.write_log([history(item("before", "1") + wire.field(1, fields) + item("behind", "2"))])
    page = LogReader().read_window(log, True)
    assert page.step_range() == (9, 9)
    assert page.rows() == [{"before": 1, "_step": 9, "behind": 2}]


def test_names_that_only_look_like_it() -> None:
    names = ["_ste", "_step_", "x_step", "_stepx", "_STEP", "", "_step.a"]
    log = wire.write_log([history(b"".join(item(name, "5") for name in names), wire.varint_field(1, 3))])
    assert read_log(log).rows == [{**dict.fromkeys(names, 5), "_step": 3}]


def test_of_steps_given_twice_the_last_counts() -> None:
    log = wire.write_log([history(item("_step", "4") + item("x", "1") + item("_step", "6"))])
    page = LogReader().read_window(log, True)
    assert (page.rows(), page.step_range()) == ([{"_step": 6, "x": 1}], (6, 6))


def test_a_malformed_row_keeps_its_place_in_every_window() -> None:
    broken = wire.field(wire.HISTORY, wire.field(1, b"\x12\x7f"))
    log = wire.write_log([history(item("_step", "1")), broken, history(item("_step", "3"))])
    for first, stop in ((0, 10), (3, 4), (100, 200)):
        page = LogReader().read_window(log, True)
        page.select_steps(first, stop)
        kept = [step for step in (1, 3) if first <= step < stop]
        assert len(page) == len(kept) + 1
        with pytest.raises(histscan.HistoryDecodeError):
            page.rows()


rows_of_steps = st.lists(
    st.tuples(
        st.sampled_from(["none", "item", "odd"]),
        st.integers(-5, 40),
        st.none() | st.integers(0, 40),
        st.integers(0, 3),
    ),
    max_size=12,
)


def write_rows(rows: Sequence[tuple[str, int, int | None, int]]) -> bytes:
    records = []
    for kind, number, message, before in rows:
        items = b"".join(item(f"key{index}", str(index)) for index in range(before))
        if kind != "none":
            items += item("_step", str(number) if kind == "item" else ODD_TEXTS[number % 5])
        records.append(history(items + item("z", "0"), None if message is None else wire.varint_field(1, message)))
    return wire.write_log(records)


@given(rows_of_steps)
@settings(max_examples=200)
def test_any_rows_follow_the_rules(rows: list[tuple[str, int, int | None, int]]) -> None:
    log = write_rows(rows)
    assert fingerprint(read_log(log).rows) == fingerprint(log_oracle.rows_by_wandb(log))


@given(rows_of_steps)
@settings(max_examples=50)
def test_columns_have_the_steps_of_rows(rows: list[tuple[str, int, int | None, int]]) -> None:
    rows = [(kind if kind != "odd" else "none", *rest) for kind, *rest in rows]  # type: ignore[misc]
    reading = read_log(write_rows(rows))
    from histscan._core.arrow.arrow_stream import ArrowStream
    from histscan._core.columns.column_types import merge_columns
    from histscan.columns.chunks import build_chunks

    chunks = list(build_chunks(iter(reading.pages), keys=["_step"], flatten=False, rows=100))
    import pyarrow

    table = pyarrow.table(ArrowStream(merge_columns(chunks), chunks))
    assert table.column("_step").to_pylist() == steps_of(reading.rows)


@pytest.mark.parametrize("keys", [["x"], ["_step"], ["x", "_step"], ["_step", "x"]])
def test_keys_find_the_step_that_a_row_was_given(keys: list[str], tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.wandb", [history(item("x", str(number))) for number in range(3)])
    rows = list(histscan.open(path).scan_history(keys=keys))
    assert rows == [dict.fromkeys(keys, number) for number in range(3)]


def test_rows_that_go_back_are_in_every_window(tmp_path: Path) -> None:
    """A rewound run logs steps again: a scan may not end at the first step beyond its range."""
    steps = [*range(2_000), *range(500, 1_000)]
    records = [history(item("_step", str(step)) + item("x", json.dumps("y" * 2_000))) for step in steps]
    run = histscan.open(write_run(tmp_path / "run.wandb", records))
    expected = [step for step in steps if 400 <= step < 600]
    assert steps_of(run.scan_history(min_step=400, max_step=600)) == expected
    # Also when the whole log is known, and of a log that a scan may leave early.
    assert run.lastHistoryStep == 1_999
    assert steps_of(run.scan_history(min_step=400, max_step=600)) == expected


def test_steps_far_from_zero(tmp_path: Path) -> None:
    steps = [61_010, 10**8, 10**8, 2**62]
    run = histscan.open(write_run(tmp_path / "run.wandb", [history(item("_step", str(step))) for step in steps]))
    assert (steps_of(run.scan_history()), run.lastHistoryStep) == (steps, 2**62)
    assert steps_of(run.scan_history(min_step=61_011, max_step=10**8 + 1)) == [10**8, 10**8]


def mixed_steps(count: int) -> list[bytes]:
    """Rows of which some have a step of another type."""
    draw = random.Random(7)
    texts = [draw.choice([str(number), str(number), '"text"', "2.5", "null", "true"]) for number in range(count)]
    return [history(item("_step", text) + item("x", str(number))) for number, text in enumerate(texts)]


def test_our_own_export_reads_back_with_every_row(tmp_path: Path) -> None:
    run = histscan.open(write_run(tmp_path / "run.wandb", mixed_steps(50)))
    rows: list[dict[str, Any]] = []
    path = tmp_path / "history.parquet"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LogStepWarning)
        rows.extend(run.scan_history())
        windows = [list(run.scan_history(min_step=first, max_step=first + 9)) for first in range(0, 50, 7)]
        output = io.BytesIO()
        write_parquet(run.scan_history(), output, metadata=run_metadata(run))
    path.write_bytes(output.getvalue())
    exported = histscan.open(path)
    # A null cell is a missing key; the step that such a row is given is that of its place.
    given_back = list(exported.scan_history())
    assert [row["x"] for row in given_back] == [row["x"] for row in rows]
    assert all(
        row["_step"] is None or row["_step"] == back["_step"] for row, back in zip(rows, given_back, strict=True)
    )
    assert exported.lastHistoryStep == run.lastHistoryStep
    for first, window in zip(range(0, 50, 7), windows, strict=True):
        found = exported.scan_history(min_step=first, max_step=first + 9)
        assert [row["x"] for row in found] == [row["x"] for row in window]
    assert exported.to_arrow(["x"]).column("x").to_pylist() == [row["x"] for row in rows]
