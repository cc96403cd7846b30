"""The keys of a run's history on a server, with the types of their values: no rows are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan.api.names import RunName
from histscan.api.scan_start import read_last_step
from histscan.errors import ResponseShapeError
from histscan.sources.run_queries import LAST_STEP, parse_object, request_run

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = ["KeyKinds", "read_key_kinds", "read_keys", "request_key_kinds", "request_keys"]

# The types of values, in the words of servers.
_KINDS = ("number", "string", "boolean", "list", "nil", "other")


def request_keys(client: Client, name: RunName) -> list[tuple[str, str, int | None]]:
    """Requests the keys of a history.

    Args:
        client: Sends the request to the server.
        name: The run.

    Returns:
        As from `read_keys`, in the server's order.

    Raises:
        HistoryRequestError: The request failed.
        ResponseShapeError: The response has another shape.
        RunNotFoundError: The run does not exist any more.
    """
    return read_keys(request_run(client, LAST_STEP, *name))


def read_keys(run: Mapping[str, Any]) -> list[tuple[str, str, int | None]]:
    """Reads the keys of a run's history in an answer.

    Args:
        run: The run, with ``historyKeys``.

    Returns:
        For each key its name, its type (``"number"``, ``"string"``, …; ``"other"`` for several), and the number of its
        values if the server counts them.

    Raises:
        ResponseShapeError: The answer has another shape.
    """
    found = []
    for key, counted in _type_counts(run).items():
        kinds = {str(count.get("type")) for count in counted} - {"nil"}
        numbers = [count.get("count") for count in counted if count.get("type") != "nil"]
        whole = [number for number in numbers if isinstance(number, int)]
        kind = kinds.pop() if len(kinds) == 1 else "other" if kinds else "nil"
        found.append((key, kind if kind in _KINDS else "other", sum(whole) if whole == numbers and counted else None))
    return found


class KeyKinds(NamedTuple):
    """What a server knows about the history of a run without its rows.

    Attributes:
        kinds: The types of each key in the server's words, such as ``"number"``; empty if it does not report them.
        last_step: The highest step; -1 without rows.
    """

    kinds: dict[str, list[str]]
    last_step: int


def request_key_kinds(client: Client, name: RunName) -> KeyKinds:
    """Requests the keys of a history and the types of their values.

    Args:
        client: Sends the request to the server.
        name: The run.

    Returns:
        The keys, in the server's order.

    Raises:
        HistoryRequestError: The request failed.
        ResponseShapeError: The response has another shape.
        RunNotFoundError: The run does not exist any more.
    """
    return read_key_kinds(request_run(client, LAST_STEP, *name))


def read_key_kinds(run: Mapping[str, Any]) -> KeyKinds:
    """Reads the keys of a history, and the types of their values, in an answer.

    Args:
        run: The run, with ``historyKeys``.

    Returns:
        The keys, in the server's order.

    Raises:
        ResponseShapeError: The answer has another shape.
    """
    counts = _type_counts(run)
    kinds = {key: [str(count.get("type")) for count in counted] for key, counted in counts.items()}
    return KeyKinds(kinds, read_last_step(run))


def _type_counts(run: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Reads the types of each key, with their counts, in an answer."""
    keys = parse_object(run.get("historyKeys"), "historyKeys").get("keys") or {}
    if not isinstance(keys, dict):
        raise ResponseShapeError(f"`keys` in the server's answer is not an object but {type(keys).__name__}")
    found: dict[str, list[Mapping[str, Any]]] = {}
    for key, known in keys.items():
        counts = known.get("typeCounts") if isinstance(known, dict) else None
        found[str(key)] = [count for count in counts if isinstance(count, dict)] if isinstance(counts, list) else []
    return found
