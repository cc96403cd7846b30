"""Requests to a wandb service (wandb-core, or anything that speaks its messages).

A wandb service gets messages of the installed wandb, whose envelopes are numbered differently from release to release;
any other object gets those of `histscan.proto`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from histscan.common.process_lock import ProcessLock
from histscan.errors import HistoryRequestError, ResponseShapeError
from histscan.sources.cancellation import current_cancellation
from histscan.sources.cleanup import call_when_collected
from histscan.sources.origins import comes_from

__all__ = [
    "HistoryService",
    "Turns",
    "end_scan",
    "end_scan_when_collected",
    "page_bytes",
    "read_page",
    "start_scan",
]


class HistoryService(Protocol):
    """What a scan needs of a service."""

    def send_api_request(self, request: Any, /) -> Any:
        """Answers an ``ApiRequest`` with an ``ApiResponse``, or a ``RawApiResponse``."""


class Turns:
    """Has the requests of one scan made one after the other, whichever threads make them.

    wandb-core before 0.26.0 dies of two at once. There may be two: a request that nobody waits for any longer, since
    the scan started over or was collected, can't be called off.
    """

    def __init__(self) -> None:
        self._lock = ProcessLock()

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Waits until no other thread is at it.

        Yields:
            Nothing; the next thread's turn is when the block ends.

        Raises:
            RequestCancelledError: The request was called off meanwhile.
        """
        with self._lock:
            cancellation = current_cancellation()
            if cancellation is not None:
                cancellation.check()
            yield

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Calls a function when it is its turn.

        Args:
            function: What to call.
            *arguments: Its arguments.
        """
        with self.take():
            function(*arguments)


def start_scan(
    service: HistoryService, *, entity: str, project: str, run_id: str, keys: Sequence[str] | None, use_cache: bool
) -> int:
    """Has the service get a run's history ready.

    Args:
        service: The service.
        entity: The run's entity.
        project: The run's project.
        run_id: The run's id.
        keys: The keys of each row; None means all.
        use_cache: Whether the service may use history files that it downloaded before.

    Returns:
        The number by which the service knows the scan.

    Raises:
        HistoryRequestError: The service reports an error.
        ResponseShapeError: The service answered something else.
    """
    messages = _messages_for(service)
    init = messages.ScanRunHistoryInit(entity=entity, project=project, run_id=run_id, keys=keys, use_cache=use_cache)
    answer = _ask(service, messages.ReadRunHistoryRequest(scan_run_history_init=init), "scan_run_history_init")
    request_id: int = answer.request_id
    return request_id


def read_page(service: HistoryService, request_id: int, min_step: int, max_step: int) -> Any:
    """Reads the rows of a step window.

    Args:
        service: The service.
        request_id: The scan's number.
        min_step: The window's first step.
        max_step: The window's end, exclusive.

    Returns:
        The ``RunHistoryResponse``, as a message or as bytes, whichever the service gave.

    Raises:
        HistoryRequestError: The service reports an error.
        ResponseShapeError: The service answered something else.
    """
    messages = _messages_for(service)
    window = messages.ScanRunHistory(min_step=min_step, max_step=max_step, request_id=request_id)
    return _ask(service, messages.ReadRunHistoryRequest(scan_run_history=window), "run_history")


def page_bytes(run_history: Any) -> bytes:
    """Returns what `read_page` returned as bytes.

    Args:
        run_history: A ``RunHistoryResponse``, as a message or as bytes.
    """
    data: bytes = run_history if isinstance(run_history, bytes) else run_history.SerializeToString()
    return data


def end_scan(service: HistoryService, request_id: int) -> None:
    """Has the service free a scan's resources; a connection that is closed already is no error.

    Args:
        service: The service.
        request_id: The scan's number.
    """
    closed: list[type[Exception]] = [ConnectionResetError]
    mailbox = sys.modules.get("wandb.sdk.mailbox.mailbox")
    if mailbox is not None:
        closed.append(mailbox.MailboxClosedError)
    with contextlib.suppress(*closed):
        _send(service, _cleanup_request(service, request_id))


def end_scan_when_collected(
    scan: object, turns: Turns, cleanup: Callable[[Any, int], object], service: HistoryService, request_id: int
) -> None:
    """Has a scan's resources freed once its object is collected, without making the collector wait.

    Args:
        scan: The scan object.
        turns: Those of the scan's requests.
        cleanup: What to call with service and number, for instance `end_scan`; must not refer to the scan.
        service: The service.
        request_id: The scan's number.
    """
    call_when_collected(scan, turns.call, cleanup, service, request_id)


def _messages_for(service: HistoryService) -> Any:
    if comes_from("wandb", service):
        from wandb.proto import wandb_api_pb2

        return wandb_api_pb2
    from histscan import proto

    return proto


def _cleanup_request(service: HistoryService, request_id: int) -> Any:
    messages = _messages_for(service)
    cleanup = messages.ScanRunHistoryCleanup(request_id=request_id)
    return messages.ApiRequest(
        read_run_history_request=messages.ReadRunHistoryRequest(scan_run_history_cleanup=cleanup)
    )


def _send(service: Any, request: Any) -> Any:
    """Sends a request; until release 0.25.0 it was wandb's ``Api`` that did so, under a private name."""
    send = getattr(service, "send_api_request", None)
    return (service._send_api_request if send is None else send)(request)


def _ask(service: HistoryService, request: Any, expected: str) -> Any:
    """Sends a history request and returns the expected member of the answer."""
    response = _send(service, _messages_for(service).ApiRequest(read_run_history_request=request))
    if response.WhichOneof("response") == "api_error_response":
        raise HistoryRequestError(f"the service answered with an error: {response.api_error_response.message}")
    answer = response.read_run_history_response
    if not answer.HasField(expected):
        found = answer.WhichOneof("response") or "nothing"
        raise ResponseShapeError(f"the service answered with {found} where `{expected}` was expected")
    return getattr(answer, expected)
