"""Leaves pages in the responses of wandb's service as bytes, for the requests of our scans.

wandb's client parses a response into messages, of which a page would be serialised again for the core. Its method that
reads a response stays as it is, but gets another class of responses. That class parses as wandb's, unless the response
answers a request of `histscan.sources.service.read_page`, and has a page: then the page is a field of bytes.

A release whose client or messages are of another shape is left alone. Pages are then parsed and serialised.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Coroutine, Mapping
from types import FunctionType
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from histscan.sources.service import WANTS_PAGE_BYTES

__all__ = ["raw_responses"]

_MODULE = "wandb.sdk.lib.service.service_client"

# All names that wandb's method uses to read a response: it makes one object of `spb.ServerResponse`, calls
# `ParseFromString`, and returns the object.
_NAMES_OF_READER = {
    *(
        "_reader",
        "readexactly",
        "_HEADER_BYTE_INT_LEN",
        "asyncio",
        "IncompleteReadError",
        "partial",
        "struct",
        "unpack",
    ),
    *("_HEADER_BYTE_INT_FMT", "ord", "ValueError", "hex", "spb", "ServerResponse", "ParseFromString"),
}

# The messages that lead to a page, each with the field of the next one.
_WAY_TO_PAGE = (
    ("ServerResponse", "api_response"),
    ("ApiResponse", "read_run_history_response"),
    ("ReadRunHistoryResponse", "run_history"),
)

_MOST_AWAITED = 1_000
"""Requests that may wait for their response; of more, pages are parsed. A closed connection never answers."""

_Method = Callable[..., Coroutine[Any, Any, Any]]


def raw_responses() -> Mapping[tuple[type, str], _Method]:
    """Makes the methods of wandb's client that leave pages as bytes.

    Returns:
        For each class and name, the method that replaces wandb's; empty if the client is of another shape.
    """
    try:
        client: type = importlib.import_module(_MODULE).ServiceClient
        reader, sender = vars(client)["_read_server_response"], vars(client)["_send_server_request"]
        raw_response = _raw_response_class(reader.__globals__["spb"].ServerResponse)
    except (ImportError, AttributeError, KeyError):
        return {}
    if not (_is_plain(reader, ["self"]) and _is_plain(sender, ["self", "request"])):
        return {}
    if set(reader.__code__.co_names) != _NAMES_OF_READER or raw_response is None:
        return {}
    awaited: set[str] = set()
    return {
        (client, "_read_server_response"): _make_reader(reader, raw_response, awaited),
        (client, "_send_server_request"): _make_sender(sender, awaited),
    }


def _is_plain(method: Any, parameters: list[str]) -> bool:
    """Returns True if a method is a coroutine function of wandb's module with just these parameters."""
    return (
        inspect.iscoroutinefunction(method)
        and isinstance(method, FunctionType)
        and method.__globals__.get("__name__") == _MODULE
        and not method.__code__.co_freevars
        and list(inspect.signature(method).parameters) == parameters
    )


def _make_sender(sender: FunctionType, awaited: set[str]) -> _Method:
    async def _send_server_request(self: Any, request: Any) -> None:
        # The calling thread's context is that of the task, too. The address was set, and nothing was sent yet.
        if WANTS_PAGE_BYTES.get() and len(awaited) < _MOST_AWAITED:
            awaited.add(request.request_id)
        try:
            await sender(self, request)
        except BaseException:
            awaited.discard(request.request_id)
            raise

    return _send_server_request


def _make_reader(reader: FunctionType, raw_response: Any, awaited: set[str]) -> _Method:
    messages = reader.__globals__["spb"]

    class Response:
        """Takes the place of ``ServerResponse`` while a response is read."""

        message: Any = None

        def ParseFromString(self, data: bytes) -> None:  # noqa: N802 - protobuf's name
            if awaited:
                # Takes no time for a page, and the other fields are not looked into.
                found = raw_response.FromString(data)
                if found.request_id in awaited:
                    awaited.discard(found.request_id)
                    if found.api_response.read_run_history_response.HasField("run_history"):
                        self.message = found
                        return
            self.message = messages.ServerResponse()
            self.message.ParseFromString(data)

    class Messages:
        """Takes the place of the module of wandb's messages."""

        ServerResponse = Response

    # wandb's own code, so that errors and the end of the connection are handled as before.
    read = FunctionType(reader.__code__, {**reader.__globals__, "spb": Messages}, reader.__name__)

    async def _read_server_response(self: Any) -> Any:
        response = await read(self)
        return response.message if isinstance(response, Response) else response

    return _read_server_response


def _raw_response_class(server_response: Any) -> Any:
    """Makes a class like ``ServerResponse``, all messages in which are bytes, except for those that lead to a page.

    Args:
        server_response: wandb's class.

    Returns:
        The class; None if the messages are of another shape.
    """
    described = FileDescriptorProto(name="histscan/raw_responses.proto", package="histscan.raw", syntax="proto3")
    message = server_response.DESCRIPTOR
    for name, member in _WAY_TO_PAGE:
        followed = message.fields_by_name.get(member)
        if message.name != name or followed is None or followed.message_type is None:
            return None
        described.message_type.append(_with_bytes(message, member))
        message = followed.message_type
    if server_response.DESCRIPTOR.fields_by_name.get("request_id") is None or message.name != "RunHistoryResponse":
        return None
    pool = DescriptorPool()
    pool.AddSerializedFile(described.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("histscan.raw.ServerResponse"))


def _with_bytes(message: Any, followed: str) -> DescriptorProto:
    """Describes a message of wandb's with bytes for the messages in it, except for a field on the way to a page."""
    wandbs = DescriptorProto()
    message.CopyToProto(wandbs)
    described = DescriptorProto(name=wandbs.name, oneof_decl=wandbs.oneof_decl)
    for field in wandbs.field:
        own = described.field.add()
        own.CopyFrom(field)
        own.ClearField("type_name")
        if field.type == FieldDescriptorProto.TYPE_ENUM:
            own.type = FieldDescriptorProto.TYPE_INT32
        elif field.type == FieldDescriptorProto.TYPE_MESSAGE:
            own.type = FieldDescriptorProto.TYPE_BYTES
            if field.name == followed and field.name != _WAY_TO_PAGE[-1][1]:
                own.type, own.type_name = field.type, f".histscan.raw.{field.type_name.rpartition('.')[2]}"
    return described
