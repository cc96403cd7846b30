"""The server as an ASGI application: who may ask, what is asked, and what is shown of a far or busy server."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from graphql import GraphQLError

from histscan.server.asgi import (
    BodyTooLargeError,
    Receive,
    Request,
    Response,
    Send,
    json_response,
    read_request,
)
from histscan.server.catalogue import Catalogue
from histscan.server.execution import Query, error_body, read_query, run_query
from histscan.server.file_answers import file_response
from histscan.server.file_links import PREFIX, FileLinks, LinkError
from histscan.server.resolvers import QueryContext
from histscan.server.settings import LOOPBACK_HOSTS, ServerSettings
from histscan.server.simulation import ERRORS, TRUNCATE, FaultPlan, RateLimit, RateLimiter
from histscan.server.traffic import Traffic

__all__ = ["HistoryApp"]

GRAPHQL_PATH = "/graphql"
TRAFFIC_PATH = "/traffic"
FILES_OPERATION = "files"

_log = logging.getLogger("histscan.server")


class HistoryApp:
    """Answers HTTP requests.

    Args:
        settings: The settings.
        catalogue: The runs.
    """

    def __init__(self, settings: ServerSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._links = FileLinks()
        self._limiter = None if settings.rate_limit is None else RateLimiter(settings.rate_limit)
        self._faults = FaultPlan(settings.faults)
        self.traffic = Traffic()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request, as ASGI calls it."""
        if scope["type"] != "http":
            return
        try:
            request = await read_request(scope, receive)
        except BodyTooLargeError:
            await _problem(413, "the request is too large").send(send)
            return
        refusal = self._refuse(request)
        if refusal is not None:
            await refusal.send(send, without_body=request.method == "HEAD")
        elif request.path == TRAFFIC_PATH:
            await self._report_traffic(request).send(send)
        else:
            with self.traffic.answering():
                await self._answer(request, send)

    def _refuse(self, request: Request) -> Response | None:
        """Answers those who may not ask at all."""
        if self._settings.host in LOOPBACK_HOSTS and _host_name(request) not in LOOPBACK_HOSTS:
            # A web page may have its own name point to this machine; it must not get at the runs that way.
            return _problem(421, "this server is asked as localhost, 127.0.0.1 or [::1] only")
        if request.path.startswith(PREFIX):
            return None  # the address itself is the permission
        if self._settings.api_key is not None and not _has_key(request, self._settings.api_key):
            return json_response(
                error_body([GraphQLError("the API key is missing or wrong: set WANDB_API_KEY to the server's")]),
                401,
                {"WWW-Authenticate": 'Basic realm="histscan"'},
            )
        return None

    def _report_traffic(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.traffic.reset()
        return json_response(self.traffic.report())

    async def _answer(self, request: Request, send: Send) -> None:
        started = time.monotonic()
        query: Query | None = None
        if request.path.startswith(PREFIX):
            operation = FILES_OPERATION
        elif request.path == GRAPHQL_PATH and request.method == "POST":
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                # Browsers let any page send other types here without asking first.
                await _problem(415, "a GraphQL request has Content-Type: application/json").send(send)
                return
            try:
                query = read_query(request.body)
            except (ValueError, RecursionError) as error:
                await _problem(400, str(error)).send(send)
                return
            operation = query.name
        else:
            status = 405 if request.path == GRAPHQL_PATH else 404
            await _problem(status, f"POST GraphQL requests to {GRAPHQL_PATH}").send(send)
            return
        if self._settings.latency:
            await asyncio.sleep(self._settings.latency)
        limit = None if self._limiter is None else self._limiter.take()
        fault = None if limit is not None and limit.is_exceeded else self._faults.next_fault(operation)
        if limit is not None and limit.is_exceeded:
            response = _problem(429, "too many requests", {"Retry-After": str(math.ceil(limit.retry_after) or 1)})
        elif fault is not None and fault.isdigit():
            response = _problem(int(fault), "a fault, as asked for", {"Retry-After": "1"} if fault == "429" else {})
        elif fault == ERRORS:
            response = json_response(error_body([GraphQLError("a fault, as asked for")]))
        elif query is not None:
            response = await asyncio.to_thread(self._answer_query, request, query)
        else:
            response = self._answer_file(request)
        if limit is not None:
            response = _with_headers(response, _limit_headers(limit))
        self.traffic.count(operation, response.status, response.length)
        if self._settings.verbose:
            elapsed = (time.monotonic() - started) * 1000
            _log.info("%s: HTTP %d, %d bytes, %.1f ms", operation, response.status, response.length, elapsed)
        await response.send(send, without_body=request.method == "HEAD", only_half=fault == TRUNCATE)

    def _answer_query(self, request: Request, query: Query) -> Response:
        context = QueryContext(self._catalogue, self._links, f"http://{request.headers.get('host', '')}")
        try:
            answer = run_query(query, context)
        except Exception:
            _log.exception("%s failed", query.name)
            return _problem(500, "the server failed; its log says how")
        if self._settings.verbose:
            for message in answer.errors:
                _log.info("%s: %s", query.name, message)
        return json_response(answer.body, answer.status)

    def _answer_file(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _problem(405, "files are only read here")
        try:
            return file_response(self._links.find(request.path, request.query), request.headers)
        except LinkError as error:
            return _problem(error.status, str(error))
        except OSError:
            return _problem(404, "the file is gone")


def _host_name(request: Request) -> str:
    """The name that the client knows the server by, without the port."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _has_key(request: Request, api_key: str) -> bool:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    given = credentials.strip()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode(), api_key.encode())


def _problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response({"data": None, "errors": [{"message": message}]}, status, headers)


def _with_headers(response: Response, headers: Mapping[str, str]) -> Response:
    return Response(response.status, response.body, response.length, {**headers, **response.headers})


def _limit_headers(limit: RateLimit) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(limit.limit),
        "RateLimit-Remaining": str(limit.remaining),
        "RateLimit-Reset": str(max(1, math.ceil(limit.reset))),
    }
