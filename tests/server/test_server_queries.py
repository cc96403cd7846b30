"""Every query in the wandb package gets a response, and every mutation an error that names the mutation.

The documents are read from the sources of the installed release, without running any of them.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    ListTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    TypeNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

from tests.support.asgi_client import AsgiClient, client_of
from tests.support.paths import EXAMPLE

# The queries of `wandb.Api()` and its runs, files, artifacts, sweeps, reports, teams and automations.
READERS = (
    "apis/_generated",
    "apis/public",
    "automations/_generated",
    "sdk/artifacts/_generated",
    "sdk/internal/_generated",
)

# Values of variables by name; other required variables get a value by type.
VALUES: dict[str, Any] = {
    "entity": "histscan",
    "entityName": "histscan",
    "project": "examples",
    "projectName": "examples",
    "name": "lissajous",
    "run": "lissajous",
    "specs": ['{"keys": ["loss"], "samples": 3}'],
    "spec": '{"keys": ["loss"], "samples": 3}',
    "filters": "{}",
}
DEFAULTS: dict[str, Any] = {"String": "x", "ID": "x", "Int": 3, "Int64": 3, "Boolean": True, "JSONString": "{}"}


def wandb_folder() -> Path:
    """The folder of the wandb package, which is not imported."""
    found = importlib.util.find_spec("wandb")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


@cache
def documents(package: Path) -> Sequence[tuple[str, DocumentNode]]:
    """Returns all GraphQL texts in a package's sources, with the fragments that they import."""
    found: list[tuple[str, DocumentNode]] = []
    for path in sorted(path for reader in READERS for path in (package / reader).rglob("*.py")):
        place = path.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "{" in node.value:
                try:
                    found.append((f"{place}:{node.lineno}", parse(node.value)))
                except GraphQLSyntaxError:
                    continue
    fragments = {
        definition.name.value: definition
        for _, document in found
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    return [(place, _complete(document, fragments)) for place, document in found]


def _complete(document: DocumentNode, fragments: dict[str, FragmentDefinitionNode]) -> DocumentNode:
    names: set[str] = set()

    class Spreads(Visitor):
        def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
            names.add(node.name.value)

    visit(document, Spreads())
    own = {node.name.value for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    return DocumentNode(definitions=(*document.definitions, *(fragments[name] for name in sorted(names - own))))


def operations(kind: OperationType) -> list[Any]:
    """Returns the package's queries or mutations, as parameters of a test."""
    parameters = []
    for place, document in documents(wandb_folder()):
        definition = document.definitions[0]
        if isinstance(definition, OperationDefinitionNode) and definition.operation is kind:
            name = definition.name.value if definition.name else ""
            parameters.append(pytest.param(definition, print_ast(document), id=f"{place} {name}"))
    return parameters


def value_of(name: str, kind: TypeNode) -> Any:
    """Returns a value for a variable."""
    if not isinstance(kind, NonNullTypeNode):
        return VALUES.get(name)
    inner = kind.type
    default: Any = [] if isinstance(inner, ListTypeNode) else DEFAULTS.get(print_ast(inner), {})
    return VALUES.get(name, default)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> AsgiClient:
    return client_of(EXAMPLE, folder=tmp_path_factory.mktemp("exports"))


def test_documents_are_found() -> None:
    assert len(operations(OperationType.QUERY)) > 50
    assert len(operations(OperationType.MUTATION)) > 30


@pytest.mark.parametrize(("operation", "text"), operations(OperationType.QUERY))
def test_query(client: AsgiClient, operation: OperationDefinitionNode, text: str) -> None:
    variables = {
        variable.variable.name.value: value_of(variable.variable.name.value, variable.type)
        for variable in operation.variable_definitions or ()
    }
    given = {name: value for name, value in variables.items() if value is not None}
    reply = client.post({"query": text, "variables": given})
    assert "errors" not in reply.json(), reply.json()["errors"]
    assert reply.status == 200


@pytest.mark.parametrize(("operation", "text"), operations(OperationType.MUTATION))
def test_mutation(client: AsgiClient, operation: OperationDefinitionNode, text: str) -> None:
    reply = client.post({"query": text})
    assert reply.status == 400
    (error,) = reply.json()["errors"]
    assert error["message"].startswith("histscan serve is read-only: it answers queries, not mutations (")
