"""What a notebook shows of many runs: the first of them, with config and last values; and of their table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from histscan.common.quiet import quiet
from histscan.errors import HistoryError
from histscan.notebooks.markup import block, note, table
from histscan.notebooks.values import as_number, flat_items, short
from histscan.runs.run_html import LARGEST_PREVIEW, megabytes

if TYPE_CHECKING:
    from histscan.many.run_table import RunTable
    from histscan.many.runs import Runs
    from histscan.runs.contracts import Run

__all__ = ["runs_html", "table_html"]

_MOST_RUNS = 10
_MOST_COLUMNS = 4
_MOST_TABLE_ROWS, _MOST_TABLE_COLUMNS = 20, 12


def runs_html(runs: Runs[Any]) -> str:
    """Describes the first of some runs.

    Args:
        runs: The runs.

    Returns:
        HTML, in which everything from the runs is escaped. Errors are shown as text.
    """
    title = f"{type(runs).__name__} of {runs.location}"
    try:
        with quiet():
            shown = list(islice(runs, _MOST_RUNS))
            total = len(runs)
            # The files of all runs together must be small.
            sizes = [run.preview_bytes for run in shown]
            described = [sum(sizes[: place + 1]) <= LARGEST_PREVIEW for place in range(len(shown))]
            runs.load([run for run, is_described in zip(shown, described, strict=True) if is_described])
            cells = _cells([run for run, is_described in zip(shown, described, strict=True) if is_described])
            names = list(dict.fromkeys(name for row in cells.values() for name in row))
            lines = [
                [
                    run.id,
                    *(
                        [run.name, run.state, *(cells[run.id].get(name, "") for name in names)]
                        if run.id in cells
                        else ["", f"{megabytes(size)}, not read", *("" for _ in names)]
                    ),
                ]
                for run, size in zip(shown, sizes, strict=True)
            ]
    except (HistoryError, OSError) as error:
        return block(title, note(f"{type(error).__name__}: {error}"))
    count = f"{total:,} run{'' if total == 1 else 's'}"
    read = f"{count}; shown: the first {len(shown)}" if total > len(shown) else count
    return block(title, table(("id", "name", "state", *names), lines), note(f"{read}. All of them: runs.table()"))


def _cells(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """Chooses what to show of configs and summaries: entries that differ between the runs, and numbers."""
    configs = [dict(flat_items(run.config, "config.")) for run in runs]
    summaries = [dict(flat_items(run.summary, "summary.")) for run in runs]
    entries = list(dict.fromkeys(name for config in configs for name in config))
    differing = [name for name in entries if len({short(config.get(name)) for config in configs}) > 1]
    last = list(
        dict.fromkeys(
            name
            for summary in summaries
            for name, value in summary.items()
            if not name.startswith("summary._") and as_number(value) is not None
        )
    )
    chosen = [*(differing or entries)[:_MOST_COLUMNS], *last[:_MOST_COLUMNS]]
    return {
        run.id: {name: short(found[name]) if name in found else "" for name in chosen}
        for run, config, summary in zip(runs, configs, summaries, strict=True)
        for found in [{**config, **summary}]
    }


def table_html(found: RunTable) -> str:
    """Shows the first rows and columns of a table of runs, which is read already.

    Args:
        found: The table.
    """
    everything = found.to_arrow()
    # Columns without a value say nothing.
    filled = [name for name in found.columns if everything[name].null_count < len(found)]
    columns = filled[:_MOST_TABLE_COLUMNS]
    rows = everything.select(columns).slice(0, _MOST_TABLE_ROWS).to_pylist()
    lines = [["" if value is None else short(value) for value in row.values()] for row in rows]
    size = f"{len(found):,} runs, {len(found.columns):,} columns; shown: {len(rows)} runs, {len(columns)} columns"
    advice = note(f"{size}. All: to_pandas(), to_polars(), to_arrow()")
    return block(type(found).__name__, table(columns, lines), advice)
