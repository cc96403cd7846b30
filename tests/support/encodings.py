"""The ways in which JSON text reaches the core, each as one page; for tests that hold for all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.log_reader import LogReader
from histscan._core.pages.page import Page
from tests.support import wire
from tests.support.json_corpus import is_utf8

KEY = "value"
"""The key of the one item of each row where rows are messages."""


@dataclass(frozen=True)
class Encoding:
    """One way to write rows, given as JSON texts.

    Attributes:
        name: What it is called in test ids.
        page: Makes the page.
        row: What the row of a text with this value is, at an index in the page.
        takes: Whether it can carry a text at all.
    """

    name: str
    page: Callable[[Sequence[str]], Page]
    row: Callable[[Any, int], Any]
    takes: Callable[[str], bool]


def history_body(rows: Sequence[str], write: Callable[[str], str] = json.dumps) -> bytes:
    """The body of a `HistoryPage` answer; `write` writes each row's text as a JSON string."""
    texts = ", ".join(map(write, rows))
    return f'{{"data": {{"project": {{"run": {{"history": [{texts}]}}}}}}}}'.encode()


def sampled_body(rows: Sequence[str]) -> bytes:
    """The body of a `SampledHistoryPage` answer."""
    texts = ", ".join(rows)
    return f'{{"data": {{"project": {{"run": {{"sampledHistory": [[{texts}]]}}}}}}}}'.encode()


def log_page(log: bytes) -> Page:
    """The page of a log that is one window."""
    return LogReader().read_window(log, True)


def nested_log(rows: Sequence[str]) -> bytes:
    """A log as wandb-core writes it: names of nested keys alone, and the step among the items."""
    return wire.write_log(wire.history_record([(["_step"], str(step)), ([KEY], row)]) for step, row in enumerate(rows))


def spell_plainly(text: str) -> str:
    """A JSON string with as few escapes as UTF-8 allows; surrogates need theirs."""
    plain = json.dumps(text, ensure_ascii=False)
    return "".join(letter if is_utf8(letter) else f"\\u{ord(letter):04x}" for letter in plain)


def spell_every_unit(text: str) -> str:
    """A JSON string in which everything is an escape."""
    units = text.encode("utf-16-be", "surrogatepass")
    return '"' + "".join(f"\\u{units[at]:02X}{units[at + 1]:02x}" for at in range(0, len(units), 2)) + '"'


def _joins_no_surrogates(text: str) -> bool:
    """Returns True if no two adjacent surrogates would become one character when they are escaped."""
    return not any("\ud800" <= one <= "\udbff" and "\udc00" <= two <= "\udfff" for one, two in pairwise(text))


def _as_is(value: Any, index: int) -> Any:
    return value


def _as_item(value: Any, index: int) -> Any:
    return {KEY: value}


def _as_logged_item(value: Any, index: int) -> Any:
    """A row of a log, which is written without a step here and is given one."""
    return {KEY: value, "_step": index}


TEXT = Encoding("text", lambda rows: TextPage(list(rows)), _as_is, lambda text: True)
LINES = Encoding("text, bytes", lambda rows: TextPage([row.encode() for row in rows]), _as_is, is_utf8)
HISTORY_BODIES = (
    Encoding("history", lambda rows: HistoryPage(history_body(rows)), _as_is, _joins_no_surrogates),
    Encoding(
        "history, plain", lambda rows: HistoryPage(history_body(rows, spell_plainly)), _as_is, _joins_no_surrogates
    ),
    Encoding(
        "history, escapes", lambda rows: HistoryPage(history_body(rows, spell_every_unit)), _as_is, _joins_no_surrogates
    ),
)
PROTOBUF = Encoding("protobuf", lambda rows: ProtobufPage(wire.page([[(KEY, row)] for row in rows])), _as_item, is_utf8)
LOG = Encoding(
    # Rows without a step, which are given one.
    "log",
    lambda rows: log_page(wire.write_log(wire.history_record([(KEY, row)]) for row in rows)),
    _as_logged_item,
    is_utf8,
)
NESTED_LOG = Encoding(
    # Rows without a step, which are given one.
    "log, nested key",
    lambda rows: log_page(nested_log(rows)),
    lambda value, index: {"_step": index, KEY: value},
    is_utf8,
)

TEXT_ENCODINGS = (TEXT, LINES, *HISTORY_BODIES, PROTOBUF, LOG, NESTED_LOG)
"""Those in which a row's text is closed off from all around it, so that no text can break the page."""

SAMPLED = Encoding("sampled", lambda rows: SampledPage(sampled_body(rows)), _as_is, is_utf8)
"""Rows as plain objects: what a text opens and does not close, it opens in the page."""
