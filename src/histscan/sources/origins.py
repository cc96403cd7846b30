"""Tells the objects of wandb and of gql from all others, without importing either."""

from __future__ import annotations

__all__ = ["comes_from"]


def comes_from(package: str, thing: object) -> bool:
    """Whether a top-level package defines the object's class or one of its bases.

    Args:
        package: The package's import name, ``"wandb"``.
        thing: Any object.

    Returns:
        True when some class in the object's method resolution order is from that package.
    """
    return any(base.__module__.partition(".")[0] == package for base in type(thing).__mro__)
