"""install() leaves the pages of its scans as bytes, and all other responses of wandb's service as they were.

wandb 0.26.1's client talks to a service on loopback, which answers in random order.
"""

from __future__ import annotations

import asyncio
import random
import socketserver
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf.message import Message
from wandb.apis import public
from wandb.apis.public.service_api import ServiceApi
from wandb.proto import wandb_api_pb2
from wandb.proto import wandb_server_pb2 as spb
from wandb.sdk.lib.asyncio_manager import AsyncioManager
from wandb.sdk.lib.service.service_client import ServiceClient
from wandb.sdk.lib.service.service_connection import ServiceConnection, WandbApiFailedError

from histscan.installing.installation import install, installed, uninstall
from histscan.installing.raw_responses import raw_responses
from histscan.sources.service import page_bytes, read_page, start_scan
from tests.support.fake_service import FakeService, service_rows
from tests.support.history_backend import RUN, training_rows

ROWS = list(training_rows(range(500)))
METHODS = ("_read_server_response", "_send_server_request")
SHAPE = {name: vars(ServiceClient)[name] for name in METHODS}

_HEADER = struct.Struct("<BI")


class _Answers(socketserver.BaseRequestHandler):
    """Answers the requests of one connection: those that have arrived together in random order."""

    def handle(self) -> None:
        draw, service = random.Random(0), FakeService(service_rows(ROWS))
        waiting: list[spb.ServerRequest] = []
        received = b""
        while True:
            self.request.settimeout(0.01 if waiting else None)
            try:
                data = self.request.recv(65536)
            except TimeoutError:
                draw.shuffle(waiting)
                self.request.sendall(b"".join(_framed(self.answer(service, request)) for request in waiting))
                waiting = []
                continue
            if not data:
                return
            received += data
            while len(received) >= _HEADER.size and len(received) >= _HEADER.size + _HEADER.unpack_from(received)[1]:
                end = _HEADER.size + _HEADER.unpack_from(received)[1]
                waiting.append(spb.ServerRequest.FromString(received[_HEADER.size : end]))
                received = received[end:]

    def answer(self, service: FakeService, request: spb.ServerRequest) -> spb.ServerResponse:
        answer = spb.ServerResponse(request_id=request.request_id)
        kind = request.api_request.WhichOneof("request")
        if kind != "read_run_history_request":
            answer.authenticate_response.default_entity = "team"
        elif request.api_request.read_run_history_request.scan_run_history.min_step == 77:
            answer.api_response.api_error_response.message = "no such page"
        else:
            answer.api_response.CopyFrom(service.send_api_request(request.api_request))
        return answer


def _framed(message: Message) -> bytes:
    data = message.SerializeToString()
    return _HEADER.pack(ord("W"), len(data)) + data


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def connection() -> Iterator[ServiceConnection]:
    asyncer = AsyncioManager()
    asyncer.start()
    with _Server(("127.0.0.1", 0), _Answers) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()

        async def connect() -> ServiceClient:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.server_address[1])
            return ServiceClient(asyncer, reader, writer)

        client = asyncer.run(connect)
        yield ServiceConnection(asyncer, client, None)
        asyncer.run(client.close)
        server.shutdown()
        serving.join()
    asyncer.join()


@pytest.fixture
def service(connection: ServiceConnection) -> ServiceApi:
    api = ServiceApi(None)
    api._service_connection = connection
    return api


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    uninstall()
    assert {name: vars(ServiceClient)[name] for name in METHODS} == SHAPE


def _scanned(scan_class: Any, service: ServiceApi) -> list[str]:
    # As text, because NaN is equal to nothing.
    return list(map(repr, scan_class(service_api=service, run=RUN, min_step=0, max_step=len(ROWS), page_size=50)))


def _first_page(service: ServiceApi) -> Any:
    names = {"entity": RUN.entity, "project": RUN.project, "run_id": RUN.id}
    return read_page(service, start_scan(service, **names, keys=None, use_cache=True), 0, 50)


def test_pages_are_bytes_while_installed(service: ServiceApi) -> None:
    parsed = _first_page(service)
    assert isinstance(parsed, wandb_api_pb2.RunHistoryResponse)
    with installed():
        raw = _first_page(service)
        assert isinstance(raw, bytes)
        assert wandb_api_pb2.RunHistoryResponse.FromString(raw) == parsed
    assert isinstance(_first_page(service), wandb_api_pb2.RunHistoryResponse)
    assert page_bytes(raw) == raw


def test_rows_are_those_of_wandbs_class(service: ServiceApi) -> None:
    expected = _scanned(public.BetaHistoryScan, service)
    assert len(expected) == len(ROWS)
    install()
    assert _scanned(public.BetaHistoryScan, service) == expected


def test_other_requests_of_the_connection_get_wandbs_messages(
    service: ServiceApi, connection: ServiceConnection
) -> None:
    wandbs_class = public.BetaHistoryScan
    expected = _scanned(wandbs_class, service)
    install()

    def use_connection(number: int) -> Any:
        if number % 3 == 0:
            return _scanned(wandbs_class, service) == expected
        if number % 3 == 1:
            return _scanned(public.BetaHistoryScan, service) == expected

        request = spb.ServerRequest(api_request=wandb_api_pb2.ApiRequest())
        handle = connection._asyncer.run(lambda: connection._client.deliver(request))
        answer = handle.wait_or(timeout=30)
        return type(answer) is spb.ServerResponse and answer.authenticate_response.default_entity == "team"

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(use_connection, range(18)))


def test_errors_of_the_service_are_wandbs(service: ServiceApi) -> None:
    install()
    with pytest.raises(WandbApiFailedError, match="no such page"):
        read_page(service, 7, 77, 78)
    # The connection goes on.
    assert isinstance(_first_page(service), bytes)


def test_a_client_of_another_shape_is_left_alone(service: ServiceApi, monkeypatch: pytest.MonkeyPatch) -> None:
    wandbs = SHAPE["_read_server_response"]

    async def other(self: Any) -> Any:
        return await wandbs(self)

    monkeypatch.setattr(ServiceClient, "_read_server_response", other)
    assert raw_responses() == {}
    with installed():
        assert vars(ServiceClient)["_read_server_response"] is other
        assert vars(ServiceClient)["_send_server_request"] is SHAPE["_send_server_request"]
        assert isinstance(_first_page(service), wandb_api_pb2.RunHistoryResponse)
    monkeypatch.undo()
