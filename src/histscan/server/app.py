"""The server as a Starlette application: routes, and the simulation of a distant, busy or failing server."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from histscan.server.answer_parts import AnswerParts
from histscan.server.catalogue import Catalogue
from histscan.server.execution import Executor, Query, error_body
from histscan.server.file_links import PREFIX, FileLinks, LinkError
from histscan.server.file_responses import file_response
from histscan.server.guard import Guard
from histscan.server.query_context import QueryContext
from histscan.server.reply_cache import ReplyCache
from histscan.server.responses import ObservedResponse, json_response, problem, streamed_json
from histscan.server.root_page import PAGE_HEADERS, root_page
from histscan.server.settings import ANY_KEY, ServerSettings
from histscan.server.simulation import ERRORS, TRUNCATE, FaultPlan, RateLimit, RateLimiter
from histscan.server.traffic import InFlight, Traffic
from histscan.server.work import ClientLeftError, Workers

__all__ = ["HistoryApp"]

GRAPHQL_PATH = "/graphql"
TRAFFIC_PATH = "/traffic"
FILES_OPERATION = "files"
CLIENT_LEFT = 499
"""The status, in counts and messages, of a request whose client left before the response."""
SIMULATED = "simulated fault (--fault)"

_log = logging.getLogger("histscan.server")


class HistoryApp(Starlette):
    """Handles HTTP requests.

    Args:
        settings: The settings.
        catalogue: The runs.

    Attributes:
        traffic: Counts the requests.
        workers: The threads that execute queries.
    """

    def __init__(self, settings: ServerSettings, catalogue: Catalogue) -> None:
        self.traffic = Traffic()
        self.workers = Workers(settings.limits.time)
        counted = [Middleware(InFlight, traffic=self.traffic)]
        super().__init__(
            routes=[
                Route(GRAPHQL_PATH, self._answer_graphql, methods=["POST"], middleware=counted),
                Route(f"{PREFIX}{{name:path}}", self._answer_file, methods=["GET"], middleware=counted),
                Route(TRAFFIC_PATH, self._report_traffic, methods=["GET", "DELETE"]),
                Route("/", self._show_page, methods=["GET"]),
            ],
            middleware=[Middleware(Guard, settings=settings)],
            exception_handlers={HTTPException: _explain},
        )
        # Starlette would redirect /graphql/ to /graphql.
        self.router.redirect_slashes = False
        self._settings = settings
        self._catalogue = catalogue
        self._links = FileLinks()
        self._executor = Executor(settings.limits)
        self._replies = ReplyCache(catalogue)
        self._limiter = None if settings.rate_limit is None else RateLimiter(settings.rate_limit)
        self._faults = FaultPlan(settings.faults)

    async def _show_page(self, request: Request) -> Response:
        return await self._work(request, lambda: self._write_page(_base_url(request)))

    def _write_page(self, base_url: str) -> Response:
        page = root_page(
            self._catalogue.runs(), base_url, needs_key=self._settings.api_key is not None, any_key=ANY_KEY
        )
        return HTMLResponse(page, headers=PAGE_HEADERS)

    async def _work(self, request: Request, function: Callable[[], Response]) -> Response:
        """Runs a function in a thread."""
        try:
            return await self.workers.run(request.receive, function)
        except ClientLeftError:
            return Response(None, CLIENT_LEFT)
        except TimeoutError:
            limit = self._settings.limits.time
            return problem(400, f"the query took longer than {limit} s (`histscan serve --limit time=` sets the limit)")

    async def _report_traffic(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.traffic.reset()
        return json_response(self.traffic.report())

    async def _answer_graphql(self, request: Request) -> Response | ObservedResponse:
        try:
            body = await _read_body(request, self._settings.limits.body)
        except ClientDisconnect:
            return Response(None, CLIENT_LEFT)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            # Browsers let any web page send other content types across origins without a CORS preflight.
            raise HTTPException(415, "a GraphQL request must have Content-Type: application/json")
        reply = self._replies.find(body)
        if reply is not None:
            return await self._simulate(reply.name, lambda: _at_once(streamed_json([reply.body], 200)))
        try:
            query = self._executor.recall(body)
            if query is None:
                query = await self.workers.run(request.receive, lambda: self._executor.read(body))
        except ClientLeftError:
            return Response(None, CLIENT_LEFT)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None

        async def answer() -> Response:
            return await self._work(request, lambda: self._run_query(request, query, body))

        return await self._simulate(query.name, answer)

    def _run_query(self, request: Request, query: Query, body: bytes) -> Response:
        parts = AnswerParts(self._settings.limits.answer)
        context = QueryContext(self._catalogue, self._links, _base_url(request), parts)
        try:
            answer = self._executor.run(query, context)
        except Exception:
            _log.exception("%s failed", query.name)
            return problem(500, "internal server error: see the traceback on the server's standard error")
        if self._settings.verbose:
            for message in answer.errors:
                _log.info("%s: %s", query.name, message)
        if not answer.errors:
            self._replies.keep(body, query.name, answer.parts, context.sources)
        return streamed_json(answer.parts, answer.status)

    async def _answer_file(self, request: Request) -> Response | ObservedResponse:
        async def answer() -> Response:
            try:
                file = self._links.find(request.scope["path"], request.scope["query_string"].decode("latin-1"))
                return file_response(file.open(), request, file.headers())
            except LinkError as error:
                return problem(error.status, str(error))
            except OSError:
                return problem(404, "the file no longer exists, or was replaced: request the run's files again")

        return await self._simulate(FILES_OPERATION, answer)

    async def _simulate(self, operation: str, answer: Callable[[], Awaitable[Response]]) -> ObservedResponse:
        """Responds as a distant, busy or failing server would, and counts the request."""
        started = time.monotonic()
        if self._settings.latency:
            await asyncio.sleep(self._settings.latency)
        limit = None if self._limiter is None else self._limiter.take()
        fault = None
        if limit is not None and limit.is_exceeded:
            response = problem(429, "too many requests", {"Retry-After": str(math.ceil(limit.retry_after) or 1)})
        else:
            fault = self._faults.next_fault(operation)
            response = await answer() if fault is None or fault == TRUNCATE else _faulty(fault)
        if limit is not None:
            response.headers.update(_limit_headers(limit))

        def note(status: int, length: int) -> None:
            self.traffic.count(operation, status, length)
            if self._settings.verbose:
                elapsed = (time.monotonic() - started) * 1000
                _log.info("%s: HTTP %d, %d bytes, %.1f ms", operation, status, length, elapsed)

        return ObservedResponse(response, note, is_cut=fault == TRUNCATE)


async def _at_once(response: Response) -> Response:
    return response


def _base_url(request: Request) -> str:
    """Returns the server's URL as the client wrote it."""
    return f"{request.scope.get('scheme', 'http')}://{request.headers.get('host', '')}"


async def _read_body(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the request is larger than {limit:,} bytes")


async def _explain(request: Request, error: Exception) -> Response:
    """Turns an HTTPException of Starlette or of this module into a GraphQL error, as all errors here are."""
    assert isinstance(error, HTTPException)
    message = error.detail
    if error.status_code == 404:
        message = f"not found: POST GraphQL requests to {GRAPHQL_PATH}, or open / in a browser"
    elif error.status_code == 405 and request.scope["path"] == GRAPHQL_PATH:
        message = f"POST GraphQL requests to {GRAPHQL_PATH}"
    elif error.status_code == 405:
        message = f"method {request.method} is not allowed here: histscan serve is read-only"
    return problem(error.status_code, message, error.headers)


def _faulty(kind: str) -> Response:
    if kind == ERRORS:
        return json_response(error_body([GraphQLError(SIMULATED)]))
    return problem(int(kind), SIMULATED, {"Retry-After": "1"} if kind == "429" else {})


def _limit_headers(limit: RateLimit) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(limit.limit),
        "RateLimit-Remaining": str(limit.remaining),
        "RateLimit-Reset": str(max(1, math.ceil(limit.reset))),
    }
