"""Pages of wandb's service: the oracles are google.protobuf and `json.loads`.

The first byte chooses: a message as it is, or one that is written around the input's texts.
"""

from __future__ import annotations

from fuzz.inputs import Input, texts_of
from fuzz.oracles.messages import NoRowError, is_shallow_message, page_rows
from fuzz.oracles.texts import check_texts, error_at
from histscan._core.pages.formats import ProtobufPage
from histscan.errors import HistoryDecodeError
from tests.support.encodings import PROTOBUF
from tests.support.json_corpus import fingerprint


def check(data: bytes) -> None:
    """Checks a page of a message."""
    taken = Input(data)
    if taken.byte() % 4 == 0:
        check_texts(PROTOBUF, texts_of(taken.rest()))
    else:
        check_page(taken.rest())


def check_page(data: bytes) -> None:
    """Checks that the core accepts what protobuf and json accept, and that the rows are the same."""
    if not is_shallow_message(data):
        return
    page = ProtobufPage(data)
    try:
        expected = page_rows(data)
    except NoRowError as refused:
        try:
            rows = page.rows()
        except HistoryDecodeError as error:
            assert error.row is not None
            assert error.byte is not None
            assert 0 <= error.byte <= len(data)
            # The rows before are as good as in a page of their own.
            for place in range(error.row):
                assert isinstance(page.row(place), dict)
            if error.row < len(page):
                error_at(page, error.row)
            return
        raise AssertionError(f"refused by the oracle ({refused}), but has the rows {rows!r:.200}") from None
    assert fingerprint(page.rows()) == fingerprint(expected)
    assert fingerprint([page.row(place) for place in range(len(page))]) == fingerprint(expected)
