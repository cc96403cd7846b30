"""A history service in memory, which takes and returns the messages of wandb-core, parsed from bytes each time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from histscan import proto

# A row of the service: its step, and its items as pairs of key and JSON text.
ServiceRow = tuple[int, list[tuple[str, str]]]


class FakeService:
    """Answers history requests, of wandb's message classes and of histscan's alike.

    Args:
        rows: The run's rows.
        raw_pages: Whether to answer histscan's requests without parsing the pages.
    """

    def __init__(self, rows: Iterable[ServiceRow] = (), *, raw_pages: bool = False) -> None:
        self.rows = list(rows)
        self.raw_pages = raw_pages
        self.requests: list[bytes] = []

    def send_api_request(self, request: Any, timeout: float | None = None) -> Any:
        """Answers one request with messages of the same family."""
        message = proto.ApiRequest.FromString(request.SerializeToString())
        message.api_id = ""
        self.requests.append(message.SerializeToString(deterministic=True))
        answer = self.answer(message.read_run_history_request)
        return self._reader_for(request)(answer.SerializeToString())

    def answer(self, request: proto.ReadRunHistoryRequest) -> proto.ApiResponse:
        """Makes the answer to a history request."""
        kind = request.WhichOneof("request")
        answer = proto.ReadRunHistoryResponse()
        if kind == "scan_run_history_init":
            answer.scan_run_history_init.request_id = 7
        elif kind == "scan_run_history":
            asked = request.scan_run_history
            answer.run_history.SetInParent()
            for step, items in self.rows:
                if asked.min_step <= step < asked.max_step:
                    answer.run_history.history_rows.add(
                        history_items=[proto.ParquetHistoryItem(key=key, value_json=text) for key, text in items]
                    )
        else:
            assert kind == "scan_run_history_cleanup"
            answer.scan_run_history_cleanup.SetInParent()
        return proto.ApiResponse(read_run_history_response=answer)

    @property
    def windows(self) -> list[tuple[int, int]]:
        """The step windows requested so far."""
        asked = [message.scan_run_history for message in self.history_requests("scan_run_history")]
        return [(window.min_step, window.max_step) for window in asked]

    @property
    def ended_scans(self) -> list[int]:
        """The numbers of the scans whose resources were freed."""
        ended = self.history_requests("scan_run_history_cleanup")
        return [message.scan_run_history_cleanup.request_id for message in ended]

    def history_requests(self, kind: str) -> list[proto.ReadRunHistoryRequest]:
        """The requests of one kind so far."""
        messages = [proto.ApiRequest.FromString(request).read_run_history_request for request in self.requests]
        return [message for message in messages if message.WhichOneof("request") == kind]

    def _reader_for(self, request: Any) -> Callable[[bytes], Any]:
        if request.DESCRIPTOR.file.package == "histscan.proto":
            return proto.read_response if self.raw_pages else proto.ApiResponse.FromString
        from wandb.proto import wandb_api_pb2

        read: Callable[[bytes], Any] = wandb_api_pb2.ApiResponse.FromString
        return read


def service_rows(rows: Iterable[Mapping[str, Any]]) -> list[ServiceRow]:
    """Rows with `_step`, in the form of the service."""
    return [(row["_step"], [(key, json.dumps(value)) for key, value in row.items()]) for row in rows]
