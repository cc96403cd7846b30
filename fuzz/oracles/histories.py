"""Rows of logs by their `HistoryRecord` messages: values, steps, and the choice of steps and keys.

The input is a byte of options, two steps of eight bytes, and messages after their lengths. The checksums of the log
that is written around them are right.
"""

from __future__ import annotations

import math
from array import array
from typing import Any

from fuzz.inputs import Input, messages_of
from fuzz.oracles.messages import NoRowError, history_row, is_shallow_message, parse, step_message
from histscan._core.keys.item_selection import ItemSelection
from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.json_corpus import fingerprint

Row = dict[str, Any]

_HIGHEST = 2**63 - 1


def check(data: bytes) -> None:
    """Checks the rows of a log."""
    taken = Input(data)
    options, low, stop = taken.byte(), taken.int64(), taken.int64()
    messages = messages_of(taken.rest())
    if not all(map(is_shallow_message, messages)):
        return
    log = wire.write_log(wire.field(wire.HISTORY, message) for message in messages)
    expected, is_whole = expected_rows(messages)
    check_rows(read(log), expected, is_whole)
    if options & 1:
        check_selected_steps(log, expected, is_whole, low, stop)
    if options & 2:
        check_dropped_steps(log, expected, is_whole)
    if options & 4:
        check_selected_keys(log, expected, is_whole)


def read(log: bytes) -> LogPage:
    """Returns all of a log as one page."""
    return LogReader().read_window(log, True)


def expected_rows(messages: list[bytes]) -> tuple[list[Row], bool]:
    """Returns the rows up to the first that is malformed, each with its step; and True if none is."""
    rows: list[Row] = []
    before = -1
    for message in messages:
        try:
            row, before = row_with_step(message, before)
        except NoRowError:
            return rows, False
        rows.append(row)
    return rows, True


def row_with_step(message: bytes, before: int) -> tuple[Row, int]:
    """Returns a row, with its step as its last key if it has none, and its step.

    The step is `_step` if that is a whole number, else the number of the `step` message, else one more than before.

    Raises:
        NoRowError: The row is malformed.
    """
    row = history_row(message)
    try:
        number = step_message(parse("History", message))
    except NoRowError:
        # The row is as good without its message, but its step is not known.
        if "_step" not in row:
            raise
        return row, before
    if (step := whole_step(row.get("_step"))) is not None:
        return row, step
    step = min(before + 1, _HIGHEST) if number is None else max(number, -_HIGHEST)
    return row if "_step" in row else {**row, "_step": step}, step


def whole_step(value: Any) -> int | None:
    """Returns the step that a value of `_step` means; None if that is not a whole number of 64 bits."""
    if type(value) is float and not (-(2**63) < value < 2**63 and value == math.floor(value)):
        return None
    if type(value) not in (int, float) or not -(2**63) <= value < 2**63:
        return None
    return max(int(value), -_HIGHEST)


def check_rows(page: LogPage, expected: list[Row], is_whole: bool) -> None:
    """Checks the rows of a page, and the error of the first one that is malformed."""
    for place, row in enumerate(expected):
        assert fingerprint(page.row(place)) == fingerprint(row)
    if is_whole:
        assert len(page) == len(expected)
        assert fingerprint(page.rows()) == fingerprint(expected)
        return
    try:
        rows = page.rows()
    except HistoryDecodeError as error:
        assert error.row == len(expected), (error.row, len(expected))
        assert error.byte is not None
        return
    raise AssertionError(f"row {len(expected)} is malformed, but all rows are {rows!r:.200}")


def check_selected_steps(log: bytes, expected: list[Row], is_whole: bool, low: int, stop: int) -> None:
    """Checks that a range of steps has the rows whose steps are within it."""
    page = read(log)
    steps: array[int] = array("q")
    page.add_steps_to(steps)
    if not is_whole or len(steps) != len(expected):
        return
    for row, step in zip(expected, steps, strict=True):
        assert whole_step(row["_step"]) in (step, None)
    assert page.step_range() == ((min(steps), max(steps)) if steps else None)
    page.select_steps(low, stop)
    kept = [row for row, step in zip(expected, steps, strict=True) if low <= step < stop]
    assert fingerprint(page.rows()) == fingerprint(kept)


def check_dropped_steps(log: bytes, expected: list[Row], is_whole: bool) -> None:
    """Checks that dropping every other step, and then every other row, leaves the rest."""
    page = read(log)
    steps: array[int] = array("q")
    page.add_steps_to(steps)
    if not is_whole or len(steps) != len(expected) or not steps:
        return
    dropped = array("q", sorted(set(steps))[::2])
    kept = [row for row, step in zip(expected, steps, strict=True) if step not in dropped]
    assert page.drop_steps(dropped) == len(expected) - len(kept)
    assert fingerprint(page.rows()) == fingerprint(kept)
    page.drop_rows(set(range(0, len(kept), 2)))
    assert fingerprint(page.rows()) == fingerprint(kept[1::2])


def check_selected_keys(log: bytes, expected: list[Row], is_whole: bool) -> None:
    """Checks that rows of some keys are the rows that have all of them, with these keys only."""
    page = read(log)
    keys = ("_step", "a")
    page.select_keys(ItemSelection(keys))
    if is_whole:
        kept = [{key: row[key] for key in keys} for row in expected if row.keys() >= {*keys}]
        assert fingerprint(page.rows()) == fingerprint(kept)
