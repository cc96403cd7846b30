"""The GraphQL operations that read history, and how they run on each kind of client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, TypeVar

from histscan.errors import (
    GraphQLResponseError,
    HistoryError,
    HistoryRequestError,
    ResponseShapeError,
    RunNotFoundError,
)
from histscan.sources.answers import AnswerReader, describe_errors, one_line
from histscan.sources.origins import comes_from
from histscan.sources.wandb_client import ReadyPage, execute_for_page

if TYPE_CHECKING:
    from gql import GraphQLRequest

    from histscan.sources.client import Client

__all__ = [
    "HISTORY_PAGE",
    "SAMPLED_HISTORY_PAGE",
    "GraphQLClient",
    "Operation",
    "WandbDocument",
    "is_refusal",
    "object_member",
    "request_page",
    "run_of",
]

_Page = TypeVar("_Page")


class GraphQLClient(Protocol):
    """What a scan needs from a client that is neither histscan's, wandb's nor gql's."""

    def execute(self, document: Any, /, *, variable_values: dict[str, Any]) -> Any:
        """Runs a query and returns the ``data`` of its answer."""


class Operation:
    """A GraphQL operation, parsed on first use, because importing gql is slow.

    As a class attribute, it evaluates to gql's document.

    Args:
        text: The operation in GraphQL.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed: dict[str, Any] = {}

    def __get__(self, owner: object, owner_type: type | None = None) -> GraphQLRequest:
        return self.document

    @property
    def document(self) -> GraphQLRequest:
        """The operation as gql's document; always the same object."""
        if "gql" not in self._parsed:
            from histscan.sources.printed_request import PrintedRequest

            self._parsed.setdefault("gql", PrintedRequest(self.text))
        document: GraphQLRequest = self._parsed["gql"]
        return document

    @property
    def wandb_document(self) -> Any:
        """The document for wandb's client, which uses an older gql that is vendored in wandb."""
        if "wandb" not in self._parsed:
            from wandb_gql import gql

            self._parsed.setdefault("wandb", gql(self.text))
        return self._parsed["wandb"]


class WandbDocument:
    """A class attribute that evaluates to an operation's document for wandb's client.

    Args:
        operation: The operation.
    """

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def __get__(self, owner: object, owner_type: type | None = None) -> Any:
        return self._operation.wandb_document


HISTORY_PAGE = Operation(
    """
    query HistoryPage(
        $entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!
    ) {
        project(entityName: $entity, name: $project) {
            run(name: $run) {
                history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize)
            }
        }
    }
    """
)

SAMPLED_HISTORY_PAGE = Operation(
    """
    query SampledHistoryPage($entity: String!, $project: String!, $run: String!, $spec: JSONString!) {
        project(entityName: $entity, name: $project) {
            run(name: $run) {
                sampledHistory(specs: [$spec])
            }
        }
    }
    """
)


def request_page(
    client: Client | GraphQLClient,
    operation: Operation,
    document: Any,
    variables: dict[str, Any],
    *,
    from_body: Callable[[bytes], _Page],
    from_run: Callable[[Mapping[str, Any]], _Page],
    run: str,
    window: str | None,
) -> _Page:
    """Runs an operation and makes a page from the answer.

    Args:
        client: `histscan.Client`, wandb's ``RetryingClient``, a ``gql.Client`` or one of its sessions, or any object
            with ``execute(document, variable_values=…)``.
        operation: The operation.
        document: The document to run: the operation's, or one that a subclass of a scan replaces it with.
        variables: The operation's variables.
        from_body: Makes a page from an answer's raw body.
        from_run: Makes a page from the ``run`` object of a parsed answer.
        run: The run's path, for error messages.
        window: The page's step window, for error messages; None to leave it out.

    Returns:
        What `from_body` or `from_run` returned.

    Raises:
        HistoryError: The page could not be read; the error has run and window. A client's own exceptions pass
            unchanged, except those of gql and requests. With wandb's client, every failure is raised as wandb raises
            it, as a ``wandb.errors.CommError``.
    """

    def fetch() -> _Page:
        try:
            if _is_ours(client):
                reader = AnswerReader(from_body)
                return reader.result(client.execute_raw(document, variables, is_whole=reader.is_whole))
            answer = _execute(client, operation, document, variables, from_body)
            # wandb's client may have made the page.
            return answer.page if isinstance(answer, ReadyPage) else from_run(run_of(answer))
        except HistoryError as error:
            if _is_ours(client):
                error.reason = client.conceal_key(error.reason)
                error.args = (error.reason,)
                client.add_advice(error)
            error.add_location(run=run, page=window)
            raise

    if _is_wandbs(client):
        from wandb.apis.normalize import normalize_exceptions

        page: _Page = normalize_exceptions(fetch)()
        return page
    try:
        return fetch()
    except HistoryError:
        raise
    except Exception as error:
        failure = _request_error(error)
        if failure is None:
            raise
        failure.add_location(run=run, page=window)
        raise failure from error


