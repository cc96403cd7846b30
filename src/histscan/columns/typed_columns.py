"""Columns whose types are known before the rows are read: for lazy frames, and for the parts of a distributed table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import JSON_FORMAT, column_format
from histscan.common.lazy import cached_property
from histscan.errors import HistoryError

__all__ = ["TYPE_NAMES", "TypedHistory", "check_types", "flags_of_kind", "formats_of_types", "kind_of_flags"]

TYPE_NAMES = {"bool": "b", "int64": "l", "uint64": "L", "float64": "g", "string": "u", "json": JSON_FORMAT}
"""Arrow's formats by the names with which callers declare types."""

_SAMPLES: dict[str, Any] = {
    "b": True,
    "l": 1,
    "L": (1 << 64) - 1,
    "g": 0.5,
    "u": "text",
    "+ll": [1],
    "+lg": [0.5],
    JSON_FORMAT: {"a": 1},
    "n": None,
}

# What W&B's server calls the types of keys, and "integer", which it does not tell from floats.
_KINDS_OF_FORMATS = {
    "n": "nil",
    "b": "boolean",
    "l": "number",
    "L": "number",
    "g": "number",
    "u": "string",
    "+": "list",
}
_KINDS = {"number": "g", "integer": "l", "string": "u", "boolean": "b", "bool": "b", "nil": "n"}


class TypedHistory(Protocol):
    """A history whose columns are known before its rows are read."""

    @property
    def schema(self) -> Any:
        """The columns: an object with ``__arrow_c_stream__`` that has no rows."""

    def read(self, columns: Sequence[str], min_step: int, stop_step: int) -> Iterator[Any]:
        """Reads rows.

        Args:
            columns: The names of the columns.
            min_step: The first step.
            stop_step: The step to stop at, exclusive.

        Yields:
            Objects with ``__arrow_c_stream__``, with these columns.

        Raises:
            HistoryError: A row can't be read, or a value does not have the type of its column.
        """


class _Flags:
    """The type flags of one value of each format."""

    @cached_property
    def by_format(self) -> dict[str, int]:
        builder = ColumnBuilder(list(_SAMPLES))
        builder.add_rows([_SAMPLES])
        chunk = builder.take_chunk()
        return dict(zip(chunk.names, chunk.type_flags(), strict=True))


_FLAGS = _Flags()


def flags_of_kind(kinds: Iterable[str]) -> int:
    """Returns the type flags of a column, from the types that a server reports for the key.

    Args:
        kinds: The server's words, ``"number"`` and so on, whose column is ``float64``, because numbers may be integers
            or floats; or ``"integer"``.

    Returns:
        The flags, for ``column_types.column_format``.
    """
    flags = 0
    for kind in kinds:
        flags |= _FLAGS.by_format[_KINDS.get(kind, JSON_FORMAT)]
    return flags


def kind_of_flags(type_flags: int) -> str:
    """Returns the type of a key in the words of servers.

    Args:
        type_flags: What was seen in its column, as in ``column_types``.
    """
    return _KINDS_OF_FORMATS.get(column_format(type_flags)[0], "other")


def formats_of_types(types: Mapping[str, str] | None) -> dict[str, str]:
    """Checks the types that a caller declares.

    Args:
        types: The type of each key: one of `TYPE_NAMES`.

    Returns:
        The format of each key.

    Raises:
        ValueError: There is no such type.
    """
    formats = {}
    for name, kind in (types or {}).items():
        if kind not in TYPE_NAMES:
            raise ValueError(f"the type of {name!r} must be one of {', '.join(TYPE_NAMES)}, not {kind!r}")
        formats[name] = TYPE_NAMES[kind]
    return formats


def check_types(chunk: ColumnChunk, formats: Mapping[str, str]) -> None:
    """Checks that the values of a chunk have the types of its columns: others would become garbage.

    Args:
        chunk: The chunk.
        formats: The format of each column.

    Raises:
        HistoryError: A value has another type.
    """
    for name, seen in zip(chunk.names, chunk.type_flags(), strict=True):
        declared = formats.get(name, JSON_FORMAT)
        if declared != JSON_FORMAT and column_format(seen | _FLAGS.by_format[declared]) != declared:
            kinds = {code: kind for kind, code in TYPE_NAMES.items()}
            kind = kinds.get(declared, "null" if declared == "n" else "list")
            raise HistoryError(
                f"the key {name!r} has values that do not fit its column of type {kind}: if the history has grown, "
                f"start again; else declare its type, for example types={{{name!r}: 'json'}}"
            )
