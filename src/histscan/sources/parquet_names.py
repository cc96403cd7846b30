"""The columns of a Parquet file by their names, in constant time for each name."""

from __future__ import annotations

from collections import Counter
from typing import Any

from histscan.common.json_fields import is_json
from histscan.common.lazy import cached_property

__all__ = ["ColumnNames"]


class ColumnNames:
    """Finds columns, and members of structs, by name.

    Args:
        schema: The ``pyarrow.Schema``.

    Attributes:
        names: The name of each column.
        places: The place of each name; of several columns of one name, the last one counts, as in JSON.
    """

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self.names: list[str] = schema.names
        self.places = {name: place for place, name in enumerate(self.names)}
        # The members of each struct that was asked for, by its path; those of the empty path are the columns.
        self._members: dict[tuple[str, ...], _Members] = {(): _Members(self.places)}

    @cached_property
    def repeated(self) -> frozenset[str]:
        """The names that several columns have."""
        if len(self.places) == len(self.names):
            return frozenset()
        return frozenset(name for name, count in Counter(self.names).items() if count > 1)

    @cached_property
    def has_members(self) -> bool:
        """True if a dotted name may lead into a column: if there is a struct, or JSON text."""
        import pyarrow

        return any(pyarrow.types.is_struct(field.type) or is_json(field) for field in self._schema)

    def find(self, key: str) -> str | None:
        """Finds the column, or the member of a struct, for a key.

        Args:
            key: The key. A dotted key reaches into structs and JSON text.

        Returns:
            The column's path in the file; None if there is none.
        """
        if "." not in key or not self.has_members:
            return key if key in self.places else None
        found = self._find_below((), None, key.split("."))
        return None if found is None else ".".join(found)

    def _find_below(self, path: tuple[str, ...], struct: Any, names: list[str]) -> tuple[str, ...] | None:
        """Resolves dotted names to a path of fields. Tries the longest names first, as the decoder of rows does."""
        import pyarrow

        members = self._members.get(path)
        if members is None:
            members = self._members[path] = _Members({field.name: place for place, field in enumerate(struct)})
        for length in range(min(len(names), members.most_parts), 0, -1):
            name = ".".join(names[:length])
            place = members.places.get(name)
            if place is None:
                continue
            rest = names[length:]
            field = self._schema.field(place) if struct is None else struct.field(place)
            if not rest or is_json(field):
                return (*path, name)
            if pyarrow.types.is_struct(field.type):
                below = self._find_below((*path, name), field.type, rest)
                if below is not None:
                    return below
        return None


class _Members:
    """The members of a struct.

    Attributes:
        places: The place of each name.
        most_parts: How many parts a name has at most, if names are split at dots.
    """

    def __init__(self, places: dict[str, int]) -> None:
        self.places = places
        self.most_parts = 1 + max((name.count(".") for name in places), default=0)
