"""Raw answers from wandb's own GraphQL client, whose login, retries and error handling stay in place.

That client parses an answer as JSON to find rows in it that are JSON texts themselves. A copy of it, made for one page
and sharing the original's connections, takes the page from the answer's bytes instead. An answer that is not a page in
order takes the client's own way, and so ends in the client's own error.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from histscan.errors import HistoryError

if TYPE_CHECKING:
    import requests

__all__ = ["ReadyPage", "page_client"]

_Page = TypeVar("_Page")


class ReadyPage(Generic[_Page]):
    """Stands for an answer's ``data``, where the page has been made of it.

    Args:
        page: The page.
    """

    def __init__(self, page: _Page) -> None:
        self.page = page


def page_client(client: Any, from_body: Callable[[bytes], _Page]) -> Any:
    """Copies wandb's client so that it returns pages.

    Args:
        client: wandb's ``RetryingClient``, or whatever stands in its place.
        from_body: Makes a page of an answer's raw body.

    Returns:
        A client whose ``execute`` returns a `ReadyPage`, or parsed data like the original's if the answer is no page.
        The client itself if it is not built as wandb's is.
    """
    if not type(client).__module__.startswith("wandb."):
        # A user's subclass may keep state that a copy would lose.
        return client
    gql_client: Any = getattr(client, "_client", None)
    transport: Any = getattr(gql_client, "transport", None)
    session = getattr(transport, "session", None)
    if session is None or not _is_session_of_wandb(transport):
        return client
    transport = copy.copy(transport)
    transport.session = _PageSession(session, from_body)
    gql_client = copy.copy(gql_client)
    gql_client.transport = transport
    client = copy.copy(client)
    client._client = gql_client
    # wandb keeps a wrapper here that calls the client which it was made for.
    client._execute_decorated = None
    return client


class _PageSession(Generic[_Page]):
    """A requests session whose answers say that their JSON is a page.

    Args:
        session: The session that does the work.
        from_body: Makes a page of an answer's raw body.
    """

    def __init__(self, session: requests.Session, from_body: Callable[[bytes], _Page]) -> None:
        self._session = session
        self._from_body = from_body

    def post(self, *arguments: Any, **options: Any) -> requests.Response:
        response = self._session.post(*arguments, **options)
        parse = response.json

        def json() -> Any:
            try:
                page = self._from_body(response.content)
            except HistoryError:
                return parse()
            return {"data": ReadyPage(page)}

        response.json = json  # type: ignore[method-assign,assignment]
        return response


def _is_session_of_wandb(transport: object) -> bool:
    kind = type(transport)
    return (kind.__module__, kind.__qualname__) == ("wandb.sdk.lib.gql_request", "GraphQLSession")
