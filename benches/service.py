"""Scans through a wandb service, with the service in this process."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import wandb
from wandb.apis.public.history import BetaHistoryScan as WandbBetaHistoryScan
from wandb.apis.public.service_api import ServiceApi
from wandb.proto import wandb_api_pb2

import histscan
from benches.case import Case, Contestant, Scale
from benches.clock import CLOCK
from benches.data import RUN, Pages, Row, encoded, mixed_rows, plain_rows, service_page, shuffled
from histscan import proto

__all__ = ["SERVICE_CASES", "WANDB_SCAN", "plain_answers", "scan_raw_service", "scan_service", "service_answer"]


class _MemoryService(ServiceApi):  # type: ignore[misc]
    """wandb's service with responses from memory. Parses each page again, as its client does, with the clock halted."""

    def __init__(self, answers: Pages) -> None:
        self._answers = answers

    def send_api_request(self, request: Any, timeout: float | None = None) -> Any:
        """Returns the response to one request."""
        asked = request.read_run_history_request
        if not asked.HasField("scan_run_history"):
            return _SCAN_STARTED
        answer = self._answers.pages[asked.scan_run_history.min_step // self._answers.page_rows]
        with CLOCK.halted():
            return wandb_api_pb2.ApiResponse.FromString(answer)


class _RawService:
    """A service whose responses leave the page as bytes, without copying them."""

    def __init__(self, answers: Pages) -> None:
        self._answers = answers

    def send_api_request(self, request: Any) -> Any:
        """Returns the response to one request."""
        asked = request.read_run_history_request
        if not asked.HasField("scan_run_history"):
            return _RAW_SCAN_STARTED
        answer = self._answers.pages[asked.scan_run_history.min_step // self._answers.page_rows]
        return proto.read_response(answer)


_RAW_SCAN_STARTED = proto.RawApiResponse(
    read_run_history_response=proto.RawReadRunHistoryResponse(
        scan_run_history_init=proto.ScanRunHistoryInitResponse(request_id=1)
    )
)

_SCAN_STARTED = wandb_api_pb2.ApiResponse(
    read_run_history_response=wandb_api_pb2.ReadRunHistoryResponse(
        scan_run_history_init=wandb_api_pb2.ScanRunHistoryInitResponse(request_id=1)
    )
)


def service_answer(rows: Iterable[Row], *, ensure_ascii: bool = False) -> bytes:
    """Encodes a page in the service's envelope."""
    page = wandb_api_pb2.RunHistoryResponse.FromString(service_page(rows, ensure_ascii=ensure_ascii))
    history = wandb_api_pb2.ReadRunHistoryResponse(run_history=page)
    answer: bytes = wandb_api_pb2.ApiResponse(read_run_history_response=history).SerializeToString()
    return answer


def scan_service(scan_class: Any, answers: Pages) -> Any:
    """Returns a scan of one of the classes through the service."""
    return scan_class(_MemoryService(answers), RUN, 0, answers.row_count, page_size=answers.page_rows)


def scan_raw_service(answers: Pages) -> histscan.BetaHistoryScan:
    """Returns a scan through a service that returns pages as bytes."""
    return histscan.BetaHistoryScan(_RawService(answers), RUN, 0, answers.row_count, page_size=answers.page_rows)


def plain_answers(scale: Scale) -> Pages:
    """Makes the responses of a service with plain rows."""
    return encoded(scale, plain_rows, service_answer)


def _plain_shuffled(scale: Scale) -> Pages:
    return encoded(scale, lambda steps: shuffled(plain_rows(steps)), service_answer)


def _mixed(scale: Scale) -> Pages:
    return encoded(scale, mixed_rows, service_answer)


WANDB_SCAN = partial(scan_service, WandbBetaHistoryScan)
"""Scans such responses with wandb's own class."""

_PEER = Contestant(f"wandb {wandb.__version__}", WANDB_SCAN)
_OURS = Contestant("histscan", partial(scan_service, histscan.BetaHistoryScan))

SERVICE_CASES: tuple[Case[Pages], ...] = (
    Case("service", "BetaHistoryScan, keys in one order", plain_answers, _PEER, _OURS, floor=20.0, rounds=9),
    Case(
        "service-shuffled",
        "BetaHistoryScan, keys in random order",
        _plain_shuffled,
        _PEER,
        _OURS,
        floor=15.0,
        rounds=9,
    ),
    Case("service-mixed", "BetaHistoryScan, NaN, texts, nested, null", _mixed, _PEER, _OURS, floor=12.0, rounds=9),
)
"""`BetaHistoryScan` against wandb's own class, measured from the parsed response."""
