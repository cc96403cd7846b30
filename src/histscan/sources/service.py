"""Requests to a wandb service: wandb-core, or any object that takes its messages.

wandb's own service is sent messages of the installed wandb, because the field numbers of its envelopes differ between
releases. Any other object is sent those of `histscan.proto`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol

from histscan.common.process_lock import ProcessLock
from histscan.errors import HistoryRequestError, ResponseShapeError
from histscan.sources.cancellation import check_cancelled
from histscan.sources.cleanup import call_when_collected
from histscan.sources.origins import comes_from

__all__ = [
    "WANTS_PAGE_BYTES",
    "HistoryService",
    "RequestLock",
    "end_scan",
    "end_scan_when_collected",
    "page_bytes",
    "read_page",
    "start_scan",
]

WANTS_PAGE_BYTES: ContextVar[bool] = ContextVar("WANTS_PAGE_BYTES", default=False)
"""True while `read_page` sends a request: the page may be left as bytes, by a client that can."""


class HistoryService(Protocol):
    """What a scan needs from a service."""

    def send_api_request(self, request: Any, /) -> Any:
        """Answers an ``ApiRequest`` with an ``ApiResponse``, or with what ``proto.read_response`` returns."""


class RequestLock:
    """Guards the service, in ``with`` blocks: it processes a scan's requests one at a time, from whichever threads.

    wandb-core before 0.26.0 crashes if it gets two at once. Two may happen because a request that has been sent can't
    be cancelled: it continues after its scan has restarted or was collected. A request that was cancelled while it
    waited for the lock raises a `RequestCancelledError`.
    """

    def __init__(self) -> None:
        self._lock = ProcessLock()

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            # The request may have been cancelled while it waited for the lock.
            check_cancelled()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Calls a function with the lock held.

        Args:
            function: The function.
            *arguments: Its arguments.
        """
        with self:
            function(*arguments)


def start_scan(
    service: HistoryService, *, entity: str, project: str, run_id: str, keys: Sequence[str] | None, use_cache: bool
) -> int:
    """Starts a scan of a run's history in the service.

    Args:
        service: The service.
        entity: The run's entity.
        project: The run's project.
        run_id: The run's id.
        keys: The keys of each row; None means all.
        use_cache: Whether the service may use the history files in its cache.

    Returns:
        The service's number for the scan.

    Raises:
        HistoryRequestError: The service reports an error.
        ResponseShapeError: The answer is of the wrong kind.
    """
    messages = _messages_for(service)
    init = messages.ScanRunHistoryInit(entity=entity, project=project, run_id=run_id, keys=keys, use_cache=use_cache)
    request = messages.ReadRunHistoryRequest(scan_run_history_init=init)
    answer = _request(service, messages, request, "scan_run_history_init")
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
        The ``RunHistoryResponse``, as a message or as bytes, whichever the service returned.

    Raises:
        HistoryRequestError: The service reports an error.
        ResponseShapeError: The answer is of the wrong kind.
    """
    messages = _messages_for(service)
    window = messages.ScanRunHistory(min_step=min_step, max_step=max_step, request_id=request_id)
    reset = WANTS_PAGE_BYTES.set(True)
    try:
        return _request(service, messages, messages.ReadRunHistoryRequest(scan_run_history=window), "run_history")
    finally:
        WANTS_PAGE_BYTES.reset(reset)


def page_bytes(run_history: Any) -> bytes | memoryview:
    """Returns the result of `read_page` as bytes.

    Args:
        run_history: A ``RunHistoryResponse``, as a message or as bytes.
    """
    if isinstance(run_history, (bytes, memoryview)):
        return run_history
    data: bytes = run_history.SerializeToString()
    return data


def end_scan(service: HistoryService, request_id: int) -> None:
    """Makes the service free a scan's resources. A closed connection is not an error.

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
    scan: object, lock: RequestLock, cleanup: Callable[[Any, int], object], service: HistoryService, request_id: int
) -> None:
    """Frees a scan's resources in the service once the scan is collected, without blocking garbage collection.

    Args:
        scan: The scan.
        lock: The lock of the scan's requests.
        cleanup: The function to call with service and number, such as `end_scan`. It must not refer to the scan.
        service: The service.
        request_id: The scan's number.
    """
    call_when_collected(scan, lock.call, cleanup, service, request_id)


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
    """Sends a request. Until wandb 0.25.0, the service was the ``Api``, with a private method for it."""
    send = getattr(service, "send_api_request", None)
    return (service._send_api_request if send is None else send)(request)


def _request(service: HistoryService, messages: Any, request: Any, expected: str) -> Any:
    """Sends a history request and returns the expected member of the answer; `messages` are those of the service."""
    response = _send(service, messages.ApiRequest(read_run_history_request=request))
    if response.WhichOneof("response") == "api_error_response":
        raise HistoryRequestError(f"the service answered with an error: {response.api_error_response.message}")
    answer = response.read_run_history_response
    if not answer.HasField(expected):
        found = answer.WhichOneof("response") or "nothing"
        raise ResponseShapeError(f"the service answered with `{found}` instead of `{expected}`")
    return getattr(answer, expected)
