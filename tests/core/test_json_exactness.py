"""Every row is what `json.loads` makes of its text, in every encoding; what `loads` refuses is refused."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.log_page import LogPage
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.encodings import (
    HISTORY_BODIES,
    KEY,
    LOG,
    NESTED_LOG,
    PROTOBUF,
    SAMPLED,
    TEXT,
    TEXT_ENCODINGS,
    Encoding,
    history_body,
    log_page,
    nested_log,
    sampled_body,
)
from tests.support.json_corpus import CORPUS, NOT_UTF8, fingerprint, is_json, is_utf8
from tests.support.json_strategies import dumped_texts, edited, json_texts, number_texts, written_texts

BEFORE, AFTER = '{"before": [1.5, "é"]}', '{"after": null, "a": 1}'

ENCODINGS = [pytest.param(encoding, id=encoding.name) for encoding in TEXT_ENCODINGS]


def check_rows(encoding: Encoding, texts: list[str]) -> None:
    """Checks a page of texts that are all valid."""
    expected = [encoding.row(json.loads(text), index) for index, text in enumerate(texts)]
    page = encoding.page(texts)
    assert len(page) == len(texts)
    assert fingerprint(page.rows()) == fingerprint(expected)


def check_text(encoding: Encoding, text: str) -> None:
    """Checks a page that has a text in its middle, several times for the core to get used to it."""
    if is_json(text):
        check_rows(encoding, [BEFORE, text, text, text, AFTER, text])
        return
    page = encoding.page([BEFORE, text, AFTER])
    for attempt in (lambda: page.row(1), page.rows):
        with pytest.raises(HistoryDecodeError) as caught:
            attempt()
        assert caught.value.row == 1
        assert caught.value.byte is not None
        assert caught.value.byte >= 0
    assert fingerprint(page.row(0)) == fingerprint(encoding.row(json.loads(BEFORE), 0))
    assert fingerprint(page.row(2)) == fingerprint(encoding.row(json.loads(AFTER), 2))


def check_sampled(text: str) -> None:
    """The same where rows are plain objects: the oracle is `json.loads` of the whole body."""
    body = sampled_body([BEFORE, text, AFTER])
    if is_json(body.decode()):
        expected = json.loads(body)["data"]["project"]["run"]["sampledHistory"][0]
        assert fingerprint(SampledPage(body).rows()) == fingerprint(expected)
        return
    page = SampledPage(body)
    assert fingerprint(page.row(0)) == fingerprint(json.loads(BEFORE))
    with pytest.raises(HistoryDecodeError) as caught:
        page.rows()
    assert caught.value.row is not None
    assert caught.value.row >= 1
    assert caught.value.byte is not None


def check_everywhere(text: str) -> None:
    """Checks a text in every encoding that can carry it."""
    for encoding in TEXT_ENCODINGS:
        if encoding.takes(text):
            check_text(encoding, text)
    if SAMPLED.takes(text):
        check_sampled(text)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_corpus(encoding: Encoding) -> None:
    for text in CORPUS:
        if encoding.takes(text):
            check_text(encoding, text)


def test_corpus_as_plain_objects() -> None:
    for text in CORPUS:
        if SAMPLED.takes(text):
            check_sampled(text)


@given(written_texts)
@settings(max_examples=250)
def test_texts_written_by_hand(text: str) -> None:
    check_everywhere(text)


@given(dumped_texts)
@settings(max_examples=200)
def test_texts_written_by_python(text: str) -> None:
    check_everywhere(text)


@given(edited(json_texts))
@settings(max_examples=400)
def test_edited_texts(text: str) -> None:
    check_everywhere(text)


@given(st.text('{}[],:"\\ /-+.0123456789eEtrufalsnINity\t\x00\x80é\ud800', max_size=12))
@settings(max_examples=400)
def test_noise(text: str) -> None:
    check_everywhere(text)


@given(st.lists(number_texts, min_size=1, max_size=30))
@settings(max_examples=400)
def test_numbers(texts: list[str]) -> None:
    valid = [text for text in texts if is_json(text)]
    for encoding in (TEXT, PROTOBUF, SAMPLED):
        check_rows(encoding, valid)
    check_rows(TEXT, [f"[{','.join(valid)}]"])


@given(st.integers(1, 2**64 - 1), st.integers(-360, 330), st.integers(0, 20))
@settings(max_examples=1000)
def test_doubles_of_any_size(digits: int, exponent: int, point: int) -> None:
    whole = str(digits)
    texts = [f"{whole}e{exponent}", f"-{whole}E{exponent:+}", f"{whole[:1]}.{whole[1:] or '0'}e{exponent}"]
    texts.append(f"0.{'0' * point}{whole}e{exponent}")
    check_rows(TEXT, texts)


@given(st.integers(2**52, 2**53 - 1), st.integers(-60, 60), st.sampled_from([-1, 0, 1]), st.booleans())
@settings(max_examples=500)
def test_half_way_between_two_doubles(mantissa: int, power: int, nudge: int, with_point: bool) -> None:
    # The exact decimal digits of mantissa + 1/2, scaled by a power of two, and those of its neighbours.
    numerator = (2 * mantissa + 1) << max(power, 0)
    places = max(-power, 0) + 1
    digits = numerator * 5**places + nudge
    text = f"{digits}e-{places}"
    if with_point:
        text = f"{digits}"[:-1] + "." + f"{digits}"[-1] + f"e-{places - 1}"
    check_rows(TEXT, [text, "-" + text])


def error_in(encoding: Encoding, text: str) -> HistoryDecodeError:
    """The error of a page that has a text in its middle."""
    with pytest.raises(HistoryDecodeError) as caught:
        encoding.page([BEFORE, text, AFTER]).rows()
    return caught.value


@pytest.mark.parametrize(
    ("text", "byte"),
    [
        ("", 0),
        ("   ", 3),
        ("nul", 0),
        ("é", 0),
        ("1 2", 2),
        ('{"a":1} x', 8),
        ('{"a":1}{', 7),
        ('{"ключ":tru}', 12),
        ('{"a":[1,2,nope]}', 10),
        ('{"a" 1}', 5),
        ('{"a":1 "b":2}', 7),
        ('{"a":1,}', 7),
        ("{1:2}", 1),
        ("[1,2", 4),
        ('{"a":"b', 5),
        ('{"a":"b\n"}', 7),
        ('{"a":"\\x"}', 6),
        ("[1,2,,3]", 5),
        ('{"a":1]', 6),
        ('{"a":' + "7" * 4301 + "}", 5),
    ],
)
def test_errors_name_the_byte(text: str, byte: int) -> None:
    """The byte is where `json` says it is, counted in bytes: within the row's text, the message or the file."""
    assert not is_json(text)
    for encoding in (TEXT, *HISTORY_BODIES):
        error = error_in(encoding, text)
        assert (error.row, error.byte) == (1, byte)
    message = wire.page([[(KEY, row)] for row in (BEFORE, text)])
    assert error_in(PROTOBUF, text).byte == len(message) - len(text.encode()) + byte
    log = nested_log([BEFORE, text])
    assert error_in(NESTED_LOG, text).byte == len(log) - len(text.encode()) + byte
    # A row that is given a step is read from a copy.
    log = wire.write_log(wire.history_record([(KEY, row)]) for row in (BEFORE, text))
    assert error_in(LOG, text).byte == len(log) - len(text.encode()) + byte


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("nul", "$"),
        ('{"loss": nul}', "$.loss"),
        ('{"loss": [1, {"a b": tru}]}', "$.loss[1]['a b']"),
        ('{"a": {"b": 1}, "c": [[], [1, x]]}', "$.c[1][1]"),
    ],
)
def test_errors_name_the_place(text: str, path: str) -> None:
    for encoding in (TEXT, *HISTORY_BODIES):
        with pytest.raises(HistoryDecodeError) as caught:
            encoding.page([text]).rows()
        assert caught.value.path == path
    for encoding in (PROTOBUF, LOG, NESTED_LOG):
        with pytest.raises(HistoryDecodeError) as caught:
            encoding.page([text]).rows()
        assert caught.value.path == f"$.{KEY}{path[1:]}"


