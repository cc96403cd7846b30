"""Scans through GraphQL, with clients that hold the responses in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import wandb
from wandb.apis.public.api import RetryingClient
from wandb.apis.public.history import HistoryScan as WandbHistoryScan

import histscan
from benches.case import Case, Contestant, Scale
from benches.clock import CLOCK
from benches.data import RUN, Pages, encoded, history_body, plain_rows, sampled_body

__all__ = ["GRAPHQL_CASES", "BodyClient", "scan_history", "scan_parsed"]


class _ParsingClient:
    """The object that wandb's client wraps. Parses each response again, with the clock halted."""

    def __init__(self, bodies: Pages) -> None:
        self._bodies = bodies

    def execute(self, document: Any, variable_values: dict[str, Any]) -> Any:
        """Returns the parsed data of one response."""
        body = self._bodies.pages[variable_values["minStep"] // self._bodies.page_rows]
        with CLOCK.halted():
            return json.loads(body)["data"]


class BodyClient(histscan.Client):
    """histscan's client with response bodies from memory: no network is measured."""

    def __init__(self, bodies: Pages) -> None:
        super().__init__("http://localhost", "unused")
        self._bodies = iter(bodies.pages)

    def execute_raw(
        self, document: Any, variable_values: dict[str, Any] | None = None, *, is_whole: Any = None
    ) -> bytes:
        """Returns the body of the next page; requests come in the order of the pages."""
        return next(self._bodies)


def scan_parsed(scan_class: Any, bodies: Pages) -> Any:
    """Returns a scan of one of the classes through wandb's client."""
    client = RetryingClient(_ParsingClient(bodies))
    return scan_class(client, RUN, 0, bodies.row_count, page_size=bodies.page_rows)


def scan_history(bodies: Pages) -> histscan.HistoryScan:
    """Returns a scan through histscan's client."""
    return histscan.HistoryScan(BodyClient(bodies), RUN, 0, bodies.row_count, page_size=bodies.page_rows)


def _scan_sampled(bodies: Pages) -> Iterator[Any]:
    keys = list(next(iter(plain_rows([0]))))
    scan = histscan.SampledHistoryScan(BodyClient(bodies), RUN, keys, 0, bodies.row_count, page_size=bodies.page_rows)
    return iter(scan)


def _load_history(bodies: Pages) -> Iterator[Any]:
    pages = (json.loads(body)["data"]["project"]["run"]["history"] for body in bodies.pages)
    return map(json.loads, chain.from_iterable(pages))


def _load_sampled(bodies: Pages) -> Iterator[Any]:
    return chain.from_iterable(json.loads(body)["data"]["project"]["run"]["sampledHistory"][0] for body in bodies.pages)


def _history(scale: Scale) -> Pages:
    return encoded(scale, plain_rows, history_body)


def _sampled(scale: Scale) -> Pages:
    return encoded(scale, plain_rows, sampled_body)


GRAPHQL_CASES: tuple[Case[Pages], ...] = (
    Case(
        "client-parsed",
        "HistoryScan, wandb's client",
        _history,
        Contestant(f"wandb {wandb.__version__}", partial(scan_parsed, WandbHistoryScan)),
        Contestant("histscan", partial(scan_parsed, histscan.HistoryScan)),
        floor=4.5,
        rounds=15,
    ),
    Case(
        "client-body",
        "HistoryScan, histscan.Client",
        _history,
        Contestant("json.loads: body, rows", _load_history),
        Contestant("histscan", scan_history),
        floor=5.0,
        rounds=15,
    ),
    Case(
        "sampled-body",
        "SampledHistoryScan, histscan.Client",
        _sampled,
        Contestant("json.loads: body", _load_sampled),
        Contestant("histscan", _scan_sampled),
        floor=None,
        rounds=15,
    ),
)
"""GraphQL scans: measured from the parsed response with wandb's client, and from the body with histscan's."""
