"""The GraphQL operations that read history, and how each kind of client runs them."""

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
    "request_page",
    "run_of",
]

_Page = TypeVar("_Page")


class GraphQLClient(Protocol):
    """What a scan needs of a client that is not one of those it knows."""

    def execute(self, document: Any, /, *, variable_values: dict[str, Any]) -> Any:
        """Runs a query and returns the ``data`` of its answer."""


class Operation:
    """A GraphQL operation, parsed only when it is first needed: gql takes long to import.

    As a class attribute it reads as gql's document.

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
        """The operation as wandb's own client takes it, which is an older gql kept within wandb."""
        if "wandb" not in self._parsed:
            from wandb_gql import gql

            self._parsed.setdefault("wandb", gql(self.text))
        return self._parsed["wandb"]


class WandbDocument:
    """A class attribute that reads as an operation's document for wandb's own client.

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
    """Runs an operation and makes a page of the answer.

    Args:
        client: `histscan.Client`, wandb's ``RetryingClient``, a ``gql.Client`` or one of its sessions, or any object
            with ``execute(document, variable_values=…)``.
        operation: The operation.
        document: The document to run: the operation's, or what a subclass of a scan puts in its place.
        variables: The operation's variables.
        from_body: Makes a page of an answer's raw body.
        from_run: Makes a page of the ``run`` object of a parsed answer.
        run: The run's path, for error messages.
        window: The page's step window, for error messages; None if they need not name it.

    Returns:
        What `from_body` or `from_run` returned.

    Raises:
        HistoryError: What kept the page from being read, with run and window. A client's own exceptions pass
            unchanged, except those of gql and requests; with wandb's client everything is raised as wandb raises it, as
            a ``wandb.errors.CommError``.
    """

    def fetch() -> _Page:
        try:
            if _is_ours(client):
                reader = AnswerReader(from_body)
                return reader.result(client.execute_raw(document, variables, is_whole=reader.is_whole))
            answer = _execute(client, operation, document, variables, from_body)
            # From wandb's client it may be the page already.
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
    """Tells whether an exception is of a server that has refused a query, rather than failed to answer.

    Args:
        error: What a client of any kind has raised.
    """
    if isinstance(error, GraphQLResponseError):
        return True
    return comes_from("wandb", error) and not comes_from("requests", getattr(error, "exc", None))


def _is_ours(client: object) -> TypeGuard[Client]:
    """Whether it is a `Client`; told without importing one, which most programs have no use for."""
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

        # A request of its own: gql 4 takes variables from the request, which threads must not share.
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
        RunNotFoundError: It says that there is no such project or run.
    """
    found: Any = data
    for name in ("project", "run"):
        if not isinstance(found, Mapping) or name not in found:
            raise ResponseShapeError(f"the client's answer has no `{name}` but is {one_line(repr(data))}")
        found = found[name]
        if found is None:
            raise RunNotFoundError(f"the server knows no such {name}, or this API key may not see it: check the names")
    if not isinstance(found, Mapping):
        raise ResponseShapeError(f"`run` in the client's answer is not an object but {type(found).__name__}")
    return found


def _request_error(error: Exception) -> HistoryRequestError | None:
    """Translates an exception of gql or requests; others are their client's own business."""
    if comes_from("gql", error):
        from gql.transport.exceptions import TransportQueryError, TransportServerError

        if isinstance(error, TransportQueryError):
            return GraphQLResponseError(f"the server answered with errors: {describe_errors(error.errors)}")
        if isinstance(error, TransportServerError):
            return HistoryRequestError(f"the server answered HTTP {error.code}: {one_line(str(error))}")
    elif not comes_from("requests", error):
        return None
    return HistoryRequestError(f"the request failed: {one_line(str(error))}")
