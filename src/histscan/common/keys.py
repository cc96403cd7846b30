"""Keys of rows: what callers may pass, their order, and what a dotted key means in a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from histscan.common.steps import STEP

__all__ = ["ABSENT", "LEADING", "check_keys", "find_value", "in_order", "lead_columns", "leading_names"]

LEADING = (STEP, "_runtime", "_timestamp")
"""The keys that wandb adds to each row, which are the first columns of frames and files."""

ABSENT = object()
"""What `find_value` returns for a key that a row does not have: None is a value."""


def check_keys(keys: Sequence[str] | None) -> list[str] | None:
    """Checks keys that a caller passed.

    Args:
        keys: The keys; None for all.

    Returns:
        The keys as a list; None for None.

    Raises:
        ValueError: They are not a list of strings.
    """
    if keys is None:
        return None
    if isinstance(keys, str) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"keys must be a list of strings, not {keys!r}")
    return list(map(str, keys))


def in_order(keys: Iterable[str]) -> list[str]:
    """Sorts keys: the step first, then the other keys by name.

    Args:
        keys: The keys.
    """
    return sorted(keys, key=lambda key: (key != STEP, key))


def lead_columns(names: Iterable[str]) -> list[str]:
    """Puts the columns that wandb adds to each row before the others.

    Args:
        names: The names of columns.

    Returns:
        The step, the time since the start and the time, as far as they are there; then the others in their order.
    """
    known = dict.fromkeys(names)
    return [*(name for name in LEADING if name in known), *(name for name in known if name not in LEADING)]


def leading_names(key: str) -> Iterator[str]:
    """Yields the names of what a dotted key may be a member of, from the outside in; at last the key itself.

    Args:
        key: The key: ``"a.b.c"`` gives ``"a"``, ``"a.b"`` and ``"a.b.c"``.

    Yields:
        The names.
    """
    place = key.find(".")
    while place >= 0:
        yield key[:place]
        place = key.find(".", place + 1)
    yield key


def find_value(value: Any, key: str) -> Any:
    """Finds the value of a key, the longest of its dotted names first.

    Args:
        value: A row, or a value in it.
        key: The key; ``"a.b"`` is the member ``"a.b"`` if there is one, else the member ``"b"`` of ``"a"``.

    Returns:
        The value, or `ABSENT`.
    """
    if not isinstance(value, Mapping):
        return ABSENT
    if key in value:
        return value[key]
    names = key.split(".")
    for length in range(len(names) - 1, 0, -1):
        found = find_value(value.get(".".join(names[:length])), ".".join(names[length:]))
        if found is not ABSENT:
            return found
    return ABSENT
