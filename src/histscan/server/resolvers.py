"""Answers for the fields of the schema.

Projects and runs are resolved field by field, so that nothing is read which nobody asked for. Small things are dicts
with a member for each of their fields.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson
from graphql import GraphQLError

from histscan.server.catalogue import Catalogue
from histscan.server.file_links import FileLinks
from histscan.server.history_rows import HistoryRows
from histscan.server.row_texts import json_text, strict_json
from histscan.server.run_filters import FilterError, RunTest, compile_filter
from histscan.server.run_listing import cursor_of, list_runs, matching_runs
from histscan.server.served_run import ServedRun

__all__ = ["RESOLVERS", "QueryContext"]

# Larger than any release of wandb, which compares its own with it.
_LATEST_CLIENT = "999.0.0"


@dataclass(frozen=True)
class QueryContext:
    """What the resolvers of a request need.

    Attributes:
        catalogue: The runs.
        links: Makes the addresses of exported files.
        base_url: The address that the client knows the server by.
    """

    catalogue: Catalogue
    links: FileLinks
    base_url: str


@dataclass(frozen=True)
class _Project:
    """A project, which is there because runs are in it."""

    entity: str
    name: str


Resolver = Callable[..., Any]
# graphql-core has a generic class for it from 3.3 on, and a plain one before.
Info = Any


def _context(info: Info) -> QueryContext:
    context: QueryContext = info.context
    return context


def _always(value: Any) -> Resolver:
    return lambda *_, **__: value


def _user(entity: str) -> dict[str, Any]:
    return {
        "id": _global_id("User", entity),
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
    return {"id": _global_id("Entity", name), "name": name, "isTeam": False}


def _global_id(*parts: str) -> str:
    return base64.b64encode(":".join(parts).encode()).decode()


def _number(*parts: str) -> str:
    """A number for what W&B numbers; clients want one, and only compare it."""
    return str(zlib.crc32("\0".join(parts).encode()))


def _time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _page_info(edges: list[dict[str, Any]], *, has_next: bool, has_previous: bool) -> dict[str, Any]:
    return {
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
        "hasNextPage": has_next,
        "hasPreviousPage": has_previous,
    }


_NO_PAGE = {"edges": [], "pageInfo": _page_info([], has_next=False, has_previous=False)}


def _viewer(_: object, info: Info) -> dict[str, Any]:
    return _user(_context(info).catalogue.default_entity)


def _server_info(*_: object) -> dict[str, Any]:
    return {
        "cliVersionInfo": {"max_cli_version": _LATEST_CLIENT, "min_cli_version": "0.0.0"},
        "latestLocalVersionInfo": None,
        "features": [],
    }


def _find_entity(_: object, info: Info, name: str | None = None) -> dict[str, Any] | None:
    catalogue = _context(info).catalogue
    wanted = catalogue.default_entity if name is None else name
    is_known = wanted == catalogue.default_entity or bool(catalogue.runs(wanted))
    return _entity(wanted) if is_known else None


def _find_project(_: object, info: Info, **names: Any) -> _Project | None:
    catalogue = _context(info).catalogue
    entity = names.get("entityName") or catalogue.default_entity
    name = names.get("name") or ""
    return _Project(entity, name) if catalogue.has_project(entity, name) else None


def _list_projects(_: object, info: Info, **arguments: Any) -> dict[str, Any]:
    projects = sorted({run.key[:2] for run in _context(info).catalogue.runs(arguments.get("entityName"))})
    after, first = arguments.get("after"), arguments.get("first")
    edges = [{"node": _Project(*names), "cursor": _global_id("Project", *names)} for names in projects]
    start = 0
    if after:
        start = next((place + 1 for place, edge in enumerate(edges) if edge["cursor"] == after), 0)
        if start == 0:
            raise GraphQLError("the cursor is none of this server")
    page = edges[start:] if first is None else edges[start : start + max(first, 0)]
    has_next = start + len(page) < len(edges)
    return {"edges": page, "pageInfo": _page_info(page, has_next=has_next, has_previous=start > 0)}


def _project_created_at(project: _Project, info: Info) -> str:
    runs = _context(info).catalogue.runs(project.entity, project.name)
    return _time(min((run.description().created_at for run in runs), default=datetime.fromtimestamp(0, timezone.utc)))


def _find_run(project: _Project, info: Info, name: str) -> ServedRun | None:
    return _context(info).catalogue.run(project.entity, project.name, name)


def _test(filters: Any) -> RunTest:
    if filters is not None and not isinstance(filters, str):
        raise GraphQLError("filters is a JSONString: a string that contains JSON")
    return compile_filter(filters)


def _matching(project: _Project, info: Info, filters: Any) -> list[ServedRun]:
    runs = _context(info).catalogue.runs(project.entity, project.name)
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
        "pageInfo": _page_info(edges, has_next=page.has_next, has_previous=bool(arguments.get("after"))),
        "totalCount": len(runs),
    }


def _config(run: ServedRun, *_: object) -> str:
    # W&B keeps each entry with a description beside its value.
    return json_text({name: {"desc": None, "value": value} for name, value in run.details().config.items()})


def _history_keys(run: ServedRun, *_: object) -> orjson.Fragment:
    details = run.details()
    keys = {
        name: {"typeCounts": [{"type": kind}], "previousValue": details.summary.get(name)}
        for name, kind in details.key_types.items()
    }
    return orjson.Fragment(strict_json({"lastStep": details.last_step, "sets": [], "keys": keys}))


def _many(rows: HistoryRows, window: range, samples: int | None) -> list[orjson.Fragment]:
    """A list of all rows of a window, which has one element for the executor: their texts with commas in between."""
    texts = rows.texts(window, samples)
    return [orjson.Fragment(texts)] if texts else []


def _history(run: ServedRun, _: object, **arguments: Any) -> list[orjson.Fragment]:
    min_step = _integer("minStep", arguments.get("minStep"))
    stop_step = _integer("maxStep", arguments.get("maxStep"))
    rows = run.rows(None, stop_step)
    return _many(rows, rows.window(min_step, stop_step), arguments.get("samples"))


def _sampled_history(run: ServedRun, _: object, specs: list[Any]) -> list[orjson.Fragment]:
    return [_sample(run, spec) for spec in specs]


def _sample(run: ServedRun, text: Any) -> orjson.Fragment:
    try:
        spec = json.loads(text)
        keys = spec["keys"]
    except (TypeError, ValueError, KeyError):
        raise GraphQLError('a spec is a JSONString like "{\\"keys\\": [\\"loss\\"], \\"samples\\": 500}"') from None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise GraphQLError("keys of a spec are a list of strings")
    min_step = _integer("minStep", spec.get("minStep"))
    last_step = _integer("maxStep", spec.get("maxStep"))
    samples = _integer("samples", spec.get("samples"))
    stop_step = None if last_step is None else last_step + 1
    rows = run.rows(tuple(dict.fromkeys(keys)), stop_step)
    return orjson.Fragment(b"[" + rows.texts(rows.window(min_step, stop_step), samples) + b"]")


def _parquet_history(run: ServedRun, info: Info, **arguments: Any) -> dict[str, Any]:
    context = _context(info)
    export = run.export()
    live_data: list[orjson.Fragment] = []
    if export.live_from is not None:
        rows = run.rows(tuple(dict.fromkeys(arguments["liveKeys"])), None)
        live_data = _many(rows, rows.window(export.live_from, None), None)
    return {
        "parquetUrls": [context.base_url + context.links.link(path) for path in export.files],
        "liveData": live_data,
    }


def _integer(name: str, value: Any) -> int | None:
    """Checks a step or a number of rows; steps beyond 64 bits are brought back to them, where no row can be."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError(f"{name} is a whole number, not {json.dumps(value)}")
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
    "Project": {
        "id": lambda project, _: _global_id("Project", "v1", project.name, project.entity),
        "internalId": lambda project, _: _number(project.entity, project.name),
        "name": lambda project, _: project.name,
        "entityName": lambda project, _: project.entity,
        "entity": lambda project, _: _entity(project.entity),
        "description": _always(None),
        "createdAt": _project_created_at,
        "isBenchmark": _always(False),
        "readOnly": _always(True),
        "user": lambda project, _: _user(project.entity),
        "runCount": _count_runs,
        "run": _find_run,
        "bucket": _find_run,
        "runs": _list_runs,
    },
    "Run": {
        "id": lambda run, _: _global_id("Run", "v1", run.key.id, run.key.project, run.key.entity),
        "projectId": lambda run, _: _number(run.key.entity, run.key.project),
        "project": lambda run, _: _Project(run.key.entity, run.key.project),
        "name": lambda run, _: run.key.id,
        "displayName": _described("name"),
        "state": lambda run, _: run.details().state,
        "config": _config,
        "summaryMetrics": lambda run, _: json_text(run.details().summary),
        "systemMetrics": _always("{}"),
        "tags": lambda run, _: list(run.description().tags),
        "group": _described("group"),
        "jobType": _described("job_type"),
        "commit": _always(None),
        "sweepName": _always(None),
        "readOnly": _always(True),
        "createdAt": lambda run, _: _time(run.description().created_at),
        "heartbeatAt": lambda run, _: _time(run.details().heartbeat_at),
        "updatedAt": lambda run, _: _time(run.details().heartbeat_at),
        "description": _described("notes"),
        "notes": _described("notes"),
        "host": _described("host"),
        "user": lambda run, _: _user(run.key.entity),
        "historyLineCount": lambda run, _: run.details().row_count,
        "historyKeys": _history_keys,
        "history": _history,
        "sampledHistory": _sampled_history,
        "parquetHistory": _parquet_history,
        "fileCount": _always(0),
        "files": _always(_NO_PAGE),
    },
}
