"""Rows as JSON text: exactly the row, as fast as orjson can where it can.

orjson writes NaN and infinities as null without a word, refuses integers beyond 64 bits and lone surrogates, and is
right about everything else. So whatever it refuses, and whatever has a null, is written by `json`.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

__all__ = ["json_literal", "json_text", "strict_json"]


def json_text(value: Any) -> str:
    """Writes a value as the JSON that W&B's logs have: NaN and infinities are bare tokens.

    Args:
        value: What `json.loads` may return.

    Returns:
        The text.
    """
    text = _fast(value)
    return json.dumps(value) if text is None else text.decode()


def strict_json(value: Any) -> bytes:
    """Writes a value as JSON for an answer's body, which every reader must take: NaN is the string ``"NaN"``.

    That is how W&B's own server sends what is not finite where a value is no JSON text of its own.

    Args:
        value: What `json.loads` may return.

    Returns:
        The text, in UTF-8.
    """
    text = _fast(value)
    return json.dumps(_quote_nonfinite(value), allow_nan=False).encode() if text is None else text


def json_literal(value: Any) -> bytes:
    """Writes a value as a JSON string that contains its JSON text.

    Args:
        value: What `json.loads` may return.

    Returns:
        The string with its quotes, in UTF-8.
    """
    return orjson.dumps(json_text(value))


def _fast(value: Any) -> bytes | None:
    try:
        text = orjson.dumps(value)
    except TypeError:
        return None
    # A text that says "null" costs a second writing, and nothing else.
    return None if b"null" in text else text


def _quote_nonfinite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _quote_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quote_nonfinite(item) for item in value]
    return value
