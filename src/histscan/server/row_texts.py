"""Encodes rows as JSON exactly, with orjson where it is exact.

orjson silently writes NaN and the infinities as null, and raises on integers beyond 64 bits and lone surrogates. So
`json` encodes every value that orjson refuses, and every value whose text contains a null.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

__all__ = ["json_literal", "json_text", "strict_json"]


def json_text(value: Any) -> str:
    """Encodes a value as in W&B's logs: NaN and the infinities are bare tokens.

    Args:
        value: Any value that `json.loads` can return.

    Returns:
        The text.
    """
    text = _fast(value)
    return json.dumps(value) if text is None else text.decode()


def strict_json(value: Any) -> bytes:
    """Encodes a value as standard JSON: NaN is the string ``"NaN"``.

    W&B's own server does the same where a value is part of the response's JSON.

    Args:
        value: Any value that `json.loads` can return.

    Returns:
        The text, in UTF-8.
    """
    text = _fast(value)
    return json.dumps(_quote_nonfinite(value), allow_nan=False).encode() if text is None else text


def json_literal(value: Any) -> bytes:
    """Encodes a value as a JSON string that contains its JSON text.

    Args:
        value: Any value that `json.loads` can return.

    Returns:
        The string with its quotes, in UTF-8.
    """
    return orjson.dumps(json_text(value))


def _fast(value: Any) -> bytes | None:
    try:
        text = orjson.dumps(value)
    except TypeError:
        return None
    # A string that contains "null" costs a second encoding, and nothing else.
    return None if b"null" in text else text


def _quote_nonfinite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _quote_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quote_nonfinite(item) for item in value]
    return value
