"""Answers of servers: checks that they are complete, and quotes them in error messages.

Quoted text is short, on one line, and printable.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from histscan.errors import HistoryDecodeError, HistoryError, HistoryRequestError, ResponseShapeError
from histscan.sources.limits import MAX_ANSWER, readable_size

if TYPE_CHECKING:
    import requests

__all__ = [
    "AnswerReader",
    "describe_answer",
    "describe_errors",
    "is_json",
    "is_whole_page",
    "load_body",
    "one_line",
    "parse_json",
]

_LONGEST = 500
# Bytes of a body to read at once; more than most pages have.
_CHUNK_SIZE = 1 << 20
# The same for a compressed body if urllib3 decompresses all that it has read (before 2.6): at most 64 MiB of gzip.
_COMPRESSED_CHUNK_SIZE = 1 << 16

_Read = TypeVar("_Read")


class AnswerReader(Generic[_Read]):
    """Parses the body of an answer once, and checks that the body is complete.

    A proxy or a busy server may answer with HTTP 200 and a body that is empty, cut short, or an HTML page. Only the
    parser detects this at no cost, so it is passed to the client that makes the request.

    Args:
        read: Parses a body; raises a `HistoryError` if it can't.
    """

    def __init__(self, read: Callable[[bytes], _Read]) -> None:
        self._read = read
        self._body: bytes | None = None
        self._error: HistoryError | None = None
        self._value: _Read

    def is_whole(self, body: bytes) -> bool:
        """Parses a body. Returns False if it should be requested again.

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
        """Returns the parsed body.

        Args:
            body: The body. It is parsed now unless it is the one that was parsed last.

        Raises:
            HistoryError: It could not be parsed.
        """
        if self._body is not body:
            self.is_whole(body)
        if self._error is not None:
            raise self._error
        return self._value


def load_body(response: requests.Response, limit: int, *, cut: bool = False) -> None:
    """Reads the body of a streamed answer into its ``content``.

    requests itself would read it in chunks of 10 KiB, and each chunk waits for the GIL among busy threads.

    Args:
        response: The answer. It is closed if its body can't be read.
        limit: The most bytes of the body, decompressed.
        cut: True to drop what is beyond the limit, False to raise an error.

    Raises:
        HistoryRequestError: The body is larger than the limit.
        requests.RequestException: The body was cut short.
    """
    is_compressed = "Content-Encoding" in response.headers
    chunk_size = _CHUNK_SIZE if not is_compressed or _decompresses_in_parts() else _COMPRESSED_CHUNK_SIZE
    parts = []
    room = limit
    try:
        for part in response.iter_content(chunk_size):
            if len(part) > room:
                if not cut:
                    raise HistoryRequestError(
                        f"the server's answer is larger than {readable_size(limit)}B, decompressed: request less at "
                        "once (`page_size`, `keys`), or allow more with `max_answer` or "
                        f"{MAX_ANSWER.variable}={readable_size(2 * limit)}"
                    )
                parts.append(part[:room])
                response.close()
                break
            parts.append(part)
            room -= len(part)
        response._content = b"".join(parts)
    except BaseException:
        with suppress(OSError):
            response.close()
        raise


@functools.cache
def _decompresses_in_parts() -> bool:
    """Returns True if urllib3 decompresses no more than it is asked for."""
    from importlib.metadata import version

    major, minor = version("urllib3").split(".")[:2]
    return (int(major), int(minor)) >= (2, 6)


def is_whole_page(value: Any) -> bool:
    """Returns False if a page's body was cut short, within its rows or after them.

    Args:
        value: A page, or anything else.
    """
    # By its method, because isinstance() of a protocol takes longer than reading a small page.
    read_row = getattr(value, "row", None)
    if read_row is not None:
        try:
            read_row(len(value))
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
                "the server's answer is not JSON but an HTML page: check that the base URL is the address of the API"
            )
        else:
            reason = f"the server's answer is not JSON, or was cut short: {error}"
        raise ResponseShapeError(reason) from None


def describe_answer(text: str) -> str:
    """Extracts the error messages from the body of an answer, for an error message.

    Args:
        text: The body: JSON with ``errors`` or ``error``, or any other text.

    Returns:
        The messages, on one line.
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return one_line(text)
    return describe_errors(answer.get("errors", answer.get("error", answer)) if isinstance(answer, dict) else answer)


def describe_errors(errors: object) -> str:
    """Extracts the messages from the ``errors`` of a GraphQL answer.

    Args:
        errors: A list of objects with a ``message``, or whatever the server sent in its place.

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
        At most 500 characters of it, ending in ``…`` if it was shortened.
    """
    begin = text[: 4 * _LONGEST]
    line = " ".join("".join(c if c.isprintable() else " " for c in begin).split())
    return line if len(line) <= _LONGEST and begin == text else f"{line[: _LONGEST - 1]}…"
