"""The limits of requests and answers, and their values on the command line: ``--limit NAME=VALUE``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

__all__ = ["DEFAULT_LIMITS", "ServerLimits", "limits_of"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _shown(number: Any) -> str:
    unit = next((unit for unit in "GMK" if number % _UNITS[unit] == 0), "")
    return f"{number // _UNITS[unit]}{unit}"


@dataclass(frozen=True)
class ServerLimits:
    """The limits of what a client may request. A query over a limit is refused before it is executed.

    wandb's own queries (0.22.3 to 0.31.0) have at most 11 levels, 72 fields, 3 aliases and 273 tokens.

    Attributes:
        tokens: The tokens of a query's text.
        depth: The levels of nested fields.
        fields: The fields of a query, those of fragments counted wherever they are used.
        aliases: The fields with an alias; also the specs of sampled histories.
        values: The estimated number of values in an answer: each field of each run in a list is one.
        rows: The estimated number of rows in an answer.
        answer: The size of an answer in bytes, first estimated, then measured. Downloads of files have no limit.
        body: The size of a request's body in bytes.
        headers: The size of a request line with its headers in bytes.
        connections: The number of open connections.
        time: The number of seconds that a query may take.
        wait: The number of seconds to wait for a client: for its TLS handshake, its headers, its body, and for it to
            read on in an answer.
    """

    tokens: int = 5_000
    depth: int = 20
    fields: int = 300
    aliases: int = 100
    values: int = 200_000
    rows: int = 5_000_000
    answer: int = 256 << 20
    body: int = 4 << 20
    headers: int = 32 << 10
    connections: int = 500
    time: int = 300
    wait: int = 20


DEFAULT_LIMITS = " ".join(f"{field.name}={_shown(field.default)}" for field in fields(ServerLimits))
"""The defaults as `limits_of` parses them."""


def limits_of(options: Iterable[str]) -> ServerLimits:
    """Parses limits from the command line.

    Args:
        options: Each like ``rows=1000000`` or ``answer=1G``; K, M and G stand for 2**10, 2**20 and 2**30.

    Returns:
        The limits; the default for each that is not given.

    Raises:
        ValueError: An option is no limit; the message describes the syntax.
    """
    known = [field.name for field in fields(ServerLimits)]
    chosen: dict[str, int] = {}
    for option in options:
        found = re.fullmatch(r"(\w+)=(\d{1,12})([KMG]?)", option)
        if found is None or found[1] not in known or int(found[2]) == 0:
            raise ValueError(
                f"{option!r} is not a limit: use NAME=N with N from 1 on, as in answer=1G; the names are "
                f"{', '.join(known)}"
            )
        chosen[found[1]] = int(found[2]) * _UNITS[found[3]]
    return replace(ServerLimits(), **chosen)
