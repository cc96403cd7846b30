"""Resolvers of a run's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from histscan.common.patterns import PatternError
from histscan.server.connections import global_id, page_of, time_text
from histscan.server.file_links import LinkedFile
from histscan.server.query_context import Info, Resolver, always, context_of
from histscan.server.run_files import RunFile, choose_files
from histscan.server.served_run import ServedRun

__all__ = ["FILE_RESOLVERS", "count_files", "list_files"]


@dataclass(frozen=True)
class _MissingFile:
    """A file that was requested by name and does not exist. W&B sends one of 0 bytes, with the MD5 ``0``."""

    name: str
    md5: str = "0"
    mimetype: str | None = None


def count_files(run: ServedRun, info: Info) -> int:
    """Resolves a run's ``fileCount``.

    Args:
        run: The run.
        info: Has the context.

    Returns:
        The number of files.
    """
    context_of(info).sources.is_repeatable = False
    return len(run.files())


def list_files(run: ServedRun, info: Info, **arguments: Any) -> dict[str, Any]:
    """Resolves a run's ``files``.

    Args:
        run: The run.
        info: Has the context.
        arguments: ``names``, ``pattern``, ``after`` and ``first``.

    Returns:
        The members of the connection.

    Raises:
        GraphQLError: The cursor is unknown, or the pattern can't be used.
    """
    context_of(info).sources.is_repeatable = False
    names = [name for name in arguments.get("names") or () if name is not None]
    try:
        files = choose_files(run.files(), names, arguments.get("pattern"))
    except PatternError as error:
        raise GraphQLError(f"the pattern can't be used: {error}") from None
    found = {file.name for file in files}
    nodes: list[RunFile | _MissingFile] = [*files, *(_MissingFile(name) for name in names if name not in found)]
    edges = [{"node": node, "cursor": global_id("File", node.name)} for node in nodes]
    return page_of(edges, arguments.get("after"), arguments.get("first"))


def _url(file: RunFile | _MissingFile, info: Info, **_: Any) -> str:
    if isinstance(file, _MissingFile):
        return context_of(info).url(None)
    return context_of(info).url(LinkedFile(file.path, file.root, file.version.inodes[0], file.mimetype, file.name))


def _changed_at(file: RunFile | _MissingFile, _: Info) -> str | None:
    return time_text(file.modified_at) if isinstance(file, RunFile) else None


FILE_RESOLVERS: Mapping[str, Resolver] = {
    "id": lambda file, _: global_id("File", file.name),
    "name": lambda file, _: file.name,
    "displayName": lambda file, _: file.name,
    "url": _url,
    "directUrl": _url,
    "sizeBytes": lambda file, _: file.version.size if isinstance(file, RunFile) else 0,
    "mimetype": lambda file, _: file.mimetype,
    "md5": lambda file, _: file.md5,
    "digest": lambda file, _: file.md5,
    "storagePath": always(None),
    "updatedAt": _changed_at,
    "createdAt": _changed_at,
}
