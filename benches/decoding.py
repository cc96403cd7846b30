"""Decoding pages to lists of rows, without a scan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import orjson

from benches.case import Case, Contestant
from benches.data import Pages, Row, encoded, history_body, joined_rows, numbered_rows, plain_rows, service_page
from histscan._core.pages.formats import HistoryPage, Page, ProtobufPage

__all__ = ["DECODING_CASES"]

_NAN_KEY = "train/loss_00"


def _rows_of_pages(pages: Iterable[list[Any]]) -> Iterator[Any]:
    return chain.from_iterable(pages)


def _rows_without_nan_key(pages: Iterable[list[Row]]) -> Iterator[Row]:
    for page in pages:
        for row in page:
            assert isinstance(row.pop(_NAN_KEY), float)
            yield row


def _decode(page_class: Callable[[bytes], Page], pages: list[bytes]) -> Iterator[list[Any]]:
    return (page_class(page).rows() for page in pages)


def _load_joined(inputs: Pages) -> Iterator[list[Any]]:
    assert inputs.others is not None
    return map(orjson.loads, inputs.others)


def _joined_case(name: str, subject: str, rows: Callable[[Iterable[int]], Iterable[Row]]) -> Case[Pages]:
    """Compares a protobuf page with the same rows in one JSON array, which orjson decodes in one call."""
    return Case(
        name,
        subject,
        lambda scale: encoded(scale, rows, service_page, joined_rows),
        Contestant("orjson: rows joined", _load_joined, _rows_of_pages),
        Contestant("histscan", lambda inputs: _decode(ProtobufPage, inputs.pages), _rows_of_pages),
        floor=1.0,
        rounds=31,
    )


def _nan_case(
    name: str, subject: str, page_class: Callable[[bytes], Page], encode: Callable[[list[Row]], bytes]
) -> Case[Pages]:
    """Compares a page with a NaN in each row with the same page without NaN."""

    def with_nan(rows: list[Row]) -> bytes:
        return encode([{**row, _NAN_KEY: math.nan} for row in rows])

    def decode_plain(inputs: Pages) -> Iterator[list[Any]]:
        assert inputs.others is not None
        return _decode(page_class, inputs.others)

    return Case(
        name,
        subject,
        lambda scale: encoded(scale, plain_rows, with_nan, encode),
        Contestant("the same without", decode_plain, _rows_without_nan_key),
        Contestant("histscan", lambda inputs: _decode(page_class, inputs.pages), _rows_without_nan_key),
        floor=1 / 1.3,
        rounds=31,
    )


DECODING_CASES: tuple[Case[Pages], ...] = (
    _joined_case("page-protobuf", "protobuf page to a list of rows", plain_rows),
    _joined_case("page-numbered", "the same, keys with numbers at their end", numbered_rows),
    _nan_case("nan-protobuf", "protobuf page, a NaN in each row", ProtobufPage, service_page),
    _nan_case("nan-graphql", "GraphQL page, a NaN in each row", HistoryPage, history_body),
)
"""Only the core: against one call of the fastest JSON library, and against itself with values on the slow path."""
