"""Starts the scan of a run on a server: by pages, or from the files that the server has exported."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from histscan.api.names import RunName
from histscan.api.scan_start import ScanStart, plan_first_page, start_scan
from histscan.api.scans import scan_pages_of
from histscan.columns.scan import Scan
from histscan.common.keys import check_keys
from histscan.paging.options import PIPELINED_GRAPHQL, PagingOptions
from histscan.sources.source_option import SourceOption, check_source

if TYPE_CHECKING:
    from histscan.api.history_facts import HistoryFacts
    from histscan.api.run import Run

__all__ = ["scan_run"]


def scan_run(
    run: Run,
    facts: HistoryFacts | None,
    keys: list[str] | None = None,
    page_size: int = 1000,
    min_step: int | None = 0,
    max_step: int | None = None,
    *,
    any_key: bool = False,
    source: SourceOption = "auto",
    options: PagingOptions = PIPELINED_GRAPHQL,
) -> Scan:
    """Scans a history as `histscan.Run.scan_history` does.

    Args:
        run: The run.
        facts: What the server has just said of its history; None requests it.
        keys: As for `histscan.Run.scan_history`.
        page_size: As for `histscan.Run.scan_history`.
        min_step: As for `histscan.Run.scan_history`.
        max_step: As for `histscan.Run.scan_history`.
        any_key: As for `histscan.Run.scan_history`.
        source: As for `histscan.Run.scan_history`.
        options: The paging options.

    Returns:
        The scan.

    Raises:
        HistoryRequestError: The request for the last step failed.
        RunNotFoundError: The run does not exist any more.
        ValueError: An argument is out of its range.
    """
    wanted = check_keys(keys) or None
    check_source(source)
    if any_key and not wanted:
        raise ValueError("any_key=True needs `keys`: pass the keys of which rows must have at least one")
    first = 0 if min_step is None else min_step
    start = (
        _start(run, None if any_key else wanted, page_size, first, max_step, source, options)
        if facts is None
        else ScanStart(facts.last_step, None)
    )
    stop_step = start.last_step + 1
    if max_step is not None:
        stop_step = min(stop_step, max_step)
    fits_few_pages = source == "auto" and start.fits_few_pages(first, stop_step, page_size)
    if source == "pages" or any_key or fits_few_pages:
        return scan_pages_of(run, wanted, any_key, page_size, options, start.first_page, first, stop_step)
    from histscan.api.exported import ExportedScan, fetch_exported

    name = RunName(run.entity, run.project, run.id)
    exports = None if facts is None else facts.exports
    # ExportedScan shows the progress of files and pages together.
    of_rest = replace(options, progress=False)
    return ExportedScan(
        partial(fetch_exported, run.client, name, is_optional=source == "auto", answer=exports),
        partial(scan_pages_of, run, wanted, any_key, page_size, of_rest, start.first_page),
        name,
        keys=wanted,
        min_step=first,
        stop_step=stop_step,
        progress=options.progress,
    )


def _start(
    run: Run,
    keys: list[str] | None,
    page_size: int,
    first: int,
    max_step: int | None,
    source: SourceOption,
    options: PagingOptions,
) -> ScanStart:
    """Requests the last step, and with it the first page if that may be the whole history."""
    seen_stop = run.listed.seen_stop
    if max_step is not None and seen_stop is not None and max_step <= seen_stop:
        return ScanStart(seen_stop - 1, None)
    row_count = None if source == "parquet" or options.deadline is not None else run.listed.row_count
    # The row count of a running run may be outdated.
    may_widen = options.window != "fixed" and run.listed.answer.get("state") != "running"
    first_page = plan_first_page(first, max_step, page_size, row_count, may_widen=may_widen)
    return start_scan(run.client, RunName(run.entity, run.project, run.id), keys, first_page, page_size)
