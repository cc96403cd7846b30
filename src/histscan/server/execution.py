"""Executes GraphQL requests and encodes their responses."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)

from histscan.errors import HistoryError
from histscan.server.query_context import QueryContext
from histscan.server.schema import make_schema

__all__ = ["Answer", "Query", "error_body", "read_query", "run_query"]

MOST_TOKENS = 20_000
UNNAMED = "unnamed"

_log = logging.getLogger("histscan.server")


@dataclass(frozen=True)
class Query:
    """A GraphQL request.

    Attributes:
        document: The parsed query; None if it does not parse.
        errors: Syntax and validation errors.
        variables: The variables.
        operation_name: The operation to execute, if there are several.
        name: The operation's name, for logs and counts.
    """

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]
    variables: dict[str, Any]
    operation_name: str | None
    name: str


@dataclass(frozen=True)
class Answer:
    """The response to a GraphQL request.

    Attributes:
        status: The HTTP status: 200 if the query was executed, 400 if it is invalid.
        body: The response as JSON.
        errors: The messages of the errors.
    """

    status: int
    body: bytes
    errors: tuple[str, ...] = ()


def read_query(body: bytes) -> Query:
    """Parses the body of a request.

    Args:
        body: JSON with ``query`` and optionally ``variables`` and ``operationName``.

    Returns:
        The query; `Query.errors` says what is wrong with it.

    Raises:
        ValueError: The body is not a GraphQL request.
    """
    request = json.loads(body)
    if not isinstance(request, dict) or not isinstance(request.get("query"), str):
        raise ValueError("a GraphQL request must be a JSON object with a string `query`")
    # wandb-core sends an empty operationName instead of none.
    variables, operation_name = request.get("variables") or {}, request.get("operationName") or None
    if not isinstance(variables, dict) or not isinstance(operation_name, str | None):
        raise ValueError("`variables` must be an object, and `operationName` a string")
    document, errors = _parse(request["query"])
    return Query(document, errors, variables, operation_name, operation_name or _name(document))


# Clients send the same few queries over and over.
@lru_cache(maxsize=256)
def _parse(text: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    try:
        document = parse(text, max_tokens=MOST_TOKENS)
    except GraphQLError as error:
        return None, (error,)
    return document, tuple(validate(make_schema(), document))


def _name(document: DocumentNode | None) -> str:
    for definition in document.definitions if document is not None else ():
        if isinstance(definition, OperationDefinitionNode) and definition.name is not None:
            return definition.name.value
    return UNNAMED


def run_query(query: Query, context: QueryContext) -> Answer:
    """Executes a query.

    Args:
        query: The query.
        context: The context of the resolvers.

    Returns:
        The response.
    """
    changed = _mutated_fields(query)
    if changed:
        message = f"histscan serve is read-only: it answers queries, not mutations ({', '.join(changed)})"
        return Answer(400, error_body([GraphQLError(message)]), (message,))
    if query.document is None or query.errors:
        return Answer(400, error_body(query.errors), tuple(error.message for error in query.errors))
    result = execute_sync(
        make_schema(),
        query.document,
        context_value=context,
        variable_values=query.variables,
        operation_name=query.operation_name,
    )
    errors = result.errors or []
    for error in errors:
        if error.original_error is not None and not isinstance(
            error.original_error, HistoryError | OSError | GraphQLError
        ):
            _log.error("%s failed", query.name, exc_info=error.original_error)
    if result.data is None:
        return Answer(200 if errors and errors[0].path else 400, error_body(errors), _messages(errors))
    body = b'{"data":' + orjson.dumps(result.data)
    if errors:
        body += b',"errors":' + _write_errors(errors)
    return Answer(200, body + b"}", _messages(errors))


def _mutated_fields(query: Query) -> list[str]:
    """Returns the top-level fields of a mutation; an empty list for other operations."""
    operation = None if query.document is None else get_operation_ast(query.document, query.operation_name)
    if operation is None or operation.operation is not OperationType.MUTATION:
        return []
    return [field.name.value for field in operation.selection_set.selections if isinstance(field, FieldNode)]


def error_body(errors: list[GraphQLError] | tuple[GraphQLError, ...]) -> bytes:
    """Encodes a response that has only errors.

    Args:
        errors: The errors.

    Returns:
        The body.
    """
    return b'{"data":null,"errors":' + _write_errors(errors) + b"}"


def _write_errors(errors: list[GraphQLError] | tuple[GraphQLError, ...]) -> bytes:
    return json.dumps([error.formatted for error in errors]).encode()


def _messages(errors: list[GraphQLError]) -> tuple[str, ...]:
    return tuple(error.message for error in errors)
