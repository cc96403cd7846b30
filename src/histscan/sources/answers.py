"""What a server says in an answer, as words for an error message: short, on one line, printable."""

from __future__ import annotations

import json

__all__ = ["describe_answer", "describe_errors", "one_line"]

_LONGEST = 500


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
