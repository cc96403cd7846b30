"""Raw answers from wandb's own GraphQL client, whose login, retries and error handling stay in place.

That client parses an answer as JSON to find rows in it that are JSON texts themselves. A copy of it, made for one page
and sharing the original's connections, takes the page from the answer's bytes instead. An answer that is not a page in
order takes the client's own way, and so ends in the client's own error. A client that somebody has subclassed, patched
or put together from other parts is asked as it is: what stands between would not expect a page there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from histscan.errors import HistoryError
from histscan.sources.answers import is_whole_page
from histscan.sources.cancellation import Cancellation, RequestCancelledError, current_cancellation
from histscan.sources.origins import comes_from

if TYPE_CHECKING:
    import requests

__all__ = ["ReadyPage", "execute_for_page", "is_as_made"]

_Page = TypeVar("_Page")

# The parts of wandb's client, from the outside in; each hands on what the next one's `execute` returns.
_PARTS = (
    ("wandb.apis.public.api", "RetryingClient"),
    ("wandb_gql.client", "Client"),
    ("wandb.sdk.lib.gql_request", "GraphQLSession"),
)


# Bytes to read at once; more than most pages have.
_PIECE = 1 << 20


class ReadyPage(Generic[_Page]):
    """Stands for an answer's ``data``, where the page has been made of it.

    Args:
        page: The page.
    """

    def __init__(self, page: _Page) -> None:
        self.page = page


def execute_for_page(
    client: Any, document: Any, variables: dict[str, Any], from_body: Callable[[bytes], _Page]
) -> ReadyPage[_Page] | Any:
    """Runs a query by wandb's client, and takes the page from the raw answer if that can be had.

    Args:
        client: wandb's ``RetryingClient``, or whatever stands in its place.
        document: The query, as the client takes it.
        variables: The query's variables.
        from_body: Makes a page of an answer's raw body.

    Returns:
        The page; or the parsed data that the client returns, if the answer is no page or the client not as wandb has
        it. What the client raises passes unchanged.
    """
    if not is_as_made(client):
        return client.execute(document, variable_values=variables)
    cancellation = current_cancellation()
    # wandb's retries wait for minutes: a scan that is over must not have a thread waiting for that long.
    waits = {} if cancellation is None else {"retry_cancel_event": _CancelEvent(cancellation)}
    if comes_from("wandb_graphql", document):
        document = _printed(document)
    return _copy_for_page(client, from_body).execute(document, variable_values=variables, **waits)


def is_as_made(client: Any) -> bool:
    """Whether a client is wandb's, all of it.

    Args:
        client: Any object.
    """
    gql_client = getattr(client, "_client", None)
    parts = zip((client, gql_client, getattr(gql_client, "transport", None)), _PARTS, strict=True)
    return all(_is_untouched(part, name) for part, name in parts)


@lru_cache(maxsize=16)
def _printed(document: Any) -> Any:
    """Returns a document that wandb's client prints as the same text, but at once.

    That client prints a document each time it sends it, which takes longer than all else that it does for a small
    answer. A name is a document, too, and is printed as it is.
    """
    from wandb_graphql.language.ast import Name
    from wandb_graphql.language.printer import print_ast

    text = print_ast(document)
    name = Name(value=text)
    return name if print_ast(name) == text else document


def _copy_for_page(client: Any, from_body: Callable[[bytes], Any]) -> Any:
    """Copies wandb's client so that it returns a `ReadyPage`."""
    gql_client = copy.copy(client._client)
    gql_client.transport = copy.copy(gql_client.transport)
    gql_client.transport.session = _PageSession(gql_client.transport.session, from_body)
    client = copy.copy(client)
    client._client = gql_client
    # wandb keeps a wrapper here that calls the client which it was made for.
    client._execute_decorated = None
    return client


def _is_untouched(part: object, name: tuple[str, str]) -> bool:
    """Whether a part of a client is of the class of this name, with the `execute` that wandb wrote for it."""
    if not _is_named(part, *name) or "execute" in vars(part):
        return False
    # Not the name that it says it has: a wrapper around it would copy that. Where its code is from can't be copied.
    home = str(getattr(getattr(type(part), "execute", None), "__globals__", {}).get("__name__"))
    return home.partition(".")[0] in ("wandb", "wandb_gql")


def _is_named(thing: object, module: str, name: str) -> bool:
    kind = type(thing)
    return (kind.__module__, kind.__qualname__) == (module, name)


class _CancelEvent:
    """What wandb's retries wait on, to be woken when the request is called off.

    Args:
        cancellation: What calls it off.
    """

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation

    def wait(self, timeout: float) -> bool:
        try:
            self._cancellation.pause(timeout)
        except RequestCancelledError:
            return True
        return False


class _PageSession(Generic[_Page]):
    """A requests session whose answers say that their JSON is a page.

    Args:
        session: The session that does the work.
        from_body: Makes a page of an answer's raw body.
    """

    def __init__(self, session: requests.Session, from_body: Callable[[bytes], _Page]) -> None:
        self._session = session
        self._from_body = from_body

    def post(self, *arguments: Any, **options: Any) -> _PageResponse[_Page]:
        if not _is_named(self._session, "requests.sessions", "Session"):
            return _PageResponse(self._session.post(*arguments, **options), self._from_body)
        response = self._session.post(*arguments, stream=True, **options)
        # requests would read the body in pieces of 10 KiB, of which each has to wait for a turn among threads.
        response._content = b"".join(response.iter_content(_PIECE))
        return _PageResponse(response, self._from_body)


class _PageResponse(Generic[_Page]):
    """A response that says that its JSON is a page. The response itself is left alone: a session may keep it.

    Args:
        response: The response.
        from_body: Makes a page of its body.
    """

    def __init__(self, response: requests.Response, from_body: Callable[[bytes], _Page]) -> None:
        self._response = response
        self._from_body = from_body

    def raise_for_status(self) -> None:
        self._response.raise_for_status()

    def json(self) -> Any:
        try:
            page = self._from_body(self._response.content)
        except HistoryError:
            return self._response.json()
        # What this raises of a body that was cut short, wandb's client requests again.
        return {"data": ReadyPage(page)} if is_whole_page(page) else self._response.json()
