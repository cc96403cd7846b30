"""Chooses keys by name, by glob (``"val/*"``) and by regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate

from histscan.common.keys import leading_names

__all__ = ["KeyChoice", "is_pattern"]

_MAGIC = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Returns True if a text is a glob, unless there is a key of this name.

    Args:
        text: A key or a glob.
    """
    return _MAGIC.search(text) is not None


@dataclass(frozen=True)
class KeyChoice:
    """Which keys a caller wants.

    Attributes:
        items: Keys, globs and regular expressions, in the caller's order.
    """

    items: tuple[str | re.Pattern[str], ...]

    @classmethod
    def of(cls, keys: Iterable[str | re.Pattern[str]] | None) -> KeyChoice | None:
        """Checks an argument.

        Args:
            keys: Keys, globs (``"val/*"``; ``*`` matches slashes and dots, too) and compiled regular expressions; None
                for all keys. A text with ``*``, ``?`` or ``[`` is a glob, unless there is a key of this name.

        Returns:
            The choice; None for all keys.

        Raises:
            ValueError: It is not a list of these.
        """
        if keys is None:
            return None
        if isinstance(keys, str | re.Pattern):
            raise ValueError(f"keys must be a list of strings or patterns, not {keys!r}")
        items = tuple(keys)
        if not all(isinstance(item, str | re.Pattern) for item in items):
            raise ValueError(f"keys must be a list of strings or patterns, not {keys!r}")
        # Those of `Run.keys` are texts of a class of their own, which the core does not take.
        return cls(tuple(str(item) if isinstance(item, str) else item for item in items))

    @property
    def names(self) -> list[str] | None:
        """The keys if none of the items is a pattern; else None."""
        if any(not isinstance(item, str) or _MAGIC.search(item) for item in self.items):
            return None
        return [item for item in self.items if isinstance(item, str)]

    def select(self, known: Sequence[str]) -> list[str]:
        """Selects keys.

        Args:
            known: The keys that there are.

        Returns:
            The chosen ones without repeats: in the order of the items, and those of a pattern in the order of `known`.
            A key without a pattern is chosen even if it is not known.
        """
        known = list(map(str, known))
        there = set(known)
        chosen: dict[str, None] = {}
        for item in self.items:
            if isinstance(item, str) and (item in there or not _MAGIC.search(item)):
                chosen[item] = None
                continue
            matches = _matcher(item)
            chosen.update(dict.fromkeys(name for name in known if matches(name)))
        return list(chosen)

    def missing(self, known: Iterable[str], *, knows_parents: bool = True) -> list[str | re.Pattern[str]]:
        """Finds the items that choose no known key.

        Args:
            known: The keys that there are, nested ones dotted.
            knows_parents: True if a key whose members are known is known, too.

        Returns:
            The items, in the caller's order.
        """
        names = list(map(str, known))
        there = {part for name in names for part in leading_names(name)} if knows_parents else set(names)
        return [item for item in self.items if item not in there and not _matches_any(item, names)]


def _matcher(item: str | re.Pattern[str]) -> Callable[[str], object]:
    """A glob describes the whole key, a regular expression a part of it."""
    return item.search if isinstance(item, re.Pattern) else re.compile(translate(item)).match


def _matches_any(item: str | re.Pattern[str], names: Iterable[str]) -> bool:
    if isinstance(item, str) and not is_pattern(item):
        return False
    return any(map(_matcher(item), names))
