"""What a notebook shows of a run: its description, its config, and the last values of its keys with small curves.

It reads what takes well under a second, and says what that was: files of a few megabytes, or for a run on a server one
request for a hundred sampled rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan.common.quiet import quiet
from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.notebooks.markup import Markup, block, note, pairs, table
from histscan.notebooks.sparkline import sparkline
from histscan.notebooks.values import as_number, flat_items, short
from histscan.runs.run_facts import path_text

if TYPE_CHECKING:
    from histscan.runs.contracts import Run

__all__ = ["LARGEST_PREVIEW", "Preview", "is_small", "megabytes", "run_html"]

LARGEST_PREVIEW = 8_000_000
"""The largest files that are read for a notebook, in bytes."""

_MOST_KEYS = 12
_MOST_ENTRIES = 16
_PRIVATE = frozenset({STEP, "_runtime", "_timestamp", "_wandb"})


class Preview(NamedTuple):
    """Rows of a run that take little time to read.

    Attributes:
        rows: The rows, in order; read while they are iterated over.
        source: What they are, for people.
        is_sample: True if rows are missing between them.
    """

    rows: Iterable[Mapping[str, Any]]
    source: str
    is_sample: bool = False


def run_html(run: Run) -> str:
    """Describes a run.

    Args:
        run: The run.

    Returns:
        HTML, in which everything from the run is escaped. Errors are shown as text.
    """
    title = f"{type(run).__name__} {path_text(run)}"
    if not is_small(run):
        size = megabytes(run.history_bytes)
        return block(title, note(f"{run.location}, {size}: too large to be read for this view"), *_advice())
    try:
        with quiet():
            described = [pairs(_description(run)), *_entries("config", run.config)]
            shown = [*_history(run)]
    except (HistoryError, OSError) as error:
        return block(title, note(run.location), note(f"{type(error).__name__}: {error}"))
    return block(title, *described, *shown)


def is_small(run: Run) -> bool:
    """Returns True if a notebook may read the preview of a run.

    Args:
        run: The run.
    """
    return run.preview_bytes <= LARGEST_PREVIEW


def megabytes(size: int) -> str:
    """Writes a size.

    Args:
        size: The size in bytes.
    """
    return f"{size / 1e6:,.1f} MB"


def _advice() -> Iterator[Markup]:
    yield note("run.config and run.summary read the files once; run.plot(…) and run.to_pandas([…]) read some keys")


def _description(run: Run) -> Iterator[tuple[str, str]]:
    yield "name", run.name
    yield "state", run.state or "unknown"
    if run.created_at:
        yield "created", run.created_at
    if run.duration is not None:
        yield "duration", f"{run.duration:,.1f} s"
    for name, value in (("tags", ", ".join(run.tags)), ("group", run.group), ("notes", run.notes)):
        if value:
            yield name, value
    yield "read from", run.location


def _entries(name: str, values: Mapping[str, Any]) -> Iterator[Markup]:
    """Shows the first entries of a config."""
    found = list(islice(flat_items(values), _MOST_ENTRIES + 1))
    if found:
        yield Markup(f"<b>{name}</b>")
        yield pairs((key, short(value)) for key, value in found[:_MOST_ENTRIES])
        if len(found) > _MOST_ENTRIES:
            yield note(f"and more: run.{name}")


def _history(run: Run) -> Iterator[Markup]:
    """Shows keys, last values and curves."""
    preview = run.preview()
    curves: dict[str, list[tuple[float, float]]] = {}
    counts: dict[str, int] = {}
    last: dict[str, Any] = {}
    rows = 0
    for row in preview.rows:
        rows += 1
        step = as_number(row.get(STEP))
        for key, value in flat_items(row):
            if key in _PRIVATE or value is None:
                continue
            counts[key] = counts.get(key, 0) + 1
            last[key] = value
            number = as_number(value)
            if number is not None and step is not None:
                curves.setdefault(key, []).append((step, number))
    for key, value in flat_items(run.summary):
        if key.partition(".")[0] in _PRIVATE:
            continue
        counts.setdefault(key, 0)
        # The last row with this key may not be among sampled ones.
        if preview.is_sample or key not in last:
            last[key] = value
    if not counts:
        yield note(f"no history: {preview.source}")
        return
    # Numbers first: they have curves.
    keys = sorted(counts, key=lambda key: key not in curves)
    yield Markup("<b>history</b>")
    yield table(
        ("key", "last", "curve"),
        ((key, short(last[key]), sparkline(key, sorted(curves.get(key, ())))) for key in keys[:_MOST_KEYS]),
    )
    more = f"; {len(keys) - _MOST_KEYS:,} more keys: run.keys()" if len(keys) > _MOST_KEYS else ""
    yield note(f"{rows:,} row{'' if rows == 1 else 's'}: {preview.source}{more}")
