"""Writes rows as JSON Lines that read back as exactly the same rows.

orjson writes a row many times faster than ``json.dumps``, and differs in four cases. It silently writes ``null`` for
NaN and the infinities: so a row whose line contains ``null`` is written again with the tokens that ``json.loads``
reads. It raises on ints beyond 64 bits, lone surrogates and nesting deeper than 254: ``json.dumps`` writes those rows.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from typing import Any, BinaryIO

import orjson

from histscan.common.steps import STEP
from histscan.errors import HistoryError

__all__ = ["NONFINITE_FORMS", "JsonLineEncoder", "add_nonfinite", "nonfinite_name", "write_json_lines"]

NONFINITE_FORMS = ("token", "null", "string")


def add_nonfinite(parser: argparse.ArgumentParser) -> None:
    """Declares how NaN and the infinities are written in JSON."""
    parser.add_argument(
        "--nan",
        choices=NONFINITE_FORMS,
        default="token",
        help="how to write NaN, Infinity and -Infinity, which standard JSON lacks: as bare tokens, which Python's "
        'json, pandas and JSON5 read (token, the default); as null; or as strings ("NaN")',
    )


def nonfinite_name(value: float) -> str:
    """Returns the name of NaN or an infinity in JavaScript and Python's json."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


class JsonLineEncoder:
    """Encodes rows as JSON, one per line.

    Args:
        nonfinite: How to write NaN and the infinities: as a bare ``token``, which reads back as the same float; as
            ``null``; or as a ``string``.
    """

    def __init__(self, nonfinite: str = "token") -> None:
        if nonfinite not in NONFINITE_FORMS:
            raise ValueError(f"nonfinite must be one of {', '.join(NONFINITE_FORMS)}, not {nonfinite!r}")
        self._nonfinite = nonfinite

    def encode(self, row: Any) -> bytes:
        """Encodes a row.

        Args:
            row: The row, or any other value that ``json.loads`` can return.

        Returns:
            The line, with its line break.

        Raises:
            HistoryError: A value is nested deeper than Python's recursion limit.
        """
        try:
            line = orjson.dumps(row, None, orjson.OPT_APPEND_NEWLINE)
            if b"null" in line and self._nonfinite != "null":
                line = orjson.dumps(self._with_nonfinite(row), None, orjson.OPT_APPEND_NEWLINE)
        except TypeError:
            return self._encode_slowly(row)
        return line

    def _with_nonfinite(self, value: Any) -> Any:
        """Copies a value, with NaN and the infinities replaced."""
        kind = type(value)
        if kind is float:
            return value if math.isfinite(value) else self._nonfinite_value(value)
        if kind is dict:
            return {key: self._with_nonfinite(member) for key, member in value.items()}
        if kind is list:
            return [self._with_nonfinite(element) for element in value]
        return value

    def _nonfinite_value(self, value: float) -> Any:
        """Returns the replacement of NaN or an infinity."""
        if self._nonfinite == "null":
            return None
        name = nonfinite_name(value)
        return name if self._nonfinite == "string" else orjson.Fragment(name)

    def _encode_slowly(self, row: Any) -> bytes:
        """Encodes a row that orjson refuses."""
        try:
            # json.dumps writes the tokens itself.
            value = row if self._nonfinite == "token" else self._with_nonfinite(row)
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            try:
                return text.encode() + b"\n"
            except UnicodeEncodeError:
                return json.dumps(value, separators=(",", ":")).encode() + b"\n"
        except RecursionError:
            step = row.get(STEP) if isinstance(row, dict) else None
            raise HistoryError("a value is nested too deeply to be written as JSON", step=step) from None


def write_json_lines(rows: Iterable[dict[str, Any]], output: BinaryIO, *, nonfinite: str = "token") -> None:
    """Writes rows as JSON Lines: UTF-8, one object per line, in the order of the rows.

    Args:
        rows: The rows.
        output: The binary file to write to.
        nonfinite: How to write NaN and the infinities, as for `JsonLineEncoder`.
    """
    encode = JsonLineEncoder(nonfinite).encode
    for row in rows:
        output.write(encode(row))
