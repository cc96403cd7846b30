"""The GraphQL operations that find runs and describe them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from histscan.errors import HistoryError, ResponseShapeError, RunNotFoundError
from histscan.sources.graphql import Operation

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = [
    "DESCRIBE_RUN",
    "EXPORTED_FILES",
    "FIRST_PAGE",
    "FIRST_PAGE_OF_KEYS",
    "LAST_STEP",
    "LIST_RUNS",
    "RUN_FILE",
    "SAMPLED_EVENTS",
    "SAMPLED_KEYS",
    "SAMPLED_ROWS",
    "VIEWER",
    "ask_project",
    "ask_run",
    "parse_object",
]

# What a list of runs tells of each. Config and summary may be large: they are asked for run by run, when needed.
_OUTLINE = """
    name
    displayName
    state
    tags
    group
    jobType
    notes
    createdAt
    heartbeatAt
    historyLineCount
"""

DESCRIBE_RUN = Operation(
    f"""
    query DescribeRun($entity: String!, $project: String!, $run: String!) {{
        project(entityName: $entity, name: $project) {{
            run(name: $run) {{ {_OUTLINE} config summaryMetrics }}
        }}
    }}
    """
)

LIST_RUNS = Operation(
    f"""
    query ListRuns(
        $entity: String!, $project: String!, $filters: JSONString, $order: String, $first: Int, $after: String
    ) {{
        project(entityName: $entity, name: $project) {{
            runCount(filters: $filters)
            runs(filters: $filters, order: $order, first: $first, after: $after) {{
                edges {{
                    node {{ {_OUTLINE} }}
                    cursor
                }}
                pageInfo {{ endCursor hasNextPage }}
            }}
        }}
    }}
    """
)

LAST_STEP = Operation(
    """
    query LastStep($entity: String!, $project: String!, $run: String!) {
        project(entityName: $entity, name: $project) {
            run(name: $run) { historyKeys }
        }
    }
    """
)

# The last step, and a page of whole rows with it.
FIRST_PAGE = Operation(
    """
    query FirstPage(
        $entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!
    ) {
        project(entityName: $entity, name: $project) {
            run(name: $run) {
                historyKeys
                history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize)
            }
        }
    }
    """
)

# The last step, and a page of rows of some keys with it.
FIRST_PAGE_OF_KEYS = Operation(
    """
    query FirstPageOfKeys($entity: String!, $project: String!, $run: String!, $spec: JSONString!) {
        project(entityName: $entity, name: $project) {
            run(name: $run) {
                historyKeys
                sampledHistory(specs: [$spec])
            }
        }
    }
    """
)

SAMPLED_ROWS = Operation(
    """
    query SampledRows($entity: String!, $project: String!, $run: String!, $samples: Int!) {
        project(entityName: $entity, name: $project) {
            run(name: $run) { history(samples: $samples) }
        }
    }
    """
)

# Under the name that pages of history have, so that they are read as such.
SAMPLED_EVENTS = Operation(
    """
    query SampledEvents($entity: String!, $project: String!, $run: String!, $samples: Int!) {
        project(entityName: $entity, name: $project) {
            run(name: $run) { history: events(samples: $samples) }
        }
    }
    """
)

RUN_FILE = Operation(
    """
    query RunFile($entity: String!, $project: String!, $run: String!, $file: String!) {
        project(entityName: $entity, name: $project) {
            run(name: $run) {
                files(names: [$file], first: 1) { edges { node { name sizeBytes directUrl url } } }
            }
        }
    }
    """
)

SAMPLED_KEYS = Operation(
    """
    query SampledKeys($entity: String!, $project: String!, $run: String!, $spec: JSONString!) {
        project(entityName: $entity, name: $project) {
            run(name: $run) { sampledHistory(specs: [$spec]) }
        }
    }
    """
)

# The steps of the rows that are in none of the files come along.
EXPORTED_FILES = Operation(
    """
    query ExportedFiles($entity: String!, $project: String!, $run: String!) {
        project(entityName: $entity, name: $project) {
            run(name: $run) {
                parquetHistory(liveKeys: ["_step"]) { parquetUrls liveData }
            }
        }
    }
    """
)

VIEWER = Operation("query Viewer { viewer { entity } }")


def ask_project(client: Client, operation: Operation, entity: str, project: str, **variables: Any) -> Mapping[str, Any]:
    """Asks about a project.

    Args:
        client: Who asks.
        operation: What to ask, with variables ``entity`` and ``project``.
        entity: Whose project it is.
        project: The project's name.
        variables: The operation's other variables.

    Returns:
        The answer's ``project``.

    Raises:
        HistoryError: There is no answer, or not of that kind.
        RunNotFoundError: There is no such project.
    """
    try:
        data = client.execute(operation.document, {"entity": entity, "project": project, **variables})
        return _member(data, "project")
    except HistoryError as error:
        client.add_advice(error)
        error.add_location(run="/".join([entity, project, *([variables["run"]] if "run" in variables else [])]))
        raise


def ask_run(
    client: Client, operation: Operation, entity: str, project: str, run: str, **variables: Any
) -> Mapping[str, Any]:
    """Asks about a run.

    Args:
        client: Who asks.
        operation: What to ask, with variables ``entity``, ``project`` and ``run``.
        entity: Whose project it is.
        project: The project's name.
        run: The run's id.
        variables: The operation's other variables.

    Returns:
        The answer's ``run``.

    Raises:
        HistoryError: There is no answer, or not of that kind.
        RunNotFoundError: There is no such project or run.
    """
    answer = ask_project(client, operation, entity, project, run=run, **variables)
    try:
        return _member(answer, "run")
    except HistoryError as error:
        client.add_advice(error)
        error.add_location(run=f"{entity}/{project}/{run}")
        raise


def parse_object(value: Any, name: str) -> dict[str, Any]:
    """Reads a field that is an object, as JSON text or as it is.

    Args:
        value: What the server sent; null is an object without members.
        name: The field's name, for the error message.

    Returns:
        The object.

    Raises:
        ResponseShapeError: It is none.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            # Control characters that stand in strings as they are have been seen there.
            value = json.loads(value, strict=False)
        except (ValueError, RecursionError) as error:
            raise ResponseShapeError(f"`{name}` in the server's answer is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ResponseShapeError(f"`{name}` in the server's answer is not an object but {type(value).__name__}")
    return value


def _member(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = answer.get(name)
    if found is None:
        raise RunNotFoundError(f"the server knows no such {name}, or this API key may not see it: check the names")
    if not isinstance(found, Mapping):
        raise ResponseShapeError(f"`{name}` in the server's answer is not an object but {type(found).__name__}")
    return found
