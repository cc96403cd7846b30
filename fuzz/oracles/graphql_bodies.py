"""Bodies of GraphQL answers: rows are what `json.loads` finds in the body, and other bodies are refused.

The first byte chooses: a body as it is, or one that is written around the input's texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from fuzz.inputs import Input, is_shallow, texts_of, values_of
from fuzz.oracles.texts import check_texts
from histscan._core.pages.formats import HistoryPage, SampledPage
from histscan._core.pages.page import Page
from histscan.errors import HistoryDecodeError, HistoryError
from tests.support.body_verdicts import FAILURES, judge
from tests.support.encodings import HISTORY_BODIES, SAMPLED, sampled_body
from tests.support.json_corpus import fingerprint, is_json

_PAGES: dict[str, Callable[[bytes], Page]] = {"history": HistoryPage, "sampledHistory": SampledPage}


def check(data: bytes) -> None:
    """Checks a page of a body."""
    taken = Input(data)
    choice = taken.byte() % (len(_PAGES) + len(HISTORY_BODIES) + 1)
    if choice < len(_PAGES):
        check_body([*_PAGES][choice], taken.rest())
    elif choice < len(_PAGES) + len(HISTORY_BODIES):
        check_texts(HISTORY_BODIES[choice - len(_PAGES)], texts_of(taken.rest()))
    else:
        check_sampled(texts_of(taken.rest()))


def check_body(kind: str, body: bytes) -> None:
    """Checks a body of any bytes: refused if and only if `json.loads` refuses it, or it has no rows."""
    if not is_shallow(body.decode("latin-1")):
        return
    make = _PAGES[kind]
    try:
        verdict, rows = judge(kind, body.decode())
    except ValueError:
        check_refused(make, body)
        return
    if verdict != "rows":
        try:
            page = make(body)
        except FAILURES[verdict]:
            return
        raise AssertionError(f"the body has no rows ({verdict}), but is a page of {len(page)}")
    assert isinstance(rows, list)
    if kind == "history":
        texts = [str(row) for row in rows]
        if not all(map(is_shallow, texts)):
            return
        values, bad = values_of(texts)
        if bad is not None:
            rows_before_error(make(body), values, bad)
            return
        rows = values
    assert fingerprint(make(body).rows()) == fingerprint(rows)


def check_sampled(texts: list[str]) -> None:
    """Checks rows that are objects of the body, where a text may open what it does not close."""
    if not all(is_shallow(text) and SAMPLED.takes(text) for text in texts):
        return
    body = sampled_body(texts)
    if all(map(is_json, texts)):
        expected = json.loads(body)["data"]["project"]["run"]["sampledHistory"][0]
        assert fingerprint(SampledPage(body).rows()) == fingerprint(expected)
    else:
        check_body("sampledHistory", body)


def check_refused(make: Callable[[bytes], Page], body: bytes) -> None:
    """Checks a body that is not JSON: it has an error, unless the fault is in a string that is skipped."""
    try:
        page = make(body)
        rows = page.rows()
    except HistoryError:
        return
    assert fingerprint([page.row(place) for place in range(len(page))]) == fingerprint(rows)
    assert has_only_string_faults(body), f"the body is not JSON, but has the rows {rows!r:.200}"


def has_only_string_faults(body: bytes) -> bool:
    """Returns True if a body is JSON once the escapes and the UTF-8 in its strings are made right."""
    text = body.decode("utf-8", "replace")
    plain = []
    place = 0
    while place < len(text):
        if text[place] == "\\" and text[place + 1 : place + 2] >= " ":
            # Whatever is escaped, it is one harmless letter.
            plain.append("x")
            place += 2
        else:
            plain.append(text[place])
            place += 1
    return is_json("".join(plain))


def rows_before_error(page: Page, values: list[object], bad: int) -> None:
    """Checks that a page gives the rows before a malformed one, and names that one."""
    for place, value in enumerate(values):
        assert fingerprint(page.row(place)) == fingerprint(value)
    try:
        page.rows()
    except HistoryDecodeError as error:
        assert error.row == bad, (error.row, bad)
        return
    raise AssertionError(f"row {bad} should not be readable")
