"""What the resolvers of a request share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from histscan.server.catalogue import Catalogue
from histscan.server.file_links import FileLinks, LinkedFile

__all__ = ["Info", "QueryContext", "Resolver", "always", "context_of"]

Resolver = Callable[..., Any]
# graphql-core has a generic class for it from 3.3 on, and a plain one before.
Info = Any


@dataclass(frozen=True)
class QueryContext:
    """What the resolvers of a request need.

    Attributes:
        catalogue: The runs.
        links: Makes the addresses of files.
        base_url: The address that the client knows the server by.
    """

    catalogue: Catalogue
    links: FileLinks
    base_url: str

    def url(self, file: LinkedFile | None) -> str:
        """Makes a signed address.

        Args:
            file: The file; None for an address at which there is none.

        Returns:
            The address.
        """
        return self.base_url + self.links.link(file)


def context_of(info: Info) -> QueryContext:
    """Returns what a resolver's request needs.

    Args:
        info: The resolver's second argument.

    Returns:
        The context.
    """
    context: QueryContext = info.context
    return context


def always(value: Any) -> Resolver:
    """Makes a resolver of a field that always has the same value.

    Args:
        value: The value.

    Returns:
        The resolver.
    """
    return lambda *_, **__: value
