"""The context that the resolvers of a request share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from histscan.server.catalogue import Catalogue
from histscan.server.file_links import FileLinks, LinkedFile

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
    """

    catalogue: Catalogue
    links: FileLinks
    base_url: str

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
