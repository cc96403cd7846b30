"""Raw answers from wandb's own GraphQL client, whose login, retries and error handling stay in place.

That client parses an answer as JSON, and the rows in it are JSON texts again. A copy of the client, made for one page
and sharing the original's connections, makes the page from the answer's bytes instead. If an answer is not a valid
page, the client parses it as usual, and raises its own error. A client that was subclassed, patched or assembled from
other parts is called unchanged, because its own code would not expect a page.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from histscan.errors import HistoryError
from histscan.sources.answers import is_whole_page, load_body
from histscan.sources.cancellation import Cancellation, RequestCancelledError, current_cancellation
from histscan.sources.limits import MAX_ANSWER
from histscan.sources.origins import comes_from

if TYPE_CHECKING:
    import requests

__all__ = ["ReadyPage", "execute_for_page", "is_unmodified"]

_Page = TypeVar("_Page")

# The parts of wandb's client, from the outside in; each returns what the `execute` of the next one returns.
_PARTS = (
    ("wandb.apis.public.api", "RetryingClient"),
    ("wandb_gql.client", "Client"),
    ("wandb.sdk.lib.gql_request", "GraphQLSession"),
)


class ReadyPage(Generic[_Page]):
    """Takes the place of an answer's ``data`` when the page was made from its bytes.

    Args:
        page: The page.
    """

    def __init__(self, page: _Page) -> None:
        self.page = page


def execute_for_page(
    client: Any, document: Any, variables: dict[str, Any], from_body: Callable[[bytes], _Page]
) -> ReadyPage[_Page] | Any:
    """Runs a query with wandb's client, and makes the page from the raw answer if possible.

    Args:
        client: wandb's ``RetryingClient``, or an object in its place.
        document: The query, as the client takes it.
        variables: The query's variables.
        from_body: Makes a page from an answer's raw body.

    Returns:
        The page; or the parsed data that the client returns, if the answer is not a page or the client was modified.
        Exceptions of the client pass unchanged.
    """
    if not is_unmodified(client):
        return client.execute(document, variable_values=variables)
    cancellation = current_cancellation()
    # wandb's retries wait for minutes: a thread must not wait that long for a scan that has ended.
    waits = {} if cancellation is None else {"retry_cancel_event": _CancelEvent(cancellation)}
    if comes_from("wandb_graphql", document):
        document = _printed(document)
    return _copy_for_page(client, from_body).execute(document, variable_values=variables, **waits)


def is_unmodified(client: Any) -> bool:
    """Returns True if a client is wandb's and no part of it was replaced.

    Args:
        client: Any object.
    """
    gql_client = getattr(client, "_client", None)
    parts = zip((client, gql_client, getattr(gql_client, "transport", None)), _PARTS, strict=True)
    return all(_is_untouched(part, name) for part, name in parts)


@lru_cache(maxsize=16)
def _printed(document: Any) -> Any:
    """Returns a document that wandb's client prints as the same text, but faster.

    That client prints the document for each request, which takes longer than everything else that it does for a small
    answer. A `Name` node is printed unchanged, so its value can be the whole text.
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
    # wandb caches a wrapper here, which is bound to the original client.
    client._execute_decorated = None
    return client


def _is_untouched(part: object, name: tuple[str, str]) -> bool:
    """Returns True if a part of a client is of the named class, with wandb's own `execute`."""
    if not _is_named(part, *name) or "execute" in vars(part):
        return False
    # The function's globals, not its `__module__`, which wrappers copy.
    home = str(getattr(getattr(type(part), "execute", None), "__globals__", {}).get("__name__"))
    return home.partition(".")[0] in ("wandb", "wandb_gql")


def _is_named(thing: object, module: str, name: str) -> bool:
    kind = type(thing)
    return (kind.__module__, kind.__qualname__) == (module, name)


class _CancelEvent:
    """The event that wandb's retries wait on. Cancelling the request ends the wait.

    Args:
        cancellation: The request's cancellation.
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
    """A wrapper of a requests session whose responses return a page from ``json()``.

    Args:
        session: The session that sends the requests.
        from_body: Makes a page from an answer's raw body.
    """

    def __init__(self, session: requests.Session, from_body: Callable[[bytes], _Page]) -> None:
        self._session = session
        self._from_body = from_body

    def post(self, *arguments: Any, **options: Any) -> _PageResponse[_Page]:
        if not _is_named(self._session, "requests.sessions", "Session"):
            return _PageResponse(self._session.post(*arguments, **options), self._from_body)
        response = self._session.post(*arguments, stream=True, **options)
        load_body(response, MAX_ANSWER.find())
        return _PageResponse(response, self._from_body)


class _PageResponse(Generic[_Page]):
    """A wrapper of a response whose ``json()`` returns a page. The response is not changed: a session may keep it.

    Args:
        response: The response.
        from_body: Makes a page from its body.
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
        # If the body was cut short, json() raises, and wandb's client retries.
        return {"data": ReadyPage(page)} if is_whole_page(page) else self._response.json()
