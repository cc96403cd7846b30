"""A run on a W&B server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from histscan._core.pages.formats import HistoryPage, SampledPage
from histscan._core.pages.page import Page
from histscan.api.history_keys import read_key_kinds, request_key_kinds, request_keys
from histscan.api.listed_run import ListedRun
from histscan.api.names import RunName
from histscan.api.run_scans import scan_run
from histscan.api.run_streams import axes_of, duration_of, read_console, read_events, read_metadata
from histscan.api.scan_start import request_last_step
from histscan.columns.scan import Scan
from histscan.columns.typed_columns import flags_of_kind
from histscan.common.key_info import KeyInfo
from histscan.common.keys import check_keys, in_order
from histscan.common.steps import STEP
from histscan.paging.options import PIPELINED_GRAPHQL
from histscan.runs import contracts
from histscan.runs.console import terminal_lines
from histscan.runs.run_html import Preview
from histscan.runs.system_metrics import SystemMetricsScan
from histscan.sources.graphql import Operation, request_page
from histscan.sources.run_queries import DESCRIBE_RUN, SAMPLED_KEYS, SAMPLED_ROWS, parse_object, request_run
from histscan.sources.servers import run_url
from histscan.sources.source_option import SourceOption

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from histscan.paging.options import PagingArguments
    from histscan.runs.console import ConsoleLine
    from histscan.sources.client import Client

__all__ = ["Run", "SourceOption", "Summary"]

PREVIEW_SAMPLES = 100
"""The rows that a notebook requests of a run."""

# wandb's own entries in a config.
_INTERNAL_KEYS = frozenset({"_wandb", "wandb_version"})


class Summary(dict[str, Any]):
    """A run's summary: a dict, with the private attribute of wandb's summaries that many scripts use."""

    @property
    def _json_dict(self) -> dict[str, Any]:
        return self


_FINAL_STATES = ("finished", "failed", "killed")
"""States of runs whose histories do not grow any more."""


class Run(contracts.Run):
    """A run on a W&B server, read-only, with the names of ``wandb.Api().run()``.

    Created by `histscan.Api`, or by ``histscan.open("entity/project/run_id")``. The description of the run is
    requested once; `refresh` requests it again. The history and its last step are requested each time. Threads and
    forked processes may share a run. A pickle of it has the description, and the API key only on request (see
    `histscan.Api`).

    Args:
        client: Sends requests to the server.
        name: The names of the run.
        attributes: The description from the server; None if it was not requested yet.
    """

    def __init__(self, client: Client, name: RunName, attributes: Mapping[str, Any] | None = None) -> None:
        self.client = client
        self._name = name
        self.listed = ListedRun(attributes or {})
        # Each with the answer that it was read from.
        self._config: tuple[object, dict[str, Any]] | None = None
        self._summary: tuple[object, Summary] | None = None
        self._metadata: dict[str, Any] | None = None

    def load(self, force: bool = False) -> None:
        """Requests the description of the run, unless it is known.

        Args:
            force: Request it in any case.

        Raises:
            HistoryRequestError: The request failed.
            RunNotFoundError: The server has no such run, or the API key has no access to it.
        """
        if force or not self.is_loaded:
            answer = dict(request_run(self.client, DESCRIBE_RUN, *self._name))
            keys = answer.pop("historyKeys", None)
            self.listed.describe(answer)
            if keys is not None and self.state in _FINAL_STATES:
                self.listed.set_keys({"historyKeys": keys})
            self._metadata = None

    @property
    def is_loaded(self) -> bool:
        """True if the description of the run is known."""
        return self.listed.is_described

    def refresh(self) -> None:
        """Requests the description of the run again.

        Raises:
            HistoryRequestError: The request failed.
            RunNotFoundError: The run does not exist any more.
        """
        self.load(force=True)

    @property
    def row_count(self) -> int | None:
        """The number of rows of the history when the run was listed; None if unknown."""
        return self.listed.row_count

    def _attribute(self, name: str) -> Any:
        if name not in self.listed.answer:
            self.load()
        return self.listed.answer.get(name)

    @property
    def entity(self) -> str:
        """The user or team that the run belongs to."""
        return self._name.entity

    @property
    def project(self) -> str:
        """The project's name."""
        return self._name.project

    @property
    def id(self) -> str:
        """The run's id."""
        return self._name.id

    @property
    def url(self) -> str:
        """The address of the run's page, for a browser."""
        return run_url(self.client.base_url, self._name)

    @property
    def name(self) -> str:
        """The run's display name; its id if it has none."""
        return str(self._attribute("displayName") or self.id)

    @property
    def state(self) -> str:
        """The run's state according to the server: ``"running"``, ``"finished"``, ``"crashed"`` or another word."""
        return str(self._attribute("state") or "")

    @property
    def created_at(self) -> str:
        """When the run was started, in UTC: ``"2026-01-31T12:00:00Z"``."""
        return str(self._attribute("createdAt") or "")

    @property
    def heartbeat_at(self) -> str:
        """When the server last heard of the run; empty if it never did."""
        return str(self._attribute("heartbeatAt") or "")

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return [str(tag) for tag in self._attribute("tags") or ()]

    @property
    def group(self) -> str:
        """The run's group; empty if it has none."""
        return str(self._attribute("group") or "")

    @property
    def job_type(self) -> str:
        """The run's job type; empty if it has none."""
        return str(self._attribute("jobType") or "")

    @property
    def sweep_id(self) -> str:
        """The id of the sweep that started the run; empty without one."""
        return str(self._attribute("sweepName") or "")

    @property
    def notes(self) -> str:
        """The run's notes; empty if it has none."""
        return str(self._attribute("notes") or "")

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration, without wandb's own entries.

        Raises:
            ResponseShapeError: The response has another shape.
        """
        cached = self._config
        entries = self._attribute("config")
        if cached is None or cached[0] is not entries:
            # Each value is stored with a description.
            config = {
                key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
                for key, entry in parse_object(entries, "config").items()
                if key not in _INTERNAL_KEYS
            }
            cached = self._config = (entries, config)
        return cached[1]

    def _config_entries(self) -> dict[str, Any]:
        return parse_object(self._attribute("config"), "config")

    @property
    def _internal(self) -> Mapping[str, Any]:
        """The entry in the config that belongs to wandb."""
        entry = self._config_entries().get("_wandb")
        value = entry.get("value") if isinstance(entry, dict) else None
        return value if isinstance(value, dict) else {}

    @property
    def exit_code(self) -> int | None:
        """0 if the run is finished; otherwise None, because the server only has the `state`."""
        return 0 if self.state == "finished" else None

    @property
    def wandb_version(self) -> str:
        """The release of wandb that recorded the run; empty if unknown."""
        return str(self._internal.get("cli_version") or "")

    @property
    def duration(self) -> float | None:
        """The run's duration in seconds, up to its last row if it has not ended, from the summary; None if unknown."""
        return duration_of(self.summary)

    @property
    def axes(self) -> dict[str, str]:
        """The x-axis of each metric that ``define_metric`` gave one."""
        return axes_of(self._internal)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The contents of ``wandb-metadata.json``; None without that file. It is requested once.

        Raises:
            HistoryRequestError: The request failed.
            ResponseShapeError: The file is not a JSON object.
        """
        if self._metadata is None:
            self._metadata = read_metadata(self.client, self._name)
        return self._metadata

    @property
    def summary(self) -> Summary:
        """The run's summary.

        Raises:
            ResponseShapeError: The response has another shape.
        """
        cached = self._summary
        values = self._attribute("summaryMetrics")
        if cached is None or cached[0] is not values:
            cached = self._summary = (values, Summary(parse_object(values, "summaryMetrics")))
        return cached[1]

    @property
    def has_step_index(self) -> bool:
        """True: the server is asked for ranges of steps."""
        return True

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - wandb's name
        """The highest step of the history so far; -1 without rows. Each access sends a request.

        Raises:
            HistoryRequestError: The request failed.
            RunNotFoundError: The run does not exist any more.
        """
        return request_last_step(self.client, self._name)

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = 0,
        max_step: int | None = None,
        any_key: bool = False,
        *,
        source: SourceOption = "auto",
        **paging: Unpack[PagingArguments],
    ) -> Scan:
        """Scans the history, row by row, in the order of steps; pages are fetched ahead.

        Args:
            keys: Only rows that have all of these keys, and only these keys, as selected by the server; nested keys are
                dotted (``"validation.loss"``). None or an empty list for all rows with all keys.
            page_size: Steps per request; adaptive windows request more if rows are few.
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the present end of the history.
            any_key: True for rows that have any of the `keys`, not all of them. Whole rows are fetched then.
            source: ``"auto"`` reads pages if the history fits one or two of them. Otherwise it reads the Parquet files
                that the server has exported the history to, which is faster, and pages for the rows that are not in
                files; if the files can't be fetched, it warns and reads pages. Rows from files are those of
                `histscan.ParquetRun`: whole numbers in float columns are floats, and keys without a value are absent.
                ``"pages"`` always reads pages, with rows as they were logged; it is faster for a few rows.
                ``"parquet"`` reads files even for few rows, and raises an error if they can't be fetched. With
                `any_key`, pages are always read.
            **paging: How pages are fetched from the server; see `histscan.paging.options.PagingArguments`. Defaults:
                ``prefetch`` is 8, ``window`` is ``"adaptive"``, and there is no ``deadline`` and no ``progress``.

        Returns:
            An iterator over dicts, which ``iter()`` restarts. It has the frame methods, too.

        Raises:
            HistoryRequestError: The request for the last step failed; or, while iterating, that for a page or a file.
            ImportError: While iterating: `source` is ``"parquet"``, and pyarrow is not installed.
            RunNotFoundError: The run does not exist any more.

        Warns:
            ExportWarning: While iterating: exported files can't be fetched, so pages are read.
        """
        options = PIPELINED_GRAPHQL.replace(**paging)
        return scan_run(
            self, None, keys, page_size, min_step, max_step, any_key=any_key, source=source, options=options
        )

    def scan_steps(self, min_step: int, max_step: int | None, source: SourceOption | None) -> Scan:
        """See `histscan.runs.plots.Plots.scan_steps`."""
        return self.scan_history(min_step=min_step, max_step=max_step, source=source or "auto")

    def system_metrics(self, keys: list[str] | None = None, *, samples: int = 100_000) -> SystemMetricsScan:
        """Scans the metrics of the machine, which wandb records every few seconds.

        Args:
            keys: Only rows that have all of these keys (``"system.cpu"``), and only these keys. None for all.
            samples: The largest number of rows to request; if there are more, the server samples them.

        Returns:
            An iterator over dicts, which ``iter()`` restarts. It has the frame methods, too.

        Raises:
            HistoryRequestError: While iterating: the request failed.
        """
        wanted = list(dict.fromkeys(check_keys(keys) or ())) or None
        return SystemMetricsScan(
            partial(read_events, self.client, self._name, samples, wanted), wanted, "/".join(self._name)
        )

    def console(self, *, raw: bool = False) -> Iterator[ConsoleLine]:
        """Reads what the program printed, from the run's file ``output.log``.

        Args:
            raw: Yield the lines unchanged, with line breaks and colours.

        Yields:
            Lines. Stream and time are only known while the run is running. In the file of a run that has ended they are
            missing: all lines are of ``"stdout"``, without a time.

        Raises:
            HistoryRequestError: A request failed, or the file can't be downloaded.
        """
        lines = read_console(self.client, self._name)
        return lines if raw else terminal_lines(lines)

    def _find_keys(self) -> list[KeyInfo]:
        """Requests the keys; reads no rows. A count is None if the server does not count the values."""
        found = {key: (kind, count) for key, kind, count in request_keys(self.client, self._name)}
        return [KeyInfo(key, *found[key]) for key in in_order(found)]

    def key_type_flags(self) -> dict[str, int] | None:
        """Requests the types of the keys. Reads no rows; see `histscan.runs.contracts.Run.key_type_flags`.

        Returns:
            The type flags of each key, the step first. Numbers count as floats, except for the step. None if the server
            does not report types.

        Raises:
            HistoryRequestError: The request failed.
            RunNotFoundError: The run does not exist any more.
        """
        answer = self.listed.take_keys()
        found = request_key_kinds(self.client, self._name) if answer is None else read_key_kinds(answer)
        self.listed.see_step(found.last_step)
        self.listed.key_count = len(found.kinds)
        kinds = {**found.kinds, STEP: ["integer"]}
        if not all(kinds.values()):
            return None
        return {key: flags_of_kind(kinds[key]) for key in in_order(set(kinds))}

    @property
    def seen_stop_step(self) -> int | None:
        """See `histscan.runs.contracts.Run.seen_stop_step`."""
        return self.listed.seen_stop

    @property
    def history_bytes(self) -> int:
        """An estimate of the bytes of the server's answers, if the number of rows is known; sends no request."""
        return self.listed.history_bytes

    def sample_history(self, samples: int, keys: list[str] | None) -> list[dict[str, Any]]:
        """Requests rows that are spread evenly over the history, as chosen by the server.

        Args:
            samples: The largest number of rows.
            keys: As for `scan_history`.

        Returns:
            The rows.

        Raises:
            HistoryRequestError: The request failed.
            HistoryDecodeError: A row can't be read.
            RunNotFoundError: The run does not exist any more.
        """
        if keys:
            return self._request_rows(SAMPLED_KEYS, SampledPage, spec=json.dumps({"keys": keys, "samples": samples}))
        return self._request_rows(SAMPLED_ROWS, HistoryPage, samples=samples)

    def preview(self) -> Preview:
        """See `histscan.runs.contracts.Run.preview`: one request for sampled rows."""
        return Preview(
            self.sample_history(PREVIEW_SAMPLES, None), "sampled by the server, in one request", is_sample=True
        )

    @property
    def preview_bytes(self) -> int:
        """See `histscan.runs.contracts.Run.preview_bytes`."""
        return 0

    def sample_system_metrics(self, samples: int) -> list[dict[str, Any]]:
        """Requests rows of the system metrics.

        Args:
            samples: The largest number of rows.

        Returns:
            The rows.
        """
        return list(self.system_metrics(samples=samples))

    def _request_rows(
        self, operation: Operation, page_class: Callable[[bytes], Page], **variables: Any
    ) -> list[dict[str, Any]]:
        def read(body: bytes) -> list[dict[str, Any]]:
            return page_class(body).rows()

        return request_page(
            self.client,
            operation,
            operation.document,
            {"entity": self.entity, "project": self.project, "run": self.id, **variables},
            from_body=read,
            from_run=lambda _: [],
            run="/".join(self._name),
            window="of samples",
        )

    @property
    def location(self) -> str:
        """The address of the server, for ``repr()``."""
        return f"on {self.client.base_url}"
