"""Answers of servers: whether they are whole, and what they say, as words for an error message.

Such words are short, on one line, and printable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from histscan.errors import HistoryDecodeError, HistoryError, ResponseShapeError

__all__ = [
    "AnswerReader",
    "describe_answer",
    "describe_errors",
    "is_json",
    "is_whole_page",
    "one_line",
    "parse_json",
]

_LONGEST = 500

_Read = TypeVar("_Read")


@runtime_checkable
class _Rows(Protocol):
    """A page of rows, whatever decodes it."""

    def __len__(self) -> int: ...

    def row(self, index: int) -> Any: ...


class AnswerReader(Generic[_Read]):
    """Reads the body of an answer once, and knows whether the body came as a whole.

    A proxy or a busy server may answer with HTTP 200 and a body that is empty, cut short, or a page for people. Only
    whoever reads the body can tell at no cost, so the client that requests it is handed this.

    Args:
        read: Makes something of a body; raises a `HistoryError` if that is not possible.
    """

    def __init__(self, read: Callable[[bytes], _Read]) -> None:
        self._read = read
        self._body: bytes | None = None
        self._error: HistoryError | None = None
        self._value: _Read

    def is_whole(self, body: bytes) -> bool:
        """Reads a body; returns False if it should be requested again.

        Args:
            body: The body.
        """
        self._body, self._error = body, None
        try:
            self._value = self._read(body)
        except HistoryError as error:
            self._error = error
            return is_json(body)
        return is_whole_page(self._value) or is_json(body)

    def result(self, body: bytes) -> _Read:
        """Returns what was made of a body.

        Args:
            body: The body, which is read now if it is not the one that was read last.

        Raises:
            HistoryError: Nothing could be made of it.
        """
        if self._body is not body:
            self.is_whole(body)
        if self._error is not None:
            raise self._error
        return self._value


def is_whole_page(value: object) -> bool:
    """Returns False if a page was made of a body that ends within its rows, or behind them and too early.

    Args:
        value: A page, or anything else.
    """
    if isinstance(value, _Rows):
        try:
            value.row(len(value))
        except HistoryDecodeError:
            return False
        except IndexError:
            pass
    return True


def is_json(body: bytes) -> bool:
    """Returns True if a body is JSON from its beginning to its end.

    Args:
        body: The body.
    """
    try:
        parse_json(body)
    except ResponseShapeError:
        return False
    return True


def parse_json(body: bytes) -> object:
    """Parses a body.

    Args:
        body: The body.

    Raises:
        ResponseShapeError: It is not JSON; the message says what it is instead.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        begin = body.lstrip()[:100].lower()
        if not begin:
            reason = "the server's answer is not JSON but empty"
        elif begin.startswith((b"<!doctype html", b"<html")):
            reason = (
                "the server's answer is not JSON but a page for browsers: check that the base URL is that of the API"
            )
        else:
            reason = f"the server's answer is not JSON, or was cut short: {error}"
        raise ResponseShapeError(reason) from None


def describe_answer(text: str) -> str:
    """Puts the body of an answer that reports a failure in words.

    Args:
        text: The body: JSON with ``errors`` or ``error``, or any other text.

    Returns:
        What it says.
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return one_line(text)
    return describe_errors(answer.get("errors", answer.get("error", answer)) if isinstance(answer, dict) else answer)


def describe_errors(errors: object) -> str:
    """Puts what a GraphQL server sent as ``errors`` in words.

    Args:
        errors: A list of objects with a ``message``, or whatever a server sent in its place.

    Returns:
        The messages, joined.
    """
    described = []
    for error in errors if isinstance(errors, list) else [errors]:
        message = error.get("message") if isinstance(error, dict) else error
        described.append(message if isinstance(message, str) else json.dumps(error, default=str))
    return one_line("; ".join(described))


def one_line(text: str) -> str:
    """Shortens a text to one printable line.

    Args:
        text: Any text.

    Returns:
        At most 500 characters of it, ending in ``…`` where something was left out.
    """
    begin = text[: 4 * _LONGEST]
    line = " ".join("".join(c if c.isprintable() else " " for c in begin).split())
    return line if len(line) <= _LONGEST and begin == text else f"{line[: _LONGEST - 1]}…"
