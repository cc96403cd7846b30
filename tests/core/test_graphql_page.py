"""HistoryPage and SampledPage: finding the rows in a response's body, or saying what keeps there from being any."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.pages.formats import HistoryPage, SampledPage, TextPage
from histscan._core.pages.page import Page
from histscan.errors import GraphQLResponseError, HistoryDecodeError, HistoryError, ResponseShapeError, RunNotFoundError
from tests.support.body_verdicts import FAILURES, judge
from tests.support.encodings import history_body, sampled_body
from tests.support.json_corpus import fingerprint
from tests.support.json_strategies import dump_options, edited, json_values

ROWS: list[dict[str, Any]] = [{"_step": 0, "loss": 0.5}, {"_step": 1, "loss": None, "text": 'é "\n'}, {}]
TEXTS = [json.dumps(row) for row in ROWS]

KINDS = ["history", "sampledHistory"]
MAKERS: dict[str, Callable[[bytes], Page]] = {"history": HistoryPage, "sampledHistory": SampledPage}


def rows_member(kind: str) -> Any:
    """The rows as the member of the run has them."""
    return TEXTS if kind == "history" else [ROWS]


def answer(kind: str, **extra: Any) -> dict[str, Any]:
    """A whole answer, with further members at its top level."""
    return {"data": {"project": {"run": {kind: rows_member(kind)}}}, **extra}


def make(kind: str, parsed: object) -> Page:
    return MAKERS[kind](json.dumps(parsed).encode())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"errors": None},
        {"errors": []},
        {"extensions": {"cost": [1, {"deep": [[[{}]]]}], "text": '}]"\\', "nan": float("nan")}},
        {"data2": {"project": None}, "error": "not it"},
    ],
    ids=str,
)
def test_members_of_no_interest_are_passed_over(kind: str, extra: dict[str, Any]) -> None:
    for parsed in (answer(kind, **extra), dict(reversed(answer(kind, **extra).items()))):
        assert fingerprint(make(kind, parsed).rows()) == fingerprint(ROWS)
    run = {"id": "x", "a": [1, 2], kind: rows_member(kind), "b": {"history": 1, "c": None}}
    crowded = {"x": 1, "data": {"errors": [1], "user": {}, "project": {"data": {}, "run": run, "name": "p"}, "z": [{}]}}
    assert fingerprint(make(kind, crowded).rows()) == fingerprint(ROWS)


@pytest.mark.parametrize("kind", KINDS)
@given(options=dump_options, extra=json_values)
@settings(max_examples=100)
def test_bodies_of_any_style(kind: str, options: dict[str, Any], extra: Any) -> None:
    options["ensure_ascii"] = True
    body = json.dumps({"extensions": extra, **answer(kind), "more": {"more": extra}}, **options).encode()
    assert fingerprint(MAKERS[kind](b" \n" + body + b"\r\n\t ").rows()) == fingerprint(ROWS)


@pytest.mark.parametrize("kind", KINDS)
def test_names_may_be_written_with_escapes(kind: str) -> None:
    body = json.dumps(answer(kind)).encode()
    for name in (b"data", b"project", b"run", kind.encode()):
        body = body.replace(b'"%s"' % name, b'"\\u%04x%s"' % (name[0], name[1:]))
    assert body.count(b"\\u") >= 4
    assert fingerprint(MAKERS[kind](body).rows()) == fingerprint(ROWS)


@pytest.mark.parametrize("kind", KINDS)
def test_of_members_given_twice_the_last_counts(kind: str) -> None:
    """As in `json.loads`: no row of the first remains."""
    other = ['{"other": [1, 2, 3]}'] if kind == "history" else [[{"other": [1, 2, 3]}]]
    rows, others = json.dumps(rows_member(kind)), json.dumps(other)
    for first, second in ((rows, others), (others, rows), (rows, "[]" if kind == "history" else "[[]]")):
        run = f'{{"{kind}": {first}, "{kind}": {second}}}'
        runs = f'{{"run": {{"{kind}": {first}}}, "run": {{"{kind}": {second}}}}}'
        for body in (f'{{"data": {{"project": {{"run": {run}}}}}}}', f'{{"data": {{"project": {runs}}}}}'):
            member = json.loads(body)["data"]["project"]["run"][kind]
            expected = [json.loads(text) for text in member] if kind == "history" else member[0]
            assert fingerprint(MAKERS[kind](body.encode()).rows()) == fingerprint(expected)
    absent_last = f'{{"data": {{"project": {{"run": {{"{kind}": {rows}}}, "run": null}}}}}}'
    absent_first = f'{{"data": {{"project": {{"run": null, "run": {{"{kind}": {rows}}}}}}}}}'
    with pytest.raises(RunNotFoundError):
        MAKERS[kind](absent_last.encode())
    assert fingerprint(MAKERS[kind](absent_first.encode()).rows()) == fingerprint(ROWS)


def test_rows_of_the_first_spec() -> None:
    def page(member: object) -> SampledPage:
        return SampledPage(json.dumps({"data": {"project": {"run": {"sampledHistory": member}}}}).encode())

    assert page([ROWS, [{"other": 1}], [], 7]).rows() == ROWS
    assert page([[]]).rows() == []
    assert page([[], ROWS]).rows() == []


def test_rows_need_not_be_objects() -> None:
    values: list[Any] = [1, None, "text", [1, {}], True, {}]
    assert fingerprint(SampledPage(sampled_body([json.dumps(value) for value in values])).rows()) == fingerprint(values)
    assert fingerprint(HistoryPage(history_body([json.dumps(value) for value in values])).rows()) == fingerprint(values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([{"message": "no such field"}], "no such field"),
        ([{"message": "one", "path": ["a"]}, {"message": "two"}], "one; two"),
        (["plain"], "plain"),
        ("plain", "plain"),
        ([{"code": 7}], "'code': 7"),
        ({"message": "alone"}, "alone"),
        ([None], "None"),
    ],
    ids=str,
)
def test_errors_of_the_answer(kind: str, errors: object, words: str) -> None:
    absent: dict[str, Any] = {"data": {"project": None}}
    for parsed in (
        {"errors": errors, "data": None},
        {"data": None, "errors": errors},
        {"errors": errors},
        {**absent, "errors": errors},
        {"errors": errors, **answer(kind)},
        {**answer(kind), "errors": errors},
    ):
        with pytest.raises(GraphQLResponseError) as caught:
            make(kind, parsed)
        assert words in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("parsed", "failure", "words"),
    [
        ({"data": {"project": None}}, RunNotFoundError, "project"),
        ({"data": {"project": {"run": None}}}, RunNotFoundError, "run"),
        ({"data": None}, ResponseShapeError, "data"),
        ({}, ResponseShapeError, "data"),
        ({"data": []}, ResponseShapeError, "data"),
        ({"data": {}}, ResponseShapeError, "project"),
        ({"data": {"run": {}}}, ResponseShapeError, "project"),
        ({"data": {"project": {}}}, ResponseShapeError, "run"),
        ({"data": {"project": "p"}}, ResponseShapeError, "project"),
        ({"data": {"project": {"run": {}}}}, ResponseShapeError, "istory"),
        ({"data": {"project": {"run": {"history": None, "sampledHistory": None}}}}, ResponseShapeError, "istory"),
        ({"data": {"project": {"run": {"history": {}, "sampledHistory": {}}}}}, ResponseShapeError, "istory"),
        ({"data": {"project": {"run": {"history": "[]", "sampledHistory": "[]"}}}}, ResponseShapeError, "istory"),
        ({"data": {"project": {"run": {"history": [None], "sampledHistory": [None]}}}}, ResponseShapeError, "istory"),
        ({"data": {"project": {"run": {"history": [{}], "sampledHistory": [{}]}}}}, ResponseShapeError, "istory"),
        ({"data": {"project": {"run": {"history": [[]], "sampledHistory": []}}}}, ResponseShapeError, "istory"),
        ({"data": {"project": {"run": {"history": [1, 2], "sampledHistory": [1, 2]}}}}, ResponseShapeError, "istory"),
        ([], ResponseShapeError, "JSON object"),
        (None, ResponseShapeError, "JSON object"),
        ("data", ResponseShapeError, "JSON object"),
        (7, ResponseShapeError, "JSON object"),
    ],
    ids=str,
)
def test_answers_without_rows(kind: str, parsed: object, failure: type[HistoryError], words: str) -> None:
    with pytest.raises(failure) as caught:
        make(kind, parsed)
    assert words in str(caught.value)
    assert type(caught.value) is failure


def test_a_row_that_is_no_string_is_named() -> None:
    with pytest.raises(ResponseShapeError) as caught:
        make("history", {"data": {"project": {"run": {"history": ["{}", "{}", {"a": 1}]}}}})
    assert caught.value.row == 2
    for rows in (["{}", None], ["{}", 1], ["{}", {}]):
        with pytest.raises(ResponseShapeError) as caught:
            TextPage(rows)  # type: ignore[arg-type]
        assert caught.value.row == 1


class Spelt(str):
    """A str that says it is something else in UTF-8."""

    def encode(self, *_: object) -> Any:
        return 5


def test_rows_of_classes_of_their_own() -> None:
    plain: list[str] = [Spelt("{}")]
    with_surrogate: list[str] = [Spelt('{"a":"\ud800"}')]
    assert TextPage(plain).rows() == [{}]
    with pytest.raises(TypeError):
        TextPage(with_surrogate)
    assert TextPage([type("Line", (bytes,), {})(b'{"a":1}')]).rows() == [{"a": 1}]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body", [b"", b" ", b"<html>504</html>", b"nope", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00"], ids=repr
)
def test_answers_that_are_not_json(kind: str, body: bytes) -> None:
    with pytest.raises(HistoryError):
        MAKERS[kind](body)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_arguments(kind: str) -> None:
    for wrong in (None, "{}", bytearray(b"{}"), memoryview(b"{}"), 1):
        with pytest.raises(TypeError):
            MAKERS[kind](wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        TextPage(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        TextPage(("{}",))  # type: ignore[arg-type]


def rows_of_prefix(kind: str, body: bytes, length: int) -> list[Any] | None:
    """The rows that a body cut short still gives, None if it is refused at once; checks that it ends in an error."""
    try:
        page = MAKERS[kind](body[:length])
    except HistoryError:
        return None
    rows = [page.row(index) for index in range(len(page))]
    for attempt in (page.rows, lambda: page.row(len(page))):
        with pytest.raises(HistoryDecodeError) as caught:
            attempt()
        assert caught.value.row == len(rows)
        assert caught.value.byte is not None
        assert caught.value.byte <= length
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_cut_short_at_every_byte(kind: str) -> None:
    body = json.dumps(answer(kind, extensions={"a": "b"})).encode()
    assert MAKERS[kind](body).rows() == ROWS
    counts = []
    for length in range(len(body)):
        rows = rows_of_prefix(kind, body, length)
        if rows is not None:
            assert rows == ROWS[: len(rows)]
            counts.append(len(rows))
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=400)
def test_edited_bodies(kind: str, data: st.DataObject) -> None:
    """Refused if and only if `json.loads` refuses; never a row that is not there."""
    parsed = {"a": [1], "errors": [], "data": {"project": {"run": {"x": {}, kind: rows_member(kind)}, "y": 2}}}
    text = data.draw(edited(st.sampled_from([json.dumps(parsed), json.dumps(parsed, indent=1)])))
    body = text.encode("utf-8", "replace")
    try:
        verdict, rows = judge(kind, body.decode())
    except ValueError:
        with pytest.raises(HistoryError):
            MAKERS[kind](body).rows()
        return
    if verdict != "rows":
        with pytest.raises(FAILURES[verdict]):
            MAKERS[kind](body)
        return
    assert isinstance(rows, list)
    try:
        expected = [json.loads(row) for row in rows] if kind == "history" else rows
    except ValueError:
        with pytest.raises(HistoryDecodeError):
            MAKERS[kind](body).rows()
        return
    assert fingerprint(MAKERS[kind](body).rows()) == fingerprint(expected)


class Words(str):
    """A str that is not exactly one."""

    __slots__ = ()


def test_the_list_given_to_a_text_page_may_change() -> None:
    texts = ['{"a":1}', Words('{"a":2}'), '{"a":3}']
    page = TextPage(texts)
    assert page.rows() == [{"a": 1}, {"a": 2}, {"a": 3}]
    texts[0] = "nonsense"
    texts.clear()
    assert len(page) == 3
    assert page.row(2) == {"a": 3}


def test_rows_outlive_the_page_and_the_body() -> None:
    body = json.dumps(answer("history")).encode()
    page = HistoryPage(body)
    del body
    rows = page.rows()
    del page
    assert rows == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_indexes(kind: str) -> None:
    page = make(kind, answer(kind))
    assert len(page) == 3
    for index in (3, 4, 2**62, -1, -(2**62)):
        with pytest.raises(IndexError):
            page.row(index)
    with pytest.raises(OverflowError):
        page.row(2**70)
    with pytest.raises(TypeError):
        page.row("0")  # type: ignore[arg-type]
