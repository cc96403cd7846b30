"""The context that the resolvers of a request share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from histscan.server.answer_parts import AnswerParts
from histscan.server.catalogue import Catalogue
from histscan.server.file_links import FileLinks, LinkedFile
from histscan.server.reply_cache import Sources
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
        sources: What the answer is made of so far.
    """

    catalogue: Catalogue
    links: FileLinks
    base_url: str
    parts: AnswerParts
    sources: Sources = field(default_factory=Sources)
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
            if self.sources.generation is None:
                self.sources.generation = self.catalogue.generation
            runs = self._listed[entity, project] = self.catalogue.runs(entity, project)
            self.sources.add(runs)
        return self._listed[entity, project]

    def run(self, entity: str, project: str, run_id: str) -> ServedRun | None:
        """Finds a run.

        Args:
            entity: Its entity.
            project: Its project.
            run_id: Its id.

        Returns:
            The run; None if there is none.
        """
        run = self.catalogue.run(entity, project, run_id)
        if run is None:
            self.sources.is_repeatable = False
        else:
            self.sources.add((run,))
        return run

    @property
    def default_entity(self) -> str:
        """The viewer's entity, which may change with the runs."""
        self.sources.is_repeatable = False
        return self.catalogue.default_entity

    def url(self, file: LinkedFile | None) -> str:
        """Makes a signed URL.

        Args:
            file: The file; None for a URL that answers 404.

        Returns:
            The URL.
        """
        self.sources.is_repeatable = False
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