@pytest.mark.parametrize("junk", NOT_UTF8, ids=repr)
@pytest.mark.parametrize(
    "template", [b'{"a":"%s"}', b'{"%s":1}', b'{"a":{"%s":1}}', b'{"a":["\\n%s"]}', b"%s", b"[%s]"]
)
def test_invalid_utf8(junk: bytes, template: bytes) -> None:
    text = template % junk
    # Within a string of the body, quotes and backslashes are escaped once more; invalid bytes stay.
    within_string = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    pages = [
        HistoryPage(history_body(['{"a":1}', "PLACE", '{"a":2}']).replace(b"PLACE", within_string)),
        SampledPage(sampled_body(['{"a":1}', "PLACE", '{"a":2}']).replace(b"PLACE", text)),
        ProtobufPage(wire.page([[("a", "1")], [("a", text)], [("a", "2")]])),
        log_page(wire.write_log(wire.history_record([("a", row)]) for row in (b"1", text, b"2"))),
        log_page(wire.write_log(wire.history_record([("_step", b"0"), ("a", row)]) for row in (b"1", text, b"2"))),
    ]
    for page in pages:
        assert page.row(0) == ({"a": 1, "_step": 0} if isinstance(page, LogPage) else {"a": 1})
        for attempt in (functools.partial(page.row, 1), page.rows):
            with pytest.raises(HistoryDecodeError) as caught:
                attempt()
            assert caught.value.row == 1
            assert caught.value.byte is not None


