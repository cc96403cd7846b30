"""Messages about keys that a history does not have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from histscan.common.key_patterns import KeyChoice
from histscan.common.printable import printable
from histscan.errors import UnknownKeyError

__all__ = ["check_known", "describe_missing", "list_names"]

_NAMES_SHOWN = 12


def describe_missing(key: str, known: Sequence[str], owner: str = "row") -> str:
    """Describes a key or a pattern that matches nothing, and names keys that the user may have meant.

    Args:
        key: The key or pattern.
        known: The keys that there are.
        owner: What could have the key: ``"row"`` or ``"run"``.

    Returns:
        The message.
    """
    below = [name for name in known if name.startswith(f"{key}.")]
    near = below or difflib.get_close_matches(key, known, n=3, cutoff=0.6) or _with_part(key, known)
    if near:
        return f"no {owner} has {key!r}; did you mean {list_names(near)}?"
    if not known:
        return f"no {owner} has {key!r}: there are no keys"
    return f"no {owner} has {key!r}; the keys are {list_names(known)}"


def check_known(items: Iterable[str | re.Pattern[str]], known: Sequence[str], owner: str = "row") -> None:
    """Checks that there are keys.

    Args:
        items: Keys, globs and regular expressions. A key whose members are known is known, too.
        known: The keys that there are, nested ones dotted. If there are none, nothing is checked.
        owner: As for `describe_missing`.

    Raises:
        UnknownKeyError: There is no such key, or none that matches a pattern.
    """
    for item in KeyChoice(tuple(items)).missing(known) if known else ():
        raise UnknownKeyError(describe_missing(item if isinstance(item, str) else item.pattern, known, owner))


def list_names(names: Sequence[str]) -> str:
    """Lists the first names of many.

    Args:
        names: The names.

    Returns:
        ``a, b, c and 12 more``.
    """
    rest = len(names) - _NAMES_SHOWN
    return ", ".join(map(printable, names[:_NAMES_SHOWN])) + (f" and {rest:,} more" if rest > 0 else "")


def _with_part(key: str, known: Sequence[str]) -> list[str]:
    """Finds keys that end in the given name, or in its last part: ``loss`` for ``train/loss``."""
    last = key.replace(".", "/").rsplit("/", 1)[-1].lower()
    if not last.isidentifier():
        return []
    return [name for name in known if name.replace(".", "/").rsplit("/", 1)[-1].lower() == last]
