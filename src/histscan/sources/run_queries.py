"""The GraphQL operations that list and describe runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from histscan.errors import HistoryError, ResponseShapeError
from histscan.sources.graphql import Operation, object_member

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = [
    "DESCRIBE_RUN",
    "DESCRIBE_RUNS",
    "EXPORTED_FILES",
    "FIRST_PAGE",
    "FIRST_PAGE_OF_KEYS",
    "HISTORIES",
    "HISTORY_KEYS",
    "LAST_STEP",
    "LIST_KEYS",
    "LIST_RUNS",
    "LIST_RUNS_WITH_KEYS",
    "RUN_FILE",
    "SAMPLED_EVENTS",
    "SAMPLED_KEYS",
    "SAMPLED_ROWS",
    "VIEWER",
    "parse_object",
    "request_project",
    "request_run",
]

# The fields of each run in a list. Config and summary may be large: they are requested for one run, when needed.
_OUTLINE = """
    name
    displayName
    state
    tags
    group
    jobType
    sweepName
    notes
    createdAt
    heartbeatAt
    historyLineCount
"""

DESCRIBE_RUN = Operation(
    f"""
    query DescribeRun($entity: String!, $project: String!, $run: String!) {{
        project(entityName: $entity, name: $project) {{
            run(name: $run) {{ {_OUTLINE} config summaryMetrics historyKeys }}
        }}
    }}
    """
)

LIST_RUNS, LIST_RUNS_WITH_KEYS, DESCRIBE_RUNS, LIST_KEYS = (
    Operation(
        f"""
        query ListRuns(
            $entity: String!, $project: String!, $filters: JSONString, $order: String, $first: Int, $after: String
        ) {{
            project(entityName: $entity, name: $project) {{
                runCount(filters: $filters)
                runs(filters: $filters, order: $order, first: $first, after: $after) {{
                    edges {{
                        node {{ {fields} }}
                        cursor
                    }}
                    pageInfo {{ endCursor hasNextPage }}
                }}
            }}
        }}
        """
    )
    for fields in (
        _OUTLINE,
        f"{_OUTLINE} historyKeys",
        f"{_OUTLINE} config summaryMetrics",
        "name historyKeys",
    )
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

# Named `history`, so that pages of history can read it.
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

# Includes the steps of the rows that are not in the files yet.
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

# What is needed before reading the histories of some runs.
HISTORIES, HISTORY_KEYS = (
    Operation(
        f"""
        query Histories($entity: String!, $project: String!, $filters: JSONString, $first: Int) {{
            project(entityName: $entity, name: $project) {{
                runs(filters: $filters, first: $first) {{
                    edges {{ node {{ name historyKeys {exports} }} }}
                }}
            }}
        }}
        """
    )
    for exports in ('parquetHistory(liveKeys: ["_step"]) { parquetUrls liveData }', "")
)

VIEWER = Operation("query Viewer { viewer { entity } }")


def request_project(
    client: Client, operation: Operation, entity: str, project: str, **variables: Any
) -> Mapping[str, Any]:
    """Requests data of a project.

    Args:
        client: The client.
        operation: The operation, with the variables ``entity`` and ``project``.
        entity: The project's entity.
        project: The project's name.
        variables: The operation's other variables.

    Returns:
        The answer's ``project``.

    Raises:
        HistoryError: There is no answer, or its shape is wrong.
        RunNotFoundError: There is no such project.
    """
    try:
        data = client.execute(operation.document, {"entity": entity, "project": project, **variables})
        return object_member(data, "project")
    except HistoryError as error:
        client.add_advice(error)
        error.add_location(run="/".join([entity, project, *([variables["run"]] if "run" in variables else [])]))
        raise


def request_run(
    client: Client, operation: Operation, entity: str, project: str, run: str, **variables: Any
) -> Mapping[str, Any]:
    """Requests data of a run.

    Args:
        client: The client.
        operation: The operation, with the variables ``entity``, ``project`` and ``run``.
        entity: The run's entity.
        project: The run's project.
        run: The run's id.
        variables: The operation's other variables.

    Returns:
        The answer's ``run``.

    Raises:
        HistoryError: There is no answer, or its shape is wrong.
        RunNotFoundError: There is no such project or run.
    """
    answer = request_project(client, operation, entity, project, run=run, **variables)
    try:
        return object_member(answer, "run")
    except HistoryError as error:
        client.add_advice(error)
        error.add_location(run=f"{entity}/{project}/{run}")
        raise


def parse_object(value: Any, name: str) -> dict[str, Any]:
    """Reads a field that is an object, or the JSON text of one.

    Args:
        value: The field's value; None means an empty object.
        name: The field's name, for the error message.

    Returns:
        The object.

    Raises:
        ResponseShapeError: It is not an object.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            # Not strict: servers have sent unescaped control characters in strings.
            value = json.loads(value, strict=False)
        except (ValueError, RecursionError) as error:
            raise ResponseShapeError(f"`{name}` in the server's answer is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ResponseShapeError(f"`{name}` in the server's answer is not an object but {type(value).__name__}")
    return value
