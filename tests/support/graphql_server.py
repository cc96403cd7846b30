"""An HTTP server on loopback that answers GraphQL requests as a test specifies."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.history_backend import HistoryBackend


@dataclass
class Received:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    payload: dict[str, Any]

    @property
    def operation(self) -> str:
        """The name of the requested operation."""
        found = re.search(r"query\s+(\w+)", self.payload["query"])
        assert found is not None
        return found.group(1)


@dataclass
class Answer:
    """An answer to send."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    """Content-Length to claim, if not the body's own."""


Respond = Callable[[Received], Answer]


def data_answer(data: Any) -> Answer:
    """The answer of a GraphQL server that has `data`."""
    return json_answer({"data": data})


def json_answer(value: Any, status: int = 200) -> Answer:
    """An answer whose body is JSON."""
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json"})


def compressed(answer: Answer) -> Answer:
    """The answer, compressed with gzip."""
    return Answer(gzip.compress(answer.body), answer.status, answer.headers | {"Content-Encoding": "gzip"})


def answer_from(backend: HistoryBackend) -> Respond:
    """Answers the history operations."""
    return lambda request: data_answer(backend.answer(request.operation, request.payload["variables"]))


@dataclass
class GraphQLServer:
    """A running server: `respond` may be changed at any time; `received` holds every request so far."""

    url: str
    respond: Respond
    received: list[Received] = field(default_factory=list)


@contextlib.contextmanager
def serving(respond: Respond, certificate: Path | None = None) -> Iterator[GraphQLServer]:
    """Runs a server on a free port of loopback; with TLS if a certificate and its key are given."""
    served = GraphQLServer("", respond)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                # The client has left.
                self.close_connection = True
                return
            request = Received(self.path, dict(self.headers), json.loads(body) if body else {})
            served.received.append(request)
            answer = served.respond(request)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.length is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            # A client may disconnect; anything else is an error in the test.
            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
