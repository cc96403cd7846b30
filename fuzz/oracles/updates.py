"""Summaries and configs: what a log's updates leave behind, against applying one after the other.

The input is messages after their lengths.
"""

from __future__ import annotations

import contextlib
from typing import Any

from fuzz.inputs import messages_of
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
    """Reads a message that protobuf refuses: an item that a later one replaces is not looked at, so it may be read."""
    reducer = SummaryReducer()
    with contextlib.suppress(HistoryDecodeError):
        reducer.add(message)
        reducer.values()


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
