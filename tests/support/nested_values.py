"""Values under paths of nested keys, put together as wandb puts the items of a row together."""

from __future__ import annotations

from typing import Any


def put(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Puts a value where a path of nested keys leads; whatever is in the way makes room."""
    for name in path[:-1]:
        if not isinstance(values.get(name), dict):
            values[name] = {}
        values = values[name]
    values[path[-1]] = value


def take(values: dict[str, Any], path: list[str]) -> None:
    """Takes away what a path of nested keys leads to, and the dicts on the way that it leaves empty."""
    below = values.get(path[0])
    if len(path) > 1 and isinstance(below, dict):
        take(below, path[1:])
    if len(path) == 1 or below == {}:
        values.pop(path[0], None)


def path_of(item: Any) -> list[str]:
    """The path of an item's key."""
    return [item.key] if item.key or not item.nested_key else list(item.nested_key)
