"""What is known of a key of a history: its name, the type of its values, how many there are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from histscan.common.key_patterns import KeyChoice

__all__ = ["KeyInfo", "KeyPatterns", "choose_keys"]

KeyPatterns = str | re.Pattern[str] | Sequence[str | re.Pattern[str]]
"""A key, a glob or a regular expression; or several of them."""


class KeyInfo(str):
    """A key of the history of a run, or of several. It is its name, so that a list of keys is a list of texts.

    Args:
        name: The key.
        kind: The type of its values.
        count: The number of rows that have a value.
        runs: The number of runs that have the key.

    Attributes:
        name: The key as a plain text; nested keys are dotted.
        type: ``"number"``, ``"string"``, ``"boolean"``, ``"list"``, ``"nil"`` or, for nested and mixed values,
            ``"other"``.
        count: The number of rows that have a value; None if it is unknown without reading rows.
        runs: The number of runs that have the key.
    """

    __slots__ = ("count", "name", "runs", "type")

    name: str
    type: str
    count: int | None  # type: ignore[assignment]  # instead of the method of texts
    runs: int

    def __new__(cls, name: str, kind: str, count: int | None, runs: int = 1) -> KeyInfo:
        """Makes a key; see the class."""
        key = super().__new__(cls, name)
        key.name, key.type, key.count, key.runs = str(name), kind, count, runs
        return key

    def __getnewargs__(self) -> tuple[str, str, int | None, int]:  # type: ignore[override]
        return (self.name, self.type, self.count, self.runs)

    def as_dict(self) -> dict[str, str | int | None]:
        """Returns the attributes by their names."""
        return {"name": self.name, "type": self.type, "count": self.count, "runs": self.runs}

    def __repr__(self) -> str:
        return f"KeyInfo({self.name!r}, {self.type!r}, count={self.count}, runs={self.runs})"


def choose_keys(keys: Sequence[KeyInfo], pattern: KeyPatterns | None) -> list[KeyInfo]:
    """Chooses keys.

    Args:
        keys: The keys.
        pattern: What to choose; None for all.

    Returns:
        The chosen keys, in the order in which they were.
    """
    choice = KeyChoice.of([pattern] if isinstance(pattern, str | re.Pattern) else pattern)
    if choice is None:
        return list(keys)
    chosen = set(choice.select([key.name for key in keys]))
    return [key for key in keys if key.name in chosen]
