"""Fields of Arrow schemas whose text is JSON.

Nested and mixed values are JSON text in plain text columns, which every consumer of Arrow knows; the metadata of the
field tell what they are. Arrow's extension type ``arrow.json``, which earlier exports of histscan have, is read, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

__all__ = ["JSON_METADATA", "is_json", "plain_json"]

JSON_METADATA: Mapping[bytes, bytes] = {b"histscan.type": b"json"}
"""The metadata of a field whose text is JSON; the core writes the same."""

_EXTENSION = b"ARROW:extension:name"


def is_json(field: Any) -> bool:
    """Returns True if a field of a schema is JSON text.

    Args:
        field: The ``pyarrow.Field``.

    Returns:
        True for text that is marked as JSON: by our own metadata, or by the extension type ``arrow.json``, even if this
        pyarrow does not support it.
    """
    metadata = field.metadata or {}
    return (
        metadata.get(b"histscan.type") == b"json"
        or metadata.get(_EXTENSION) == b"arrow.json"
        or getattr(field.type, "extension_name", None) == "arrow.json"
    )


def plain_json(columns: Iterable[pyarrow.ChunkedArray]) -> list[pyarrow.ChunkedArray]:
    """Returns columns with their storage in place of extension types.

    Args:
        columns: The columns.
    """
    import pyarrow

    return [
        pyarrow.chunked_array([piece.storage for piece in column.chunks], column.type.storage_type)
        if isinstance(column.type, pyarrow.BaseExtensionType)
        else column
        for column in columns
    ]
