"""Summaries and configs: what a log's updates leave behind, against applying one after the other.

The input is messages after their lengths.
"""

from __future__ import annotations

import contextlib
from typing import Any

from fuzz.inputs import messages_of
from fuzz.oracles.logs import read_field
from fuzz.oracles.messages import NoRowError, is_shallow_message, item_value, parse
from histscan._core.pages.log_reader import LogReader
from histscan._core.rows.summary_reducer import SummaryReducer
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.json_corpus import fingerprint
from tests.support.nested_values import path_of, put, take


def check(data: bytes) -> None:
    """Checks a reducer that is given messages, and one that is given the log that they are in."""
    messages = messages_of(data)
    if not all(map(is_shallow_message, messages)):
        return
    alone = SummaryReducer()
    good = []
    for message in messages:
        try:
            parse("Update", message)
        except NoRowError:
            check_refused(message)
            continue
        alone.add(message)
        good.append(message)
    within = SummaryReducer()
    log = wire.write_log(wire.field(wire.SUMMARY, message) for message in good)
    within.add_page(LogReader().read_window(log, True), wire.SUMMARY)
    values, reason = values_or_reason(alone)
    assert (fingerprint(values), reason) == (fingerprint(values_or_reason(within)[0]), values_or_reason(within)[1])
    try:
        expected = fold(good)
    except NoRowError:
        # The reducer decodes the latest value of each key only.
        return
    assert reason is None, reason
    assert fingerprint(in_order(values)) == fingerprint(in_order(expected))


def check_refused(message: bytes) -> None:
    """Checks a message that protobuf refuses: an item that a later one replaces is not looked at, any other is."""
    items, is_whole = items_of(message)
    reducer = SummaryReducer()
    try:
        reducer.add(message)
        values = reducer.values()
    except HistoryDecodeError:
        return
    assert is_whole, f"the message is malformed, but has the values {values!r:.200}"
    assert is_item(items[-1][1]), f"the last item is malformed, but there are the values {values!r:.200}"
    good = b"".join(wire.field(number, item) for number, item in items if is_item(item))
    with contextlib.suppress(NoRowError):
        assert fingerprint(in_order(values)) == fingerprint(in_order(fold([good])))


def items_of(message: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """Returns the items of a message with the numbers of their fields, and False if it is malformed behind them."""
    items: list[tuple[int, bytes]] = []
    place = 0
    while place < len(message):
        found = read_field(message, place)
        if found is None:
            return items, False
        number, payload, place = found
        if number in (1, 2) and payload is not None:
            items.append((number, payload))
    return items, True


def is_item(message: bytes) -> bool:
    """Returns True if protobuf takes a message for an item."""
    try:
        parse("Item", message)
    except NoRowError:
        return False
    return True


def values_or_reason(reducer: SummaryReducer) -> tuple[dict[str, Any], str | None]:
    """Returns the values, or why there are none."""
    try:
        return reducer.values(), None
    except HistoryDecodeError as error:
        return {}, error.reason


def fold(messages: list[bytes]) -> dict[str, Any]:
    """Returns what messages leave behind.

    Raises:
        NoRowError: `json` refuses a value.
    """
    values: dict[str, Any] = {}
    for message in messages:
        update = parse("Update", message)
        for item in update.update:
            put(values, path_of(item), item_value(item))
        for item in update.remove:
            take(values, path_of(item))
    return values


def in_order(value: Any) -> Any:
    """Returns a value whose dicts have sorted keys: the order of updates is not kept."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(element) for element in value] if isinstance(value, list) else value