def is_refusal(error: BaseException) -> bool:
    """Returns True if a server refused a query, rather than failed to answer it.

    Args:
        error: The exception from a client of any kind.
    """
    if isinstance(error, GraphQLResponseError):
        return True
    return comes_from("wandb", error) and not comes_from("requests", getattr(error, "exc", None))


def _is_ours(client: object) -> TypeGuard[Client]:
    """Returns True for a `Client`, without importing the class, which most programs do not need."""
    return comes_from("histscan", client)


def _is_wandbs(client: object) -> bool:
    return comes_from("wandb", client) or comes_from("wandb_gql", client)


def _execute(
    client: Any,
    operation: Operation,
    document: Any,
    variables: dict[str, Any],
    from_body: Callable[[bytes], _Page],
) -> ReadyPage[_Page] | Any:
    if comes_from("gql", client):
        from gql import GraphQLRequest

        # A new request for each call: gql 4 stores the variables in the request, which threads must not share.
        return client.execute(GraphQLRequest(document, variable_values=variables))
    if _is_wandbs(client):
        if not comes_from("wandb_graphql", document) and document is operation.document:
            document = operation.wandb_document
        return execute_for_page(client, document, variables, from_body)
    return client.execute(document, variable_values=variables)


def run_of(data: Any) -> Mapping[str, Any]:
    """Returns the ``run`` object of a parsed answer.

    Args:
        data: The answer's ``data``.

    Raises:
        ResponseShapeError: It has none.
        RunNotFoundError: There is no such project or run.
    """
    found: Any = data
    for name in ("project", "run"):
        if not isinstance(found, Mapping) or name not in found:
            raise ResponseShapeError(f"the client's answer has no `{name}` but is {one_line(repr(data))}")
        found = object_member(found, name)
    run: Mapping[str, Any] = found
    return run


def object_member(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Returns a member of a parsed answer that must be an object.

    Args:
        answer: The object that has the member.
        name: ``"project"`` or ``"run"``.

    Raises:
        ResponseShapeError: It is not an object.
        RunNotFoundError: It is null or missing, because there is no such project or run.
    """
    found = answer.get(name)
    if found is None:
        raise RunNotFoundError(f"the server has no such {name}, or this API key has no access to it: check the names")
    if not isinstance(found, Mapping):
        raise ResponseShapeError(f"`{name}` in the server's answer is not an object but {type(found).__name__}")
    return found


def _request_error(error: Exception) -> HistoryRequestError | None:
    """Converts an exception of gql or requests to ours; returns None for those of other clients."""
    if comes_from("gql", error):
        from gql.transport.exceptions import TransportQueryError, TransportServerError

        if isinstance(error, TransportQueryError):
            return GraphQLResponseError(f"the server answered with errors: {describe_errors(error.errors)}")
        if isinstance(error, TransportServerError):
            return HistoryRequestError(f"the server answered HTTP {error.code}: {one_line(str(error))}")
    elif not comes_from("requests", error):
        return None
    return HistoryRequestError(f"the request failed: {one_line(str(error))}")
