"""Resolvers of the schema's fields.

Projects and runs are resolved field by field, so that only requested data is read. Small objects are dicts with a
member for each field.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson
from graphql import GraphQLError

from histscan.many.filters import FilterError, RunTest
from histscan.server.connections import global_id, page_info, page_of, time_text
from histscan.server.file_links import LinkedFile
from histscan.server.file_resolvers import FILE_RESOLVERS, count_files, list_files
from histscan.server.history_rows import HistoryRows
from histscan.server.query_context import Info, Resolver, always, context_of
from histscan.server.row_texts import json_text, strict_json
from histscan.server.run_filters import SERVED_FIELDS
from histscan.server.run_info import commit_of, run_info
from histscan.server.run_listing import cursor_of, list_runs, matching_runs
from histscan.server.served_run import ServedRun

__all__ = ["RESOLVERS"]

# Higher than any release of wandb: clients compare their own version with it.
_LATEST_CLIENT = "999.0.0"
# Without these features, wandb refuses to list or count artifacts, sweeps and files.
_FEATURES = ("ARTIFACT_COLLECTIONS_FILTERING_SORTING", "SWEEPS_QUERY_FILTERING", "TOTAL_COUNT_IN_FILE_CONNECTION")


@dataclass(frozen=True)
class _Project:
    """A project; it exists if it has a run."""

    entity: str
    name: str


def _user(entity: str) -> dict[str, Any]:
    return {
        "id": global_id("User", entity),
        "name": entity,
        "username": entity,
        "email": None,
        "admin": False,
        "flags": "{}",
        "entity": entity,
        "deletedAt": None,
        "apiKeys": {"edges": []},
        "teams": {"edges": []},
    }


def _entity(name: str) -> dict[str, Any]:
    return {
        "id": global_id("Entity", name),
        "name": name,
        "isTeam": False,
        "entityType": "user",
        "available": False,
        "photoUrl": None,
        "readOnly": True,
        "readOnlyAdmin": False,
        "privateOnly": True,
        "storageBytes": 0,
        "codeSavingEnabled": False,
        "defaultAccess": "PRIVATE",
        "isPaid": False,
    }


def _number(*parts: str) -> str:
    """Returns a stable number for an object that W&B numbers; clients only compare these numbers."""
    return str(zlib.crc32("\0".join(parts).encode()))


def _viewer(_: object, info: Info) -> dict[str, Any]:
    return _user(context_of(info).default_entity)


def _server_info(*_: object) -> dict[str, Any]:
    return {
        "cliVersionInfo": {"max_cli_version": _LATEST_CLIENT, "min_cli_version": "0.0.0"},
        "latestLocalVersionInfo": None,
        "features": [{"name": name, "isEnabled": True} for name in _FEATURES],
    }


def _find_entity(_: object, info: Info, name: str | None = None) -> dict[str, Any] | None:
    default = context_of(info).default_entity
    wanted = default if name is None else name
    is_known = wanted == default or bool(context_of(info).runs(wanted, None))
    return _entity(wanted) if is_known else None


def _entity_name(parent: Any) -> str | None:
    """Returns the name of a parent that is a user or an entity; None for other parents."""
    return str(parent["name"]) if isinstance(parent, dict) else None


def _find_project(parent: Any, info: Info, **names: Any) -> _Project | None:
    context = context_of(info)
    entity = _entity_name(parent) or names.get("entityName") or context.default_entity
    name = names.get("name") or ""
    if context.catalogue.has_project(entity, name):
        return _Project(entity, name)
    context.sources.is_repeatable = False
    return None


def _list_projects(parent: Any, info: Info, **arguments: Any) -> dict[str, Any]:
    entity = _entity_name(parent) or arguments.get("entityName")
    projects = sorted({run.key[:2] for run in context_of(info).runs(entity, None)})
    edges = [{"node": _Project(*names), "cursor": global_id("Project", *names)} for names in projects]
    return page_of(edges, arguments.get("after"), arguments.get("first"))


def _project_created_at(project: _Project, info: Info) -> str:
    runs = context_of(info).runs(project.entity, project.name)
    return time_text(
        min((run.description().created_at for run in runs), default=datetime.fromtimestamp(0, timezone.utc))
    )


def _find_run(project: _Project, info: Info, name: str, **_: Any) -> ServedRun | None:
    return context_of(info).run(project.entity, project.name, name)


def _test(filters: Any) -> RunTest[ServedRun]:
    if filters is not None and not isinstance(filters, str):
        raise GraphQLError("filters must be a JSONString: a string that contains JSON")
    return SERVED_FIELDS.compile_text(filters)


def _matching(project: _Project, info: Info, filters: Any) -> list[ServedRun]:
    runs = context_of(info).runs(project.entity, project.name)
    return matching_runs(runs, _test(filters)) if filters else list(runs)


def _count_runs(project: _Project, info: Info, filters: Any = None) -> int:
    try:
        return len(_matching(project, info, filters))
    except FilterError as error:
        raise GraphQLError(str(error)) from error


def _list_runs(project: _Project, info: Info, **arguments: Any) -> dict[str, Any]:
    try:
        runs = _matching(project, info, arguments.get("filters"))
        page = list_runs(runs, arguments.get("order"), arguments.get("after"), arguments.get("first"))
    except FilterError as error:
        raise GraphQLError(str(error)) from error
    edges = [{"node": run, "cursor": cursor_of(run)} for run in page.runs]
    return {
        "edges": edges,
        "pageInfo": page_info(edges, has_next=page.has_next, has_previous=bool(arguments.get("after"))),
        "totalCount": len(runs),
    }


def _json(value: Any, info: Info) -> str:
    """Returns JSON text as part of the answer."""
    text = json_text(value)
    context_of(info).parts.charge(len(text))
    return text


def _config(run: ServedRun, info: Info) -> str:
    # W&B stores each entry with a description beside its value.
    return _json({name: {"desc": None, "value": value} for name, value in run.details().config.items()}, info)


def _history_keys(run: ServedRun, info: Info) -> orjson.Fragment:
    details = run.details()
    keys = {
        name: {"typeCounts": [{"type": kind}], "previousValue": details.summary.get(name)}
        for name, kind in details.key_types.items()
    }
    text = strict_json({"lastStep": details.last_step, "sets": [], "keys": keys})
    return context_of(info).parts.add(text)


def _many(info: Info, rows: HistoryRows, window: range, samples: int | None) -> list[orjson.Fragment]:
    """Returns the rows of a window as one list element: the executor sees one leaf, the texts joined by commas."""
    texts = rows.texts(window, samples)
    return [context_of(info).parts.add(texts)] if texts else []


def _history(run: ServedRun, info: Info, **arguments: Any) -> list[orjson.Fragment]:
    min_step = _integer("minStep", arguments.get("minStep"))
    stop_step = _integer("maxStep", arguments.get("maxStep"))
    rows = run.rows(None, stop_step)
    return _many(info, rows, rows.window(min_step, stop_step), arguments.get("samples"))


def _events(run: ServedRun, info: Info, samples: int | None = None) -> list[orjson.Fragment]:
    rows = run.system_rows()
    return _many(info, rows, rows.window(None, None), samples)


def _sampled_history(run: ServedRun, info: Info, specs: list[Any]) -> list[list[orjson.Fragment]]:
    return [_sample(run, info, spec) for spec in specs]


def _sample(run: ServedRun, info: Info, text: Any) -> list[orjson.Fragment]:
    try:
        spec = json.loads(text)
        keys = spec["keys"]
    except (TypeError, ValueError, KeyError, RecursionError):
        raise GraphQLError(
            'a spec must be a JSONString like "{\\"keys\\": [\\"loss\\"], \\"samples\\": 500}"'
        ) from None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise GraphQLError("keys of a spec must be a list of strings")
    min_step = _integer("minStep", spec.get("minStep"))
    last_step = _integer("maxStep", spec.get("maxStep"))
    samples = _integer("samples", spec.get("samples"))
    stop_step = None if last_step is None else last_step + 1
    rows = run.rows(tuple(dict.fromkeys(keys)), stop_step)
    return _many(info, rows, rows.window(min_step, stop_step), samples)


def _parquet_history(run: ServedRun, info: Info, **arguments: Any) -> dict[str, Any]:
    context = context_of(info)
    exported = run.exported_files()
    live_data: list[orjson.Fragment] = []
    if exported.live_from is not None:
        rows = run.rows(tuple(dict.fromkeys(arguments["liveKeys"])), None)
        live_data = _many(info, rows, rows.window(exported.live_from, None), None)
    return {
        "parquetUrls": [context.url(LinkedFile.exported(path)) for path in exported.files],
        "liveData": live_data,
    }


def _integer(name: str, value: Any) -> int | None:
    """Checks a step or a number of rows. Numbers beyond 64 bits are clamped: no row has such a step."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError(f"{name} must be a whole number, not {json.dumps(value)}")
    return max(-(1 << 63), min(value, (1 << 63) - 1))


