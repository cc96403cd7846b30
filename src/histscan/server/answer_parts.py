"""The large texts of an answer, which are sent as they are instead of being copied into the rest of it."""

from __future__ import annotations

import re
import secrets

import orjson

from histscan.server.query_limits import too_much

__all__ = ["AnswerParts", "AnswerTooLarge"]

SMALL = 16 << 10
"""Shorter texts are copied: a part of its own costs more."""

# What stands for a text until the answer is complete; no client can know it before.
_MARK = secrets.token_hex(16)
_PLACE = re.compile(rb'"%s:(\d+)"' % _MARK.encode())


class AnswerTooLarge(BaseException):
    """An answer is over the limit. A BaseException, as GraphQL turns every Exception into a field's error.

    Attributes:
        error: The error to send instead.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.error = too_much(
            f"the answer has more than {limit:,} bytes",
            limit,
            "answer",
            "request fewer rows, runs or keys at once",
        )


class AnswerParts:
    """Collects the texts of one answer.

    Args:
        limit: The limit of the answer's size in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._texts: list[bytes | memoryview] = []

    def charge(self, size: int) -> None:
        """Counts bytes of the answer.

        Args:
            size: The number of bytes.

        Raises:
            AnswerTooLarge: The answer has too many.
        """
        self._size += size
        if self._size > self._limit:
            raise AnswerTooLarge(self._limit)

    def add(self, text: bytes | memoryview) -> orjson.Fragment:
        """Adds a text.

        Args:
            text: JSON, which must not change any more.

        Returns:
            What stands for it in the answer.

        Raises:
            AnswerTooLarge: The answer has too many bytes.
        """
        self.charge(len(text))
        if len(text) < SMALL:
            return orjson.Fragment(bytes(text))
        self._texts.append(text)
        return orjson.Fragment(f'"{_MARK}:{len(self._texts) - 1}"')

    def join(self, body: bytes) -> list[bytes | memoryview]:
        """Puts the texts where they belong.

        Args:
            body: The answer, in which something stands for each text.

        Returns:
            The parts of the answer.

        Raises:
            AnswerTooLarge: The answer has too many bytes.
        """
        pieces: list[bytes | memoryview] = []
        if self._texts:
            for place, piece in enumerate(_PLACE.split(body)):
                pieces.append(self._texts[int(piece)] if place % 2 else piece)
        else:
            pieces.append(body)
        if sum(map(len, pieces)) > self._limit:
            raise AnswerTooLarge(self._limit)
        return pieces
