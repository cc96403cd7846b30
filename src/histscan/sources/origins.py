"""Recognises objects of wandb and of gql without importing either."""

from __future__ import annotations

__all__ = ["comes_from"]


def comes_from(package: str, thing: object) -> bool:
    """Returns True if a package defines the object's class or one of its bases.

    Args:
        package: The import name of a top-level package, such as ``"wandb"``.
        thing: Any object.
    """
    return any(base.__module__.partition(".")[0] == package for base in type(thing).__mro__)
