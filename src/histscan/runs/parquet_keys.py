"""The keys of Parquet files: from their schemas and the statistics of their row groups, without reading rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from histscan.common.json_fields import is_json
from histscan.common.key_info import KeyInfo
from histscan.common.keys import in_order
from histscan.sources.parquet import ParquetSource

if TYPE_CHECKING:
    import pyarrow

__all__ = ["count_columns"]


def count_columns(sources: Sequence[ParquetSource]) -> list[KeyInfo]:
    """Finds the keys of files.

    Args:
        sources: The files of one history.

    Returns:
        The step first, then the others by name. Members of structs are dotted; JSON text is one key. Counts are those
        of the files' statistics, None where they have none.
    """
    kinds: dict[str, set[str]] = {}
    counts: dict[str, int | None] = {}
    for source in sources:
        in_file = source.value_counts()
        for field in source.schema:
            for name, kind in _leaves(field):
                kinds.setdefault(name, set()).add(kind)
                before, count = counts.get(name, 0), in_file.get(name)
                counts[name] = None if before is None or count is None else before + count
    return [KeyInfo(name, _joined(kinds[name]), counts[name]) for name in in_order(kinds)]


def _leaves(field: pyarrow.Field, above: str = "") -> Iterator[tuple[str, str]]:
    """Yields the dotted names of the members of a column, and the types of their values."""
    import pyarrow

    name = f"{above}{field.name}"
    if not pyarrow.types.is_struct(field.type) or not field.type.num_fields:
        yield name, _kind(field)
        return
    for member in field.type:
        yield from _leaves(member, f"{name}.")


def _kind(field: pyarrow.Field) -> str:
    from pyarrow import types

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if is_json(field):
        return "other"
    if types.is_integer(kind) or types.is_floating(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind):
        return "string"
    if types.is_boolean(kind):
        return "boolean"
    if types.is_null(kind):
        return "nil"
    return "list" if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) else "other"


def _joined(kinds: set[str]) -> str:
    known = kinds - {"nil"}
    return known.pop() if len(known) == 1 else "other" if known else "nil"
