"""A run's data on a server beside its history: system metrics, console output, metadata."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from histscan._core.pages.formats import HistoryPage
from histscan._core.pages.page import Page
from histscan.errors import ResponseShapeError
from histscan.runs.console import ConsoleLine
from histscan.runs.system_metrics import select_rows
from histscan.sources.graphql import request_page
from histscan.sources.run_files import fetch_run_file
from histscan.sources.run_queries import SAMPLED_EVENTS

if TYPE_CHECKING:
    from histscan.api.names import RunName
    from histscan.sources.client import Client

__all__ = ["axes_of", "duration_of", "read_console", "read_events", "read_metadata"]

_OUTPUT_FILE = "output.log"
_METADATA_FILE = "wandb-metadata.json"

# The prefix of a line while its run is active, as wandb-core streams it: stream and time.
_STREAMED_LINE = re.compile(r"(?P<error>ERROR )?(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?) ")

# Field numbers of wandb's `MetricRecord`, which are the keys in the config's entry `_wandb.m`.
_METRIC_NAME, _METRIC_GLOB, _STEP_METRIC, _STEP_METRIC_INDEX = "1", "2", "4", "5"


def read_events(
    client: Client, name: RunName, samples: int, keys: Sequence[str] | None = None
) -> Iterator[Page | list[Any]]:
    """Requests the system metrics of a run.

    Args:
        client: Requests them from the server.
        name: The run.
        samples: The most rows to request.
        keys: Only the rows that have all of these keys, with only these keys; None for all rows with all keys.

    Yields:
        A page of rows, or a list of them.

    Raises:
        HistoryRequestError: There is no answer, or the server has no system metrics.
        RunNotFoundError: The run does not exist any more.
    """
    page = request_page(
        client,
        SAMPLED_EVENTS,
        SAMPLED_EVENTS.document,
        {"entity": name.entity, "project": name.project, "run": name.id, "samples": samples},
        from_body=HistoryPage,
        from_run=_no_page,
        run="/".join(name),
        window="of system metrics",
    )
    yield page if keys is None else select_rows(page.rows(), keys)


def read_console(client: Client, name: RunName) -> Iterator[ConsoleLine]:
    """Reads a run's ``output.log``, line by line.

    Args:
        client: Requests the file from the server.
        name: The run.

    Yields:
        The lines of the file, with their line breaks. Their stream and time are only known if the file has them;
        otherwise the stream is ``"stdout"`` and the time None.

    Raises:
        HistoryRequestError: There is no answer, or the file can't be downloaded.
        RunNotFoundError: The run does not exist any more.
    """
    file = fetch_run_file(client, *name, _OUTPUT_FILE)
    if file is None:
        return
    with file:
        for line in file:
            text = line.decode(errors="replace")
            streamed = _STREAMED_LINE.match(text)
            if streamed is None:
                yield ConsoleLine(text, "stdout", None)
                continue
            try:
                time = datetime.fromisoformat(streamed["time"]).replace(tzinfo=timezone.utc)
            except ValueError:
                yield ConsoleLine(text, "stdout", None)
                continue
            yield ConsoleLine(text[streamed.end() :], "stderr" if streamed["error"] else "stdout", time)


def read_metadata(client: Client, name: RunName) -> dict[str, Any] | None:
    """Reads a run's ``wandb-metadata.json``.

    Args:
        client: Requests the file from the server.
        name: The run.

    Returns:
        The parsed file; None if the run has no such file.

    Raises:
        HistoryRequestError: There is no answer, or the file can't be downloaded.
        ResponseShapeError: The file is not a JSON object.
        RunNotFoundError: The run does not exist any more.
    """
    file = fetch_run_file(client, *name, _METADATA_FILE)
    if file is None:
        return None
    with file:
        try:
            found = json.loads(file.read())
        except (ValueError, RecursionError):
            found = None
    if not isinstance(found, dict):
        raise ResponseShapeError(f"the run's file {_METADATA_FILE} is not a JSON object", run="/".join(name))
    return found


def axes_of(internal: Mapping[str, Any]) -> dict[str, str]:
    """Extracts the x-axes of metrics from wandb's internal entry in a config.

    Args:
        internal: The config's entry ``_wandb``.

    Returns:
        The x-axis of each metric that was defined with one.
    """
    metrics = [metric for metric in _list(internal.get("m")) if isinstance(metric, Mapping)]
    names = [metric.get(_METRIC_NAME) or metric.get(_METRIC_GLOB) for metric in metrics]
    axes = {}
    for name, metric in zip(names, metrics, strict=True):
        place, axis = metric.get(_STEP_METRIC_INDEX), metric.get(_STEP_METRIC)
        if isinstance(place, int) and 1 <= place <= len(names):
            axis = names[place - 1]
        if name and axis:
            axes[str(name)] = str(axis)
    return axes


def duration_of(summary: Mapping[str, Any]) -> float | None:
    """Extracts the duration of a run from its summary.

    Args:
        summary: The summary.

    Returns:
        The duration in seconds; None if the summary does not have it.
    """
    internal = summary.get("_wandb")
    found = [summary.get("_runtime"), internal.get("runtime") if isinstance(internal, Mapping) else None]
    seconds = [float(value) for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
    return max(filter(math.isfinite, seconds), default=None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _no_page(_: object) -> HistoryPage:
    raise TypeError("histscan's client returns raw answers, not parsed ones")
