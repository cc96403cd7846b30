"""Statistics over groups of runs: the mean over seeds, for each learning rate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from histscan.common.keys import ABSENT, find_value
from histscan.many.frames import RunRows, read_rows
from histscan.many.options import FrameOptions
from histscan.many.schemas import flat_table
from histscan.series.statistics import aggregate_rows

if TYPE_CHECKING:
    import pyarrow

    from histscan.many.runs import Runs
    from histscan.runs.contracts import Run

__all__ = ["aggregate_runs"]

_PREFIX = "config."


def aggregate_runs(
    runs: Runs[Any],
    options: FrameOptions,
    *,
    by: Sequence[str] | None,
    over: str | None,
    statistics: Sequence[str],
    method: str,
    buckets: int | None,
) -> tuple[pyarrow.Table, RunRows]:
    """Computes statistics of keys over groups of runs.

    Args:
        runs: The runs.
        options: What to read.
        by: As for `Runs.aggregate`.
        over: As for `Runs.aggregate`.
        statistics: As for `Runs.aggregate`.
        method: As for `Runs.aggregate`.
        buckets: As for `Runs.aggregate`.

    Returns:
        The statistics, and the rows that they were computed of.

    Raises:
        HistoryError: A run can't be read.
        ValueError: An argument is out of its range, or a key is not a column of numbers.
    """
    import pyarrow

    found = read_rows(runs, options)
    keys = [name for name in found.table.schema.names if name != options.x]
    for name in keys:
        if pyarrow.types.is_null(found.table.schema.field(name).type):
            raise ValueError(f"no run has a value of {name!r}: runs.keys() lists the keys")
    runs.load(found.runs)
    configs = [run.config for run in found.runs]
    entries = _entries(configs, by, over)
    described = [_values(config, entries) for config in configs]
    groups: dict[str, int] = {}
    group_of = [groups.setdefault(json.dumps(values, default=repr), len(groups)) for values in described]
    rows, unit_groups = _units(found, group_of, _over_values(found.runs, over))
    table = aggregate_rows(
        rows.table,
        rows.offsets,
        unit_groups,
        keys,
        x=options.x,
        statistics=statistics,
        method=method,
        buckets=buckets,
    )
    first = {group: place for place, group in reversed(list(enumerate(group_of)))}
    names = [f"{_PREFIX}{entry}" for entry in entries]
    values = [dict(zip(names, described[first[group]], strict=True)) for group in range(len(groups))]
    labels = flat_table(
        [{name: value for name, value in row.items() if value is not None} for row in values], names, flatten=False
    )
    places = table.column("group")
    fields = [*labels.schema, pyarrow.field("runs", pyarrow.int64())]
    counts = pyarrow.array([group_of.count(group) for group in range(len(groups))], pyarrow.int64())
    columns = [*(column.take(places) for column in labels.columns), counts.take(places)]
    rest = table.drop_columns(["group"])
    return (
        pyarrow.Table.from_arrays([*columns, *rest.columns], schema=pyarrow.schema([*fields, *rest.schema])),
        found,
    )


def _entries(configs: Sequence[Mapping[str, Any]], by: Sequence[str] | None, over: str | None) -> list[str]:
    """Returns the entries of the configs that make groups."""
    if by is not None:
        return [entry.removeprefix(_PREFIX) for entry in by]
    if over is None:
        return []
    # Runs of one group agree in everything else; what all runs agree in needs no column.
    seen: dict[str, set[str]] = {}
    for config in configs:
        for name, value in config.items():
            seen.setdefault(name, set()).add(json.dumps(value, default=repr, sort_keys=True))
    everywhere = {name for name in seen if all(name in config for config in configs)}
    over = over.removeprefix(_PREFIX)
    return [name for name in seen if name != over and (len(seen[name]) > 1 or name not in everywhere)]


def _values(config: Mapping[str, Any], entries: Iterable[str]) -> list[Any]:
    found = (find_value(config, entry) for entry in entries)
    return [None if value is ABSENT else value for value in found]


def _over_values(runs: Sequence[Run], over: str | None) -> list[str]:
    """Returns what makes each run count by itself: the value of `over`, or else the run."""
    if over is None:
        return [str(place) for place in range(len(runs))]
    values = (find_value(run.config, over.removeprefix(_PREFIX)) for run in runs)
    return [
        f"run {place}" if value is ABSENT else json.dumps(value, default=repr, sort_keys=True)
        for place, value in enumerate(values)
    ]


def _units(found: RunRows, group_of: Sequence[int], over: Sequence[str]) -> tuple[RunRows, list[int]]:
    """Joins the runs of a group with the same value of `over`, so that they count once together."""
    import pyarrow

    units: dict[tuple[int, str], list[int]] = {}
    for place, key in enumerate(zip(group_of, over, strict=True)):
        units.setdefault(key, []).append(place)
    groups = [group for group, _ in units]
    if len(units) == len(found.runs):
        return found, list(group_of)
    spans = list(pairwise(found.offsets))
    pieces: list[pyarrow.Table] = []
    offsets = [0]
    for places in units.values():
        pieces.extend(found.table.slice(spans[place][0], spans[place][1] - spans[place][0]) for place in places)
        offsets.append(offsets[-1] + sum(spans[place][1] - spans[place][0] for place in places))
    table = pyarrow.concat_tables([found.table.slice(0, 0), *pieces])
    return replace(found, table=table, offsets=offsets), groups
