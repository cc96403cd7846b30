"""Executes GraphQL requests and encodes their responses."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
    visit,
)
from graphql.validation import ASTValidationContext

from histscan.errors import HistoryError
from histscan.many.filters import FilterDepthError
from histscan.server.answer_parts import AnswerTooLarge
from histscan.server.limits import ServerLimits
from histscan.server.query_context import QueryContext
from histscan.server.query_cost import check_cost
from histscan.server.query_limits import limits_rule
from histscan.server.schema import make_schema

__all__ = ["Answer", "Document", "Executor", "Query", "error_body"]

LONGEST_CACHED = 32 << 10
"""The length of the longest query that stays parsed: clients send the same few queries over and over."""
MOST_CACHED = 256
UNNAMED = "unnamed"

_log = logging.getLogger("histscan.server")


@dataclass(frozen=True)
class Document:
    """A parsed query.

    Attributes:
        node: The syntax tree; None if the query does not parse.
        errors: Syntax and validation errors.
    """

    node: DocumentNode | None
    errors: tuple[GraphQLError, ...]

    @cached_property
    def name(self) -> str:
        """The name of its first operation that has one."""
        for definition in self.node.definitions if self.node is not None else ():
            if isinstance(definition, OperationDefinitionNode) and definition.name is not None:
                return definition.name.value
        return UNNAMED

    @cached_property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        """Its fragments by name."""
        nodes = self.node.definitions if self.node is not None else ()
        return {node.name.value: node for node in nodes if isinstance(node, FragmentDefinitionNode)}


@dataclass(frozen=True)
class Query:
    """A GraphQL request.

    Attributes:
        document: The parsed query.
        variables: The variables.
        operation_name: The operation to execute, if there are several.
        name: The operation's name, for logs and counts.
    """

    document: Document
    variables: dict[str, Any]
    operation_name: str | None
    name: str


@dataclass(frozen=True)
class Answer:
    """The response to a GraphQL request.

    Attributes:
        status: The HTTP status: 200 if the query was executed, 400 if it is invalid or over a limit.
        parts: The response as JSON, in parts.
        errors: The messages of the errors.
    """

    status: int
    parts: Sequence[bytes | memoryview]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Request:
    """The members of a request's body."""

    text: str
    variables: dict[str, Any]
    operation_name: str | None

    def of(self, document: Document) -> Query:
        """Makes the query, whose text is parsed."""
        return Query(document, self.variables, self.operation_name, self.operation_name or document.name)


def _read_request(body: bytes) -> _Request:
    try:
        request = json.loads(body)
    except RecursionError:
        raise ValueError("the request is nested too deeply") from None
    if not isinstance(request, dict) or not isinstance(request.get("query"), str):
        raise ValueError("a GraphQL request must be a JSON object with a string `query`")
    # wandb-core sends an empty operationName instead of none.
    variables, operation_name = request.get("variables") or {}, request.get("operationName") or None
    if not isinstance(variables, dict) or not isinstance(operation_name, str | None):
        raise ValueError("`variables` must be an object, and `operationName` a string")
    return _Request(request["query"], variables, operation_name)


class Executor:
    """Parses and executes requests within limits. Thread-safe.

    Args:
        limits: The limits.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._limits_rule = limits_rule(limits)
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, body: bytes) -> Query | None:
        """Parses the body of a short request whose query is known. Takes little time.

        Args:
            body: As for `read`.

        Returns:
            The query; None if `read` must parse it.

        Raises:
            ValueError: As `read`.
        """
        if len(body) > LONGEST_CACHED:
            return None
        request = _read_request(body)
        with self._lock:
            document = self._documents.get(request.text)
            if document is None:
                return None
            self._documents.move_to_end(request.text)
        return request.of(document)

    def read(self, body: bytes) -> Query:
        """Parses the body of a request.

        Args:
            body: JSON with ``query`` and optionally ``variables`` and ``operationName``.

        Returns:
            The query; the errors of its document say what is wrong with it.

        Raises:
            ValueError: The body is not a GraphQL request.
        """
        request = _read_request(body)
        document = self._documents.get(request.text)
        if document is None:
            document = self._parse(request.text)
            if len(request.text) <= LONGEST_CACHED:
                with self._lock:
                    self._documents[request.text] = document
                    if len(self._documents) > MOST_CACHED:
                        self._documents.popitem(last=False)
        return request.of(document)

    def _parse(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=self._limits.tokens)
            errors: list[GraphQLError] = []
            # Alone and first: the time of the other rules is not linear in the fields.
            visit(node, self._limits_rule(ASTValidationContext(node, errors.append)))
            errors = errors or validate(make_schema(), node)
        except GraphQLError as error:
            return Document(None, (error,))
        except RecursionError:
            return Document(None, (GraphQLError("the query is nested too deeply"),))
        return Document(node, tuple(errors))

    def run(self, query: Query, context: QueryContext) -> Answer:
        """Executes a query.

        Args:
            query: The query.
            context: The context of the resolvers.

        Returns:
            The response.
        """
        document = query.document
        changed = _mutated_fields(query)
        if changed:
            return _refusal([GraphQLError(_read_only(changed))])
        if document.node is None or document.errors:
            return _refusal(document.errors)
        operation = get_operation_ast(document.node, query.operation_name)
        if operation is not None:
            try:
                check_cost(operation, document.fragments, query.variables, context, self._limits)
            except GraphQLError as refusal:
                return _refusal([refusal])
        try:
            return self._execute(query, document.node, context)
        except AnswerTooLarge as excess:
            return _refusal([excess.error])

    def _execute(self, query: Query, node: DocumentNode, context: QueryContext) -> Answer:
        result = execute_sync(
            make_schema(),
            node,
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
        if too_deep := [error for error in errors if _is_too_deep(error)]:
            return _refusal(too_deep)
        if result.data is None:
            return Answer(200 if errors and errors[0].path else 400, [error_body(errors)], _messages(errors))
        body = b'{"data":' + orjson.dumps(result.data)
        if errors:
            body += b',"errors":' + _write_errors(errors)
        return Answer(200, context.parts.join(body + b"}"), _messages(errors))


def _is_too_deep(error: GraphQLError) -> bool:
    """Returns True if a resolver refused a filter for its depth, as the query itself is refused for its own."""
    return error.original_error is not None and isinstance(error.original_error.__cause__, FilterDepthError)


def _mutated_fields(query: Query) -> list[str]:
    """Returns the top-level fields of a mutation; an empty list for other operations."""
    node = query.document.node
    operation = None if node is None else get_operation_ast(node, query.operation_name)
    if operation is None or operation.operation is not OperationType.MUTATION:
        return []
    return [field.name.value for field in operation.selection_set.selections if isinstance(field, FieldNode)]


def _read_only(changed: Sequence[str]) -> str:
    return f"histscan serve is read-only: it answers queries, not mutations ({', '.join(changed)})"


def _refusal(errors: Sequence[GraphQLError]) -> Answer:
    return Answer(400, [error_body(errors)], _messages(errors))


def error_body(errors: Sequence[GraphQLError]) -> bytes:
    """Encodes a response that has only errors.

    Args:
        errors: The errors.

    Returns:
        The body.
    """
    return b'{"data":null,"errors":' + _write_errors(errors) + b"}"


def _write_errors(errors: Sequence[GraphQLError]) -> bytes:
    return json.dumps([error.formatted for error in errors]).encode()


def _messages(errors: Sequence[GraphQLError]) -> tuple[str, ...]:
    return tuple(error.message for error in errors)
