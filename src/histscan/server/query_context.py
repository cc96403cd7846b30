"""The context that the resolvers of a request share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from histscan.server.answer_parts import AnswerParts
from histscan.server.catalogue import Catalogue
from histscan.server.file_links import FileLinks, LinkedFile
from histscan.server.served_run import ServedRun

__all__ = ["Info", "QueryContext", "Resolver", "always", "context_of"]

Resolver = Callable[..., Any]
# graphql-core's class is generic from 3.3 on, and not before.
Info = Any


@dataclass(frozen=True)
class QueryContext:
    """The context of a request's resolvers.

    Attributes:
        catalogue: The runs.
        links: Makes the URLs of files.
        base_url: The server's URL as the client wrote it.
        parts: The texts of the answer.
    """

    catalogue: Catalogue
    links: FileLinks
    base_url: str
    parts: AnswerParts
    _listed: dict[tuple[str | None, str | None], Sequence[ServedRun]] = field(default_factory=dict, repr=False)

    def runs(self, entity: str | None, project: str | None) -> Sequence[ServedRun]:
        """Lists runs; the same ones whenever this request asks for them.

        Args:
            entity: Only those of an entity; None for all.
            project: Only those of a project; None for all.

        Returns:
            The runs, in the order of their names.
        """
        if (entity, project) not in self._listed:
            self._listed[entity, project] = self.catalogue.runs(entity, project)
        return self._listed[entity, project]

    def url(self, file: LinkedFile | None) -> str:
        """Makes a signed URL.

        Args:
            file: The file; None for a URL that answers 404.

        Returns:
            The URL.
        """
        return self.base_url + self.links.link(file)


def context_of(info: Info) -> QueryContext:
    """Returns the context of a resolver's request.

    Args:
        info: The resolver's second argument.

    Returns:
        The context.
    """
    context: QueryContext = info.context
    return context


def always(value: Any) -> Resolver:
    """Makes a resolver that always returns the same value.

    Args:
        value: The value.

    Returns:
        The resolver.
    """
    return lambda *_, **__: value