@pytest.mark.parametrize("junk", [junk for junk in NOT_UTF8 if b"\\" not in junk], ids=repr)
def test_bytes_that_are_text_in_one_row_are_not_in_the_next(junk: bytes) -> None:
    """Surrogates that came out of an escape must not teach the core to take them raw."""
    lenient = '{"\\udc80\ud800":1,"é":"\ud800"}'
    plain = '{"é":1}'
    body = history_body([lenient, lenient, lenient, plain, "PLACE", lenient])
    page = HistoryPage(body.replace(b"PLACE", b'{\\"' + junk + b'\\":1}'))
    for index, text in ((0, lenient), (2, lenient), (3, plain), (5, lenient)):
        assert fingerprint(page.row(index)) == fingerprint(json.loads(text))
    with pytest.raises(HistoryDecodeError):
        page.row(4)


def deepest_for_json(nest: Callable[[int], str]) -> int:
    """How deeply a text may be nested for `json.loads`, called from here."""
    fine, too_deep = 1, 2
    while is_json(nest(too_deep)):
        fine, too_deep = too_deep, too_deep * 2
    while too_deep - fine > 1:
        middle = (fine + too_deep) // 2
        if is_json(nest(middle)):
            fine = middle
        else:
            too_deep = middle
    return fine


NESTINGS: dict[str, Callable[[int], str]] = {
    "arrays": lambda depth: "[" * depth + "]" * depth,
    "objects": lambda depth: '{"a":' * depth + "1" + "}" * depth,
    "both": lambda depth: '[{"a":' * (depth // 2) + "1" + "}]" * (depth // 2),
}


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("encoding", [*ENCODINGS, pytest.param(SAMPLED, id=SAMPLED.name)])
def test_as_deep_as_json_goes(encoding: Encoding, nesting: str) -> None:
    nest = NESTINGS[nesting]
    deepest = deepest_for_json(nest)
    assert deepest >= sys.getrecursionlimit() // 2
    # `loads` itself, and what calls it, take a few of the levels. From CPython 3.14 on, what is limited is the bytes of
    # the stack, of which the core takes up to twice as many for a level.
    fine = deepest - 60 if sys.version_info < (3, 14) else deepest // 4
    for depth in (1, 60, 64, 65, fine // 2, fine):
        check_rows(encoding, [BEFORE, nest(depth), AFTER])
    for depth in (deepest + 60, deepest * 2, 200_000):
        page = encoding.page([BEFORE, nest(depth), AFTER])
        assert fingerprint(page.row(0)) == fingerprint(encoding.row(json.loads(BEFORE), 0))
        with pytest.raises(HistoryDecodeError):
            page.row(1)


def test_text_pages_take_strings_of_any_width() -> None:
    texts = [
        json.dumps({"a": letter * 20, letter: letter}, ensure_ascii=False)
        for letter in ("a", "é", "世", "\U0001f389", "\ud800")
    ]
    check_rows(TEXT, texts * 3)
    assert not all(map(is_utf8, texts))
    assert TextPage([]).rows() == []