def _described(name: str) -> Resolver:
    return lambda run, _: getattr(run.description(), name) or None


RESOLVERS: Mapping[str, Mapping[str, Resolver]] = {
    "Query": {
        "viewer": _viewer,
        "serverInfo": _server_info,
        "entity": _find_entity,
        "project": _find_project,
        "model": _find_project,
        "models": _list_projects,
    },
    "Entity": {
        "user": lambda entity, _: _user(entity["name"]),
        "project": _find_project,
        "projects": _list_projects,
    },
    "User": {"projects": _list_projects},
    "Project": {
        "id": lambda project, _: global_id("Project", "v1", project.name, project.entity),
        "internalId": lambda project, _: _number(project.entity, project.name),
        "name": lambda project, _: project.name,
        "entityName": lambda project, _: project.entity,
        "entity": lambda project, _: _entity(project.entity),
        "description": always(None),
        "createdAt": _project_created_at,
        "isBenchmark": always(False),
        "readOnly": always(True),
        "user": lambda project, _: _user(project.entity),
        "runCount": _count_runs,
        "run": _find_run,
        "bucket": _find_run,
        "runs": _list_runs,
        "buckets": _list_runs,
    },
    "Run": {
        "id": lambda run, _: global_id("Run", "v1", run.key.id, run.key.project, run.key.entity),
        "projectId": lambda run, _: _number(run.key.entity, run.key.project),
        "project": lambda run, _: _Project(run.key.entity, run.key.project),
        "name": lambda run, _: run.key.id,
        "displayName": _described("name"),
        "state": lambda run, _: run.details().state,
        "config": _config,
        "summaryMetrics": lambda run, info: _json(run.details().summary, info),
        "systemMetrics": lambda run, info: _json(run.system_summary(), info),
        "tags": lambda run, _: list(run.description().tags),
        "group": _described("group"),
        "jobType": _described("job_type"),
        "commit": lambda run, _: commit_of(run.details().metadata),
        "runInfo": lambda run, _: run_info(run.details().metadata),
        "sweepName": _described("sweep"),
        "readOnly": always(True),
        "createdAt": lambda run, _: time_text(run.description().created_at),
        "heartbeatAt": lambda run, _: time_text(run.details().heartbeat_at),
        "updatedAt": lambda run, _: time_text(run.details().heartbeat_at),
        "description": _described("notes"),
        "notes": _described("notes"),
        "host": _described("host"),
        "user": lambda run, _: _user(run.key.entity),
        "historyLineCount": lambda run, _: run.details().row_count,
        "historyKeys": _history_keys,
        "history": _history,
        "events": _events,
        "eventsLineCount": lambda run, _: len(run.system_rows()),
        "sampledHistory": _sampled_history,
        "parquetHistory": _parquet_history,
        "exitcode": lambda run, _: run.details().exit_code,
        "running": lambda run, _: run.details().state == "running",
        "failed": lambda run, _: run.details().state in ("failed", "crashed"),
        "stopped": always(False),
        "shouldStop": always(False),
        "fileCount": count_files,
        "files": list_files,
    },
    "File": FILE_RESOLVERS,
}
